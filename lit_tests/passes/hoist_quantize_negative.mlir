// RUN: lpc opt %s -p 'hoist-quantize' --split-input-file | filecheck %s

// The float result of the movement is needed anyway.
func.func @float_user(%x: tensor<2x3xf32>) -> (tensor<6xui8>, tensor<6xf32>) {
  %y = graph.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
  %q = graph.quantize %y {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<6xf32>) -> tensor<6xui8>
  func.return %q, %y : tensor<6xui8>, tensor<6xf32>
}
// CHECK-LABEL: func.func @float_user
// CHECK:         graph.reshape
// CHECK-NEXT:    graph.quantize

// -----

func.func @per_channel(%x: tensor<2x3xf32>) -> tensor<3x2xui8> {
  %y = graph.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %q = graph.quantize %y {scale = array<f32: 0.5, 1.0>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<3x2xf32>) -> tensor<3x2xui8>
  func.return %q : tensor<3x2xui8>
}
// CHECK-LABEL: func.func @per_channel
// CHECK:         graph.transpose
// CHECK-NEXT:    graph.quantize

// -----

// Six is another code in each channel: qmax cannot say both.
func.func @clamp_per_channel(%x: tensor<2x2xf32>) -> tensor<2x2xui8> {
  %y = graph.unary %x {kind = "clip", alpha = 0.0 : f32, beta = 6.0 : f32} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %q = graph.quantize %y {scale = array<f32: 0.5, 1.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}
// CHECK-LABEL: func.func @clamp_per_channel
// CHECK:         graph.unary
// CHECK-NEXT:    graph.quantize

// -----

// The bound is a tensor.
func.func @maximum_of_tensors(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xui8> {
  %z = graph.maximum %x, %y : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}
// CHECK-LABEL: func.func @maximum_of_tensors
// CHECK:         graph.maximum
// CHECK-NEXT:    graph.quantize

// -----

// Not a clamp: its slope below zero is not one.
func.func @leaky_relu(%x: tensor<2xf32>) -> tensor<2xui8> {
  %z = graph.unary %x {kind = "leaky_relu", alpha = 0.1 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}
// CHECK-LABEL: func.func @leaky_relu
// CHECK:         graph.unary
// CHECK-NEXT:    graph.quantize

// -----

// A negative scale turns the order around.
func.func @decreasing(%x: tensor<2xf32>) -> tensor<2xui8> {
  %z = graph.unary %x {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %z {scale = array<f32: -0.5>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}
// CHECK-LABEL: func.func @decreasing
// CHECK:         graph.unary
// CHECK-NEXT:    graph.quantize

// -----

// A NaN gives the code 0 here, and would give 9.
func.func @relu_of_what_may_be_nan(%x: tensor<2xf32>) -> tensor<2xui8> {
  %z = graph.unary %x {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}
// CHECK-LABEL: func.func @relu_of_what_may_be_nan
// CHECK:         graph.unary
// CHECK-NEXT:    graph.quantize

// -----

// minimum(NaN, 6) is 6.
func.func @minimum_that_replaces_nan(%x: tensor<2xf32>) -> tensor<2xui8> {
  %six = graph.constant {value = dense<6.0> : tensor<1xf32>} : tensor<1xf32>
  %z = graph.minimum %x, %six : (tensor<2xf32>, tensor<1xf32>) -> tensor<2xf32>
  %q = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}
// CHECK-LABEL: func.func @minimum_that_replaces_nan
// CHECK:         graph.minimum
// CHECK-NEXT:    graph.quantize

// -----

// The maximum of 5, NaN and 3 is 3 of floats, and 5 of codes.
func.func @max_pool_of_what_may_be_nan(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x3x3xui8> {
  %m = graph.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x1x4x4xf32>) -> tensor<1x1x3x3xf32>
  %q = graph.quantize %m {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x1x3x3xf32>) -> tensor<1x1x3x3xui8>
  func.return %q : tensor<1x1x3x3xui8>
}
// CHECK-LABEL: func.func @max_pool_of_what_may_be_nan
// CHECK:         graph.max_pool
// CHECK-NEXT:    graph.quantize
