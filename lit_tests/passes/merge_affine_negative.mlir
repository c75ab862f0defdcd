// RUN: lpc opt %s -p merge-affine --split-input-file | filecheck %s

// One function for all channels is a table.
func.func @per_tensor(%p: tensor<1x2xui8>) -> tensor<1x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 4>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %b = graph.constant {value = dense<1.0> : tensor<1x1xf32>} : tensor<1x1xf32>
  %s = graph.add %a, %b : (tensor<1x2xf32>, tensor<1x1xf32>) -> tensor<1x2xf32>
  %y = graph.quantize %s {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2xf32>) -> tensor<1x2xui8>
  func.return %y : tensor<1x2xui8>
}
// CHECK-LABEL: func.func @per_tensor
// CHECK:         graph.quantize {{.*}}scale = array<f32: 2.000000e+00>

// -----

// An accumulator has more than 256 values.
func.func @accumulator(%p: tensor<1x2xi32>) -> tensor<1x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xi32>) -> tensor<1x2xf32>
  %b = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %s = graph.add %a, %b : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %y = graph.quantize %s {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2xf32>) -> tensor<1x2xui8>
  func.return %y : tensor<1x2xui8>
}
// CHECK-LABEL: func.func @accumulator
// CHECK:         graph.quantize {{.*}}scale = array<f32: 2.000000e+00>
