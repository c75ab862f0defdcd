// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: input must have rank 4
func.func @conv2d_rank(%0: tensor<3x8x8xf32>, %1: tensor<4x3x3x3xf32>) {
  %2 = graph.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: weight (4, 3, 3, 3) in 2 groups for 3 channels
func.func @conv2d_groups(%0: tensor<1x3x8x8xf32>, %1: tensor<4x3x3x3xf32>) {
  %2 = graph.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 2 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: bias (3,) for 4 output channels
func.func @conv2d_bias(%0: tensor<1x3x8x8xf32>, %1: tensor<4x3x3x3xf32>, %b: tensor<3xf32>) {
  %2 = graph.conv2d %0, %1, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<3xf32>) -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: window (3, 3) does not fit into the padded input (1, 3, 2, 8)
func.func @conv2d_window(%0: tensor<1x3x2x8xf32>, %1: tensor<4x3x3x3xf32>) {
  %2 = graph.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x3x2x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: result shape (1, 4, 8, 8) should be (1, 4, 6, 6)
func.func @qconv2d_shape(%0: tensor<1x3x8x8xui8>, %1: tensor<4x3x3x3xsi8>) {
  %2 = graph.qconv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64, input_zero_point = array<i32: 0>, weight_zero_point = array<i32: 0>} : (tensor<1x3x8x8xui8>, tensor<4x3x3x3xsi8>) -> tensor<1x4x8x8xi32>
  func.return
}

// -----

// CHECK: 2 input zero points for 3 channels
func.func @qconv2d_zero_points(%0: tensor<1x3x8x8xui8>, %1: tensor<3x1x3x3xsi8>) {
  %2 = graph.qconv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 3 : i64, input_zero_point = array<i32: 0, 1>, weight_zero_point = array<i32: 0>} : (tensor<1x3x8x8xui8>, tensor<3x1x3x3xsi8>) -> tensor<1x3x6x6xi32>
  func.return
}

// -----

// CHECK: input zero points differ within a group
func.func @qconv2d_group(%0: tensor<1x4x8x8xui8>, %1: tensor<2x2x3x3xsi8>) {
  %2 = graph.qconv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 2 : i64, input_zero_point = array<i32: 5, 5, 7, 8>, weight_zero_point = array<i32: 0>} : (tensor<1x4x8x8xui8>, tensor<2x2x3x3xsi8>) -> tensor<1x2x6x6xi32>
  func.return
}

// -----

// CHECK: inner dimensions of (2, 3) and (4, 5) differ
func.func @matmul_inner(%0: tensor<2x3xf32>, %1: tensor<4x5xf32>) {
  %2 = graph.matmul %0, %1 : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  func.return
}

// -----

// CHECK: bias (4,) for 5 columns
func.func @qmatmul_bias(%0: tensor<2x3xui8>, %1: tensor<3x5xsi8>, %b: tensor<4xi32>) {
  %2 = graph.qmatmul %0, %1, %b {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x3xui8>, tensor<3x5xsi8>, tensor<4xi32>) -> tensor<2x5xi32>
  func.return
}
