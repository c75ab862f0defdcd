// RUN: lpc opt %s -p 'sink-dequantize' --split-input-file | filecheck %s

// The reshape splits the channels.
func.func @split_channels(%q: tensor<2x4xsi8>) -> tensor<2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 1.0, 2.0, 4.0, 8.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x4xsi8>) -> tensor<2x4xf32>
  %y = graph.reshape %x : (tensor<2x4xf32>) -> tensor<2x2x2xf32>
  func.return %y : tensor<2x2x2xf32>
}
// CHECK-LABEL: func.func @split_channels
// CHECK:         graph.dequantize %q
// CHECK-NEXT:    graph.reshape

// -----

// A negative scale turns the order around.
func.func @decreasing(%q: tensor<1x2x4x4xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: -0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32>
  %y = graph.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
// CHECK-LABEL: func.func @decreasing
// CHECK:         graph.dequantize %q
// CHECK-NEXT:    graph.max_pool

// -----

// A dilated window can lie in the padding alone, where the maximum is −∞.
func.func @window_in_padding(%q: tensor<1x1x1x1xui8>) -> tensor<1x1x1x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x1x1xui8>) -> tensor<1x1x1x1xf32>
  %y = graph.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 2, 2>, dilations = array<i64: 3, 3>, layout = "nchw"} : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
  func.return %y : tensor<1x1x1x1xf32>
}
// CHECK-LABEL: func.func @window_in_padding
// CHECK:         graph.dequantize %q
// CHECK-NEXT:    graph.max_pool

// -----

// No code stands for 0.3.
func.func @pad_value_between_codes(%q: tensor<2xui8>) -> tensor<4xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  %y = graph.pad %x {low = array<i64: 1>, high = array<i64: 1>, value = 0.3 : f32} : (tensor<2xf32>) -> tensor<4xf32>
  func.return %y : tensor<4xf32>
}
// CHECK-LABEL: func.func @pad_value_between_codes
// CHECK:         graph.dequantize %q
// CHECK-NEXT:    graph.pad

// -----

// Every index would need the grid of its channel.
func.func @gathered_channels(%q: tensor<2x3xui8>, %i: tensor<2xi64>) -> tensor<2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 1.0, 2.0>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %y = graph.gather %x, %i {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  func.return %y : tensor<2x2xf32>
}
// CHECK-LABEL: func.func @gathered_channels
// CHECK:         graph.dequantize %q
// CHECK-NEXT:    graph.gather

// -----

func.func @concat_of_two_grids(%p: tensor<1x2xui8>, %q: tensor<1x3xui8>) -> tensor<1x5xf32> {
  %x = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %y = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 4>, axis = 1 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
  %z = graph.concat %x, %y {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x3xf32>) -> tensor<1x5xf32>
  func.return %z : tensor<1x5xf32>
}
// CHECK-LABEL: func.func @concat_of_two_grids
// CHECK:         graph.dequantize %p
// CHECK-NEXT:    graph.dequantize %q
// CHECK-NEXT:    graph.concat

// -----

// An accumulator has four bytes like the float: nothing is gained, and hoist-quantize wants it here.
func.func @accumulator(%a: tensor<2x3xi32>) -> tensor<6xf32> {
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %y = graph.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
  func.return %y : tensor<6xf32>
}
// CHECK-LABEL: func.func @accumulator
// CHECK:         graph.dequantize %a
// CHECK-NEXT:    graph.reshape

// -----

// The clamp at 250 is no identity on all 256 codes.
func.func @narrow_range_stays(%q: tensor<4xui8>) -> tensor<4xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %y = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 250 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %y : tensor<4xui8>
}
// CHECK-LABEL: func.func @narrow_range_stays
// CHECK:         graph.dequantize
// CHECK-NEXT:    graph.quantize

// -----

// The largest codes overflow to infinity and do not come back.
func.func @huge_scale_stays(%q: tensor<4xui8>) -> tensor<4xui8> {
  %x = graph.dequantize %q {scale = array<f32: 3.0e37>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %y = graph.quantize %x {scale = array<f32: 3.0e37>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %y : tensor<4xui8>
}
// CHECK-LABEL: func.func @huge_scale_stays
// CHECK:         graph.dequantize
// CHECK-NEXT:    graph.quantize
