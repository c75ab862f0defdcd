// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @gemm(
// CHECK: graph.packed_weights %{{.*}}, %{{.*}}, %{{.*}} {scheme = "gemm", tile = array<i64: 4, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xui8>, tensor<1x1xi32>, tensor<1x7xi32>) -> tensor<4x2xsi8>
func.func @gemm(%data: tensor<32xui8>, %steps: tensor<1x1xi32>, %counts: tensor<1x7xi32>) -> tensor<4x2xsi8> {
  %w = graph.packed_weights %data, %steps, %counts {scheme = "gemm", tile = array<i64: 4, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""} : (tensor<32xui8>, tensor<1x1xi32>, tensor<1x7xi32>) -> tensor<4x2xsi8>
  func.return %w : tensor<4x2xsi8>
}

// CHECK-LABEL: func.func @depthwise(
// CHECK: graph.packed_weights %{{.*}} {scheme = "depthwise", {{.*}}form = "pairs"} : (tensor<192xui8>) -> tensor<2x1x3x3xsi8>
func.func @depthwise(%data: tensor<192xui8>) -> tensor<2x1x3x3xsi8> {
  %w = graph.packed_weights %data {scheme = "depthwise", tile = array<i64: 1, 4, 4>, groups = 2 : i64, terms = 1 : i64, merged = 0 : i64, form = "pairs"} : (tensor<192xui8>) -> tensor<2x1x3x3xsi8>
  func.return %w : tensor<2x1x3x3xsi8>
}

// A tensor with 3 channels in 16, and a halo of one pixel above and left of each image.
// CHECK-LABEL: func.func @layout(
// CHECK: "graph.kernel"(%{{.*}}) ({
// CHECK: }) {placement = "workspace", offset = 64 : i64, halo_codes = array<i32: 7>} : (tensor<1x4x4x3xui8>) -> tensor<1x4x4x3xui8, #graph.layout<array<i64: 16, 1, 1, 0, 0>>>
func.func @layout(%x: tensor<1x4x4x3xui8>) {
  %y = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x3xui8>):
    %c = graph.reshape %a : (tensor<1x4x4x3xui8>) -> tensor<1x4x4x3xui8>
    graph.yield %c : tensor<1x4x4x3xui8>
  }) {placement = "workspace", offset = 64 : i64, halo_codes = array<i32: 7>} : (tensor<1x4x4x3xui8>) -> tensor<1x4x4x3xui8, #graph.layout<array<i64: 16, 1, 1, 0, 0>>>
  func.return
}
