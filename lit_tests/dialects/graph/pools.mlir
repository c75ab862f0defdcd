// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @max_pool(
// CHECK: graph.max_pool %{{.*}} {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x8x8xsi8>) -> tensor<1x2x4x4xsi8>
func.func @max_pool(%0: tensor<1x2x8x8xsi8>) -> tensor<1x2x4x4xsi8> {
  %1 = graph.max_pool %0 {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x8x8xsi8>) -> tensor<1x2x4x4xsi8>
  func.return %1 : tensor<1x2x4x4xsi8>
}

// CHECK-LABEL: func.func @avg_pool(
// CHECK: graph.avg_pool %{{.*}} {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", count_include_pad = true} : (tensor<1x2x8x8xf32>) -> tensor<1x2x7x7xf32>
func.func @avg_pool(%0: tensor<1x2x8x8xf32>) -> tensor<1x2x7x7xf32> {
  %1 = graph.avg_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", count_include_pad = true} : (tensor<1x2x8x8xf32>) -> tensor<1x2x7x7xf32>
  func.return %1 : tensor<1x2x7x7xf32>
}

// CHECK-LABEL: func.func @qsum_pool(
// CHECK: graph.qsum_pool %{{.*}} {kernel = array<i64: 8, 8>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", input_zero_point = 128 : i64} : (tensor<1x2x8x8xui8>) -> tensor<1x2x1x1xi32>
func.func @qsum_pool(%0: tensor<1x2x8x8xui8>) -> tensor<1x2x1x1xi32> {
  %1 = graph.qsum_pool %0 {kernel = array<i64: 8, 8>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", input_zero_point = 128 : i64} : (tensor<1x2x8x8xui8>) -> tensor<1x2x1x1xi32>
  func.return %1 : tensor<1x2x1x1xi32>
}
