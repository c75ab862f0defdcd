// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: result shape (2, 1) should be (2,)
func.func @reduce_shape(%0: tensor<2x3xf32>) {
  %1 = graph.reduce %0 {kind = "mean", axes = array<i64: 1>, keepdims = false} : (tensor<2x3xf32>) -> tensor<2x1xf32>
  func.return
}

// -----

// CHECK: result shape (2,) should be (2, 3)
func.func @softmax_shape(%0: tensor<2x3xf32>) {
  %1 = graph.softmax %0 {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2xf32>
  func.return
}

// -----

// CHECK: result shape (3,) should be (2, 3)
func.func @layer_norm_shape(%0: tensor<2x3xf32>, %1: tensor<3xf32>) {
  %2 = graph.layer_norm %0, %1, %1 {epsilon = 1.0e-05 : f32} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: result shape (3,) should be (2, 3)
func.func @batch_norm_shape(%0: tensor<2x3xf32>, %1: tensor<3xf32>) {
  %2 = graph.batch_norm %0, %1, %1, %1, %1 {epsilon = 1.0e-05 : f32} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}
