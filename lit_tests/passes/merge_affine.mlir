// RUN: lpc opt %s -p merge-affine --split-input-file | filecheck %s

// A batch normalization with relu, whose input is stored as codes.
func.func @normalization(%p: tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 4>, axis = 3 : i64} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xf32>
  %w = graph.constant {value = dense<[2.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %m = graph.mul %a, %w : (tensor<1x4x4x2xf32>, tensor<2xf32>) -> tensor<1x4x4x2xf32>
  %b = graph.constant {value = dense<[1.0, 3.0]> : tensor<2xf32>} : tensor<2xf32>
  %s = graph.add %m, %b : (tensor<1x4x4x2xf32>, tensor<2xf32>) -> tensor<1x4x4x2xf32>
  %r = graph.unary %s {kind = "relu"} : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  %y = graph.quantize %r {scale = array<f32: 1.0>, zero_point = array<i32: 6>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xui8>
  func.return %y : tensor<1x4x4x2xui8>
}
// CHECK-LABEL: func.func @normalization
// CHECK-NEXT:    graph.dequantize %p {scale = array<f32: 1.000000e+00, 2.000000e+00>, zero_point = array<i32: 0>, axis = 3 : i64}
// CHECK-NEXT:    graph.constant {value = dense<{{.*}}[3.000000e+00, 1.000000e+00]{{.*}}> : tensor<1x1x1x2xf32>}
// CHECK-NEXT:    graph.add
// CHECK-NEXT:    graph.quantize {{.*}}scale = array<f32: 1.000000e+00>, zero_point = array<i32: 0>, axis = 3 : i64, qmin = 6 : i64, qmax = 255 : i64
// CHECK-NEXT:    func.return

// -----

// A bias behind a matrix product's codes, which keep the zero point that the requantize adds.
func.func @bias(%p: tensor<4x2xi32>) -> tensor<4x2xui8> {
  %q = graph.requantize %p {multiplier = array<f32: 0.01>, axis = 1 : i64, zero_point = 128 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4x2xi32>) -> tensor<4x2xui8>
  %a = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 128>, axis = 1 : i64} : (tensor<4x2xui8>) -> tensor<4x2xf32>
  %b = graph.constant {value = dense<[1.5, -1.5]> : tensor<2xf32>} : tensor<2xf32>
  %s = graph.add %b, %a : (tensor<2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  %y = graph.quantize %s {scale = array<f32: 0.25>, zero_point = array<i32: 100>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4x2xf32>) -> tensor<4x2xui8>
  func.return %y : tensor<4x2xui8>
}
// CHECK-LABEL: func.func @bias
// CHECK-NEXT:    graph.requantize
// CHECK-NEXT:    graph.dequantize {{.*}}scale = array<f32: 2.000000e+00, 2.000000e+00>, zero_point = array<i32: 128>
// CHECK-NEXT:    graph.constant {value = dense<{{.*}}[1.060000e+02, 9.400000e+01]{{.*}}>
// CHECK-NEXT:    graph.add
// CHECK-NEXT:    graph.quantize {{.*}}scale = array<f32: 1.000000e+00>, zero_point = array<i32: 0>
