// RUN: lpc opt %s -p 'integerize-contractions' --split-input-file | filecheck %s

// CHECK-NOT: graph.q{{conv2d|matmul|sum_pool}}

func.func @float_weights(%q: tensor<1x1x2x2xui8>, %w: tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}

// -----

// Nothing is known of the weights, so nothing can be proved of the accumulator.
func.func @variable_weights(%q: tensor<1x1x2x2xui8>, %wq: tensor<1x1x1x1xsi8>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x1x1xsi8>) -> tensor<1x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}

// -----

// Each product of the sum has another scale.
func.func @scale_per_input_channel(%q: tensor<1x2x2x2xui8>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<1x2x1x1xsi8>} : tensor<1x2x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x1x1xsi8>) -> tensor<1x2x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x2x2x2xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}

// -----

// The same on the weights' side.
func.func @weight_scale_per_input_channel(%q: tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<2x2x1x1xsi8>} : tensor<2x2x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0, 2.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2x1x1xsi8>) -> tensor<2x2x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x2x2x2xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// -----

// Each product of the sum has another zero point.
func.func @zero_point_per_channel(%q: tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3, 4>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<2x2x1x1xsi8>} : tensor<2x2x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x2x1x1xsi8>) -> tensor<2x2x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x2x2x2xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// -----

// Real zero is no code of the type.
func.func @zero_point_outside_type(%q: tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: -3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<1x1x1x1xsi8>} : tensor<1x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x1x1xsi8>) -> tensor<1x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}

// -----

// 34000·255·255 ≥ 2³¹: the accumulator could overflow.
func.func @overflow(%p: tensor<1x34000xui8>, %q: tensor<34000x1xui8>) -> tensor<1x1xf32> {
  %x = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x34000xui8>) -> tensor<1x34000xf32>
  %w = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<34000x1xui8>) -> tensor<34000x1xf32>
  %y = graph.matmul %x, %w : (tensor<1x34000xf32>, tensor<34000x1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}

// -----

// The product of the scales underflows.
func.func @tiny_scales(%p: tensor<1x4xui8>, %q: tensor<4x1xui8>) -> tensor<1x1xf32> {
  %x = graph.dequantize %p {scale = array<f32: 1.0e-20>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x4xui8>) -> tensor<1x4xf32>
  %w = graph.dequantize %q {scale = array<f32: 1.0e-20>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4x1xui8>) -> tensor<4x1xf32>
  %y = graph.matmul %x, %w : (tensor<1x4xf32>, tensor<4x1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}

// -----

// The windows at the border hold fewer elements than the others.
func.func @uneven_windows(%q: tensor<1x2x2x2xui8>) -> tensor<1x2x3x3xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %y = graph.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw", count_include_pad = false} : (tensor<1x2x2x2xf32>) -> tensor<1x2x3x3xf32>
  func.return %y : tensor<1x2x3x3xf32>
}

// -----

func.func @mean_over_channels(%q: tensor<1x2x4x4xui8>) -> tensor<1x4x4xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32>
  %y = graph.reduce %x {kind = "mean", axes = array<i64: 1>, keepdims = false} : (tensor<1x2x4x4xf32>) -> tensor<1x4x4xf32>
  func.return %y : tensor<1x4x4xf32>
}

// -----

func.func @maximum_of_image(%q: tensor<1x2x4x4xui8>) -> tensor<1x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32>
  %y = graph.reduce %x {kind = "max", axes = array<i64: 2, 3>, keepdims = false} : (tensor<1x2x4x4xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}
