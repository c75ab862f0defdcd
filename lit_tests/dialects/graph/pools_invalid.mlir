// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: window (3, 3) does not fit into the padded input
func.func @max_pool_window(%0: tensor<1x2x2x2xf32>) {
  %1 = graph.max_pool %0 {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x1x1xf32>
  func.return
}

// -----

// CHECK: result shape (1, 2, 2, 2) should be (1, 2, 3, 3)
func.func @avg_pool_shape(%0: tensor<1x2x4x4xf32>) {
  %1 = graph.avg_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", count_include_pad = false} : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  func.return
}

// -----

// CHECK: input must have rank 4
func.func @qsum_pool_rank(%0: tensor<2x4x4xui8>) {
  %1 = graph.qsum_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", input_zero_point = 0 : i64} : (tensor<2x4x4xui8>) -> tensor<2x3x3xi32>
  func.return
}
