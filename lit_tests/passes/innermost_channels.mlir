// RUN: lpc opt %s -p 'innermost-channels' --split-input-file | filecheck %s

// CHECK-LABEL: func.func @quantize
// CHECK-NEXT:    [[T:%.*]] = graph.transpose %x {layer = "q", permutation = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
// CHECK-NEXT:    [[Q:%.*]] = graph.quantize [[T]] {layer = "q", scale = array<f32: {{.*}}>, zero_point = array<i32: 7>, axis = 2 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x4x3xf32>) -> tensor<2x4x3xui8>
// CHECK-NEXT:    [[R:%.*]] = graph.transpose [[Q]] {layer = "q", permutation = array<i64: 0, 2, 1>} : (tensor<2x4x3xui8>) -> tensor<2x3x4xui8>
// CHECK-NEXT:    func.return [[R]]
func.func @quantize(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xui8> {
  %q = graph.quantize %x {layer = "q", scale = array<f32: 0.5, 0.25, 0.125>, zero_point = array<i32: 7>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xui8>
  func.return %q : tensor<2x3x4xui8>
}

// -----

// Zero points alone; the first axis of four.
// CHECK-LABEL: func.func @dequantize
// CHECK-NEXT:    graph.transpose %q {permutation = array<i64: 1, 2, 3, 0>}
// CHECK-NEXT:    graph.dequantize {{.*}} axis = 3 : i64} : (tensor<3x4x5x2xui8>) -> tensor<3x4x5x2xf32>
// CHECK-NEXT:    graph.transpose {{.*}} {permutation = array<i64: 3, 0, 1, 2>}
func.func @dequantize(%q: tensor<2x3x4x5xui8>) -> tensor<2x3x4x5xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 7, 8>, axis = 0 : i64} : (tensor<2x3x4x5xui8>) -> tensor<2x3x4x5xf32>
  func.return %x : tensor<2x3x4x5xf32>
}

// -----

// CHECK-LABEL: func.func @requantize
// CHECK-NEXT:    graph.transpose %a {permutation = array<i64: 1, 0>}
// CHECK-NEXT:    graph.requantize {{.*}} axis = 1 : i64
// CHECK-NEXT:    graph.transpose {{.*}} {permutation = array<i64: 1, 0>}
func.func @requantize(%a: tensor<2x3xi32>) -> tensor<2x3xui8> {
  %q = graph.requantize %a {multiplier = array<f32: 0.5, 0.25>, axis = 0 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xi32>) -> tensor<2x3xui8>
  func.return %q : tensor<2x3xui8>
}

// -----

// Limits have the rank of the input, or less.
// CHECK-LABEL: func.func @fake_quantize
// CHECK-NEXT:    graph.transpose %x {permutation = array<i64: 0, 2, 1>}
// CHECK-NEXT:    graph.fake_quantize {{.*}} input_low = dense<{{.*}}-2.000000e+00, -3.000000e+00]]]> : tensor<1x1x3xf32>, input_high = dense<1.000000e+00> : tensor<1x1x1xf32>
// CHECK-NEXT:    graph.transpose
func.func @fake_quantize(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<[[-1.0], [-2.0], [-3.0]]> : tensor<3x1xf32>, input_high = dense<1.0> : tensor<f32>, output_low = dense<-1.0> : tensor<f32>, output_high = dense<1.0> : tensor<f32>} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  func.return %y : tensor<2x3x4xf32>
}
