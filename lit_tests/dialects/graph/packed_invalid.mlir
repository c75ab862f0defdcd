// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: unknown packing scheme 'fourier'
func.func @scheme(%data: tensor<32xui8>) {
  %w = graph.packed_weights %data {scheme = "fourier", tile = array<i64: 4, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xui8>) -> tensor<4x2xsi8>
  func.return
}

// -----

// CHECK: packed data are bytes
func.func @data(%data: tensor<32xsi8>) {
  %w = graph.packed_weights %data {scheme = "gemm", tile = array<i64: 4, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xsi8>) -> tensor<4x2xsi8>
  func.return
}

// -----

// CHECK: order has two tensors: starts and counts
func.func @order(%data: tensor<32xui8>, %steps: tensor<1x1xi32>) {
  %w = graph.packed_weights %data, %steps {scheme = "gemm", tile = array<i64: 4, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xui8>, tensor<1x1xi32>) -> tensor<4x2xsi8>
  func.return
}

// -----

// CHECK: a tile has three sizes: pixels, vectors, lanes
func.func @tile(%data: tensor<32xui8>) {
  %w = graph.packed_weights %data {scheme = "gemm", tile = array<i64: 4, 1>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xui8>) -> tensor<4x2xsi8>
  func.return
}

// -----

// CHECK: a layout has five numbers, none negative
func.func @layout_size(%x: tensor<1x4x4x3xui8, #graph.layout<array<i64: 16, 1, 1>>>) {
  func.return
}

// -----

// CHECK: a layout has five numbers, none negative
func.func @layout_negative(%x: tensor<1x4x4x3xui8, #graph.layout<array<i64: 16, 1, 1, -1, 0>>>) {
  func.return
}
