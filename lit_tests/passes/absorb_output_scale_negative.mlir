// RUN: lpc opt %s -p absorb-output-scale --split-input-file | filecheck %s

// Scales per channel: too many cases to try.
func.func @per_channel(%p: tensor<1x2xui8>, %q: tensor<1x2xui8>) -> tensor<1x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %b = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %s = graph.add %a, %b : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %y = graph.quantize %s {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2xf32>) -> tensor<1x2xui8>
  func.return %y : tensor<1x2xui8>
}
// CHECK-LABEL: func.func @per_channel
// CHECK:         graph.quantize {{.*}}scale = array<f32: 2.000000e+00>

// -----

// One operand is an accumulator, which has more than 256 values.
func.func @accumulator(%p: tensor<1x2xi32>, %q: tensor<1x2xui8>) -> tensor<1x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xi32>) -> tensor<1x2xf32>
  %b = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %s = graph.add %a, %b : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %y = graph.quantize %s {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2xf32>) -> tensor<1x2xui8>
  func.return %y : tensor<1x2xui8>
}
// CHECK-LABEL: func.func @accumulator
// CHECK:         graph.quantize {{.*}}scale = array<f32: 2.000000e+00>

// -----

// The scale is 1 already.
func.func @done(%p: tensor<1x2xui8>, %q: tensor<1x2xui8>) -> tensor<1x2xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 7>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %b = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %s = graph.add %a, %b : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %y = graph.quantize %s {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2xf32>) -> tensor<1x2xui8>
  func.return %y : tensor<1x2xui8>
}
// CHECK-LABEL: func.func @done
// CHECK:         graph.dequantize %p {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 7>
