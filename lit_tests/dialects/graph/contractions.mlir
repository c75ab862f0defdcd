// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @conv2d(
// CHECK: graph.conv2d %{{.*}}, %{{.*}}, %{{.*}} {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>) -> tensor<1x4x4x4xf32>
func.func @conv2d(%0: tensor<1x3x8x8xf32>, %1: tensor<4x3x3x3xf32>, %2: tensor<4xf32>) -> tensor<1x4x4x4xf32> {
  %3 = graph.conv2d %0, %1, %2 {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>) -> tensor<1x4x4x4xf32>
  func.return %3 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func.func @conv2d_without_bias(
// CHECK: graph.conv2d %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 2>, layout = "nhwc", groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
func.func @conv2d_without_bias(%0: tensor<1x8x8x3xf32>, %1: tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32> {
  %2 = graph.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 2>, layout = "nhwc", groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
  func.return %2 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func.func @conv2d_depthwise(
// CHECK: graph.conv2d %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 4 : i64} : (tensor<1x4x8x8xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32>
func.func @conv2d_depthwise(%0: tensor<1x4x8x8xf32>, %1: tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32> {
  %2 = graph.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 4 : i64} : (tensor<1x4x8x8xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32>
  func.return %2 : tensor<1x4x6x6xf32>
}

// CHECK-LABEL: func.func @qconv2d(
// CHECK: graph.qconv2d %{{.*}}, %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64, input_zero_point = array<i32: 128>, weight_zero_point = array<i32: 0, 1, 2, 3>} : (tensor<1x4x8x8xui8>, tensor<4x4x1x1xsi8>, tensor<4xi32>) -> tensor<1x4x8x8xi32>
func.func @qconv2d(%0: tensor<1x4x8x8xui8>, %1: tensor<4x4x1x1xsi8>, %2: tensor<4xi32>) -> tensor<1x4x8x8xi32> {
  %3 = graph.qconv2d %0, %1, %2 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64, input_zero_point = array<i32: 128>, weight_zero_point = array<i32: 0, 1, 2, 3>} : (tensor<1x4x8x8xui8>, tensor<4x4x1x1xsi8>, tensor<4xi32>) -> tensor<1x4x8x8xi32>
  func.return %3 : tensor<1x4x8x8xi32>
}

// CHECK-LABEL: func.func @matmul(
// CHECK: graph.matmul %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x5x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x5x4xf32>
func.func @matmul(%0: tensor<2x5x3xf32>, %1: tensor<3x4xf32>, %2: tensor<4xf32>) -> tensor<2x5x4xf32> {
  %3 = graph.matmul %0, %1, %2 : (tensor<2x5x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x5x4xf32>
  func.return %3 : tensor<2x5x4xf32>
}

// CHECK-LABEL: func.func @qmatmul(
// CHECK: graph.qmatmul %{{.*}}, %{{.*}} {a_zero_point = -3 : i64, b_zero_point = array<i32: 0>} : (tensor<5x3xsi8>, tensor<3x4xsi8>) -> tensor<5x4xi32>
func.func @qmatmul(%0: tensor<5x3xsi8>, %1: tensor<3x4xsi8>) -> tensor<5x4xi32> {
  %2 = graph.qmatmul %0, %1 {a_zero_point = -3 : i64, b_zero_point = array<i32: 0>} : (tensor<5x3xsi8>, tensor<3x4xsi8>) -> tensor<5x4xi32>
  func.return %2 : tensor<5x4xi32>
}
