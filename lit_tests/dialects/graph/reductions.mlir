// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @reduce(
// CHECK: graph.reduce %{{.*}} {kind = "mean", axes = array<i64: 1, 2>, keepdims = false} : (tensor<2x3x4xf32>) -> tensor<2xf32>
func.func @reduce(%0: tensor<2x3x4xf32>) -> tensor<2xf32> {
  %1 = graph.reduce %0 {kind = "mean", axes = array<i64: 1, 2>, keepdims = false} : (tensor<2x3x4xf32>) -> tensor<2xf32>
  func.return %1 : tensor<2xf32>
}

// CHECK-LABEL: func.func @softmax(
// CHECK: graph.softmax %{{.*}} {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @softmax(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %1 = graph.softmax %0 {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @layer_norm(
// CHECK: graph.layer_norm %{{.*}}, %{{.*}}, %{{.*}} {epsilon = 1.000000e-05 : f32} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
func.func @layer_norm(%0: tensor<2x3xf32>, %1: tensor<3xf32>, %2: tensor<3xf32>) -> tensor<2x3xf32> {
  %3 = graph.layer_norm %0, %1, %2 {epsilon = 1.000000e-05 : f32} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  func.return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @batch_norm(
// CHECK: graph.batch_norm %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {epsilon = 1.000000e-03 : f32} : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3x4xf32>
func.func @batch_norm(%0: tensor<2x3x4xf32>, %1: tensor<3xf32>, %2: tensor<3xf32>, %3: tensor<3xf32>, %4: tensor<3xf32>) -> tensor<2x3x4xf32> {
  %5 = graph.batch_norm %0, %1, %2, %3, %4 {epsilon = 1.000000e-03 : f32} : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3x4xf32>
  func.return %5 : tensor<2x3x4xf32>
}
