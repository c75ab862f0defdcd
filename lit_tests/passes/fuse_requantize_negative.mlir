// RUN: lpc opt %s -p 'fuse-requantize' --split-input-file | filecheck %s

// CHECK-NOT: graph.requantize
// CHECK-NOT: scale = array<f32: 1.000000e+00>

// Codes, not an accumulator: a matter of cancelling or of a table.
func.func @codes(%q: tensor<2xui8>) -> tensor<2xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  %r = graph.quantize %x {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %r : tensor<2xui8>
}

// -----

// A requantize has one zero point.
func.func @zero_points(%a: tensor<2x2xi32>) -> tensor<2x2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0>, zero_point = array<i32: 3, 4>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}

// -----

func.func @channels_along_different_axes(%a: tensor<2x2xi32>) -> tensor<2x2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.5, 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0, 4.0>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}

// -----

// The accumulator has an offset of its own.
func.func @offset(%a: tensor<2xi32>) -> tensor<2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 7>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}

// -----

// The multiplier underflows.
func.func @tiny(%a: tensor<2xi32>) -> tensor<2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 1.0e-30>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %q = graph.quantize %x {scale = array<f32: 1.0e10>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}

// -----

// A float function in between stays float; its quantize too.
func.func @leaky_relu(%a: tensor<2xi32>) -> tensor<2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %y = graph.unary %x {kind = "leaky_relu", alpha = 0.1 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %y {scale = array<f32: 2.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q : tensor<2xui8>
}

// -----

// The biased sum is needed as it is, too.
func.func @biased_sum_with_two_users(%a: tensor<2xi32>) -> (tensor<2xui8>, tensor<2xf32>) {
  %b = graph.constant {value = dense<[3.0, 5.0]> : tensor<2xf32>} : tensor<2xf32>
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %y = graph.add %x, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %y {scale = array<f32: 2.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q, %y : tensor<2xui8>, tensor<2xf32>
}

// -----

// The other term is no constant; the sum is one of 8-bit codes, which `absorb-output-scale` may change.
func.func @other_terms(%a: tensor<2xi32>, %c: tensor<2xui8>, %r: tensor<2xf32>) -> (tensor<2xui8>, tensor<2xui8>) {
  %b = graph.constant {value = dense<[3.0, 5.0]> : tensor<2xf32>} : tensor<2xf32>
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %y = graph.add %x, %r : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %q = graph.quantize %y {scale = array<f32: 2.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  %u = graph.dequantize %c {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  %v = graph.add %u, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %p = graph.quantize %v {scale = array<f32: 2.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q, %p : tensor<2xui8>, tensor<2xui8>
}

// -----

// With a bias, as well, one zero point, and channels along one axis.
func.func @float_bias_on_other_grids(%a: tensor<2x2xi32>) -> (tensor<2x2xui8>, tensor<2x2xui8>) {
  %b = graph.constant {value = dense<[[3.0, 5.0]]> : tensor<1x2xf32>} : tensor<1x2xf32>
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %y = graph.add %x, %b : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<2x2xf32>
  %q = graph.quantize %y {scale = array<f32: 2.0, 4.0>, zero_point = array<i32: 8, 9>, axis = 1 : i64, qmin = 9 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  %u = graph.dequantize %a {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %v = graph.add %u, %b : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<2x2xf32>
  %p = graph.quantize %v {scale = array<f32: 2.0, 4.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 9 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q, %p : tensor<2x2xui8>, tensor<2x2xui8>
}
