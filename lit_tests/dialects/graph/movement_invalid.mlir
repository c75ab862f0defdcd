// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: cannot reshape (2, 3) into (5,)
func.func @reshape_count(%0: tensor<2x3xf32>) {
  %1 = graph.reshape %0 : (tensor<2x3xf32>) -> tensor<5xf32>
  func.return
}

// -----

// CHECK: (0, 0) is not a permutation of the axes of (2, 3)
func.func @transpose_permutation(%0: tensor<2x3xf32>) {
  %1 = graph.transpose %0 {permutation = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<2x2xf32>
  func.return
}

// -----

// CHECK: shapes (2, 3) and (4, 3) differ outside axis 1
func.func @concat_shapes(%0: tensor<2x3xf32>, %1: tensor<4x3xf32>) {
  %2 = graph.concat %0, %1 {axis = 1 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x6xf32>
  func.return
}

// -----

// CHECK: result shape (3,) should be (2,)
func.func @slice_shape(%0: tensor<5xf32>) {
  %1 = graph.slice %0 {starts = array<i64: 1>, limits = array<i64: 5>, steps = array<i64: 2>} : (tensor<5xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: result shape (7,) should be (8,)
func.func @pad_shape(%0: tensor<5xf32>) {
  %1 = graph.pad %0 {low = array<i64: 1>, high = array<i64: 2>, value = 0.0 : f32} : (tensor<5xf32>) -> tensor<7xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @broadcast_shape(%0: tensor<2xf32>) {
  %1 = graph.broadcast %0 : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: result shape (3, 4) should be (3, 5)
func.func @gather_shape(%0: tensor<4x5xf32>, %1: tensor<3xi64>) {
  %2 = graph.gather %0, %1 {axis = 0 : i64} : (tensor<4x5xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  func.return
}

// -----

// CHECK: result shape (1, 2, 3, 3) should be (1, 2, 6, 6)
func.func @resize_shape(%0: tensor<1x2x3x3xf32>) {
  %1 = graph.resize_nearest %0 {factors = array<i64: 2, 2>, layout = "nchw"} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  func.return
}
