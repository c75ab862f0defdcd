// RUN: lpc opt %s -p 'tabulate-unary' --split-input-file | filecheck %s

// CHECK-NOT: graph.lut

// A function of two tensors: a residual sum.
func.func @two_sources(%p: tensor<4xui8>, %q: tensor<4xui8>) -> tensor<4xui8> {
  %x = graph.dequantize %p {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %y = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %z = graph.add %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %r = graph.quantize %z {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %r : tensor<4xui8>
}

// -----

// Another function per channel.
func.func @channel_grid(%q: tensor<2x2xui8>) -> tensor<2x2xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.1, 0.2>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<2x2xui8>) -> tensor<2x2xf32>
  %r = graph.quantize %x {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %r : tensor<2x2xui8>
}

// -----

func.func @channel_constant(%q: tensor<2x2xui8>) -> tensor<2x2xui8> {
  %c = graph.constant {value = dense<[0.5, 0.25]> : tensor<2xf32>} : tensor<2xf32>
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<2x2xui8>) -> tensor<2x2xf32>
  %y = graph.mul %x, %c : (tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %r = graph.quantize %y {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %r : tensor<2x2xui8>
}

// -----

// An accumulator has too many values.
func.func @accumulator(%a: tensor<2xi32>) -> tensor<2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.1>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %y = graph.unary %x {kind = "tanh"} : (tensor<2xf32>) -> tensor<2xf32>
  %r = graph.quantize %y {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %r : tensor<2xui8>
}

// -----

// softmax looks at more than one element.
func.func @not_elementwise(%q: tensor<2x2xui8>) -> tensor<2x2xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<2x2xui8>) -> tensor<2x2xf32>
  %y = graph.softmax %x {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %r = graph.quantize %y {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %r : tensor<2x2xui8>
}

// -----

// The outer product of a tensor with itself is no function of one element.
func.func @broadcast(%q: tensor<1x4xui8>) -> tensor<4x4xui8> {
  %t = graph.reshape %q : (tensor<1x4xui8>) -> tensor<4x1xui8>
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<1x4xui8>) -> tensor<1x4xf32>
  %y = graph.dequantize %t {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<4x1xui8>) -> tensor<4x1xf32>
  %z = graph.mul %x, %y : (tensor<1x4xf32>, tensor<4x1xf32>) -> tensor<4x4xf32>
  %r = graph.quantize %z {scale = array<f32: 0.2>, zero_point = array<i32: 5>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4x4xf32>) -> tensor<4x4xui8>
  func.return %r : tensor<4x4xui8>
}

// -----

// A quantized constant with more than one value.
func.func @table_per_channel(%q: tensor<4x2xui8>) -> tensor<4x2xui8> {
  %c = graph.constant {value = dense<[5, 6]> : tensor<2xui8>} : tensor<2xui8>
  %w = graph.dequantize %c {scale = array<f32: 0.1>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4x2xui8>) -> tensor<4x2xf32>
  %m = graph.mul %w, %x : (tensor<2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  %r = graph.quantize %m {scale = array<f32: 0.5>, zero_point = array<i32: 1>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4x2xf32>) -> tensor<4x2xui8>
  func.return %r : tensor<4x2xui8>
}
