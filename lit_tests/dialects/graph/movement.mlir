// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @reshape(
// CHECK: graph.reshape %{{.*}} : (tensor<2x3xf32>) -> tensor<6xf32>
func.func @reshape(%0: tensor<2x3xf32>) -> tensor<6xf32> {
  %1 = graph.reshape %0 : (tensor<2x3xf32>) -> tensor<6xf32>
  func.return %1 : tensor<6xf32>
}

// CHECK-LABEL: func.func @transpose(
// CHECK: graph.transpose %{{.*}} {permutation = array<i64: 1, 0>} : (tensor<2x3xui8>) -> tensor<3x2xui8>
func.func @transpose(%0: tensor<2x3xui8>) -> tensor<3x2xui8> {
  %1 = graph.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<2x3xui8>) -> tensor<3x2xui8>
  func.return %1 : tensor<3x2xui8>
}

// CHECK-LABEL: func.func @concat(
// CHECK: graph.concat %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
func.func @concat(%0: tensor<2x3xf32>, %1: tensor<2x1xf32>) -> tensor<2x4xf32> {
  %2 = graph.concat %0, %1 {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  func.return %2 : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @slice(
// CHECK: graph.slice %{{.*}} {starts = array<i64: 0, 1>, limits = array<i64: 2, 5>, steps = array<i64: 1, 2>} : (tensor<2x5xf32>) -> tensor<2x2xf32>
func.func @slice(%0: tensor<2x5xf32>) -> tensor<2x2xf32> {
  %1 = graph.slice %0 {starts = array<i64: 0, 1>, limits = array<i64: 2, 5>, steps = array<i64: 1, 2>} : (tensor<2x5xf32>) -> tensor<2x2xf32>
  func.return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: func.func @pad(
// CHECK: graph.pad %{{.*}} {low = array<i64: 0, 1>, high = array<i64: 0, 2>, value = 5.000000e-01 : f32} : (tensor<2x5xf32>) -> tensor<2x8xf32>
func.func @pad(%0: tensor<2x5xf32>) -> tensor<2x8xf32> {
  %1 = graph.pad %0 {low = array<i64: 0, 1>, high = array<i64: 0, 2>, value = 5.000000e-01 : f32} : (tensor<2x5xf32>) -> tensor<2x8xf32>
  func.return %1 : tensor<2x8xf32>
}

// CHECK-LABEL: func.func @broadcast(
// CHECK: graph.broadcast %{{.*}} : (tensor<1x5xf32>) -> tensor<2x5xf32>
func.func @broadcast(%0: tensor<1x5xf32>) -> tensor<2x5xf32> {
  %1 = graph.broadcast %0 : (tensor<1x5xf32>) -> tensor<2x5xf32>
  func.return %1 : tensor<2x5xf32>
}

// CHECK-LABEL: func.func @gather(
// CHECK: graph.gather %{{.*}}, %{{.*}} {axis = 0 : i64} : (tensor<4x5xf32>, tensor<3xi64>) -> tensor<3x5xf32>
func.func @gather(%0: tensor<4x5xf32>, %1: tensor<3xi64>) -> tensor<3x5xf32> {
  %2 = graph.gather %0, %1 {axis = 0 : i64} : (tensor<4x5xf32>, tensor<3xi64>) -> tensor<3x5xf32>
  func.return %2 : tensor<3x5xf32>
}

// CHECK-LABEL: func.func @resize_nearest(
// CHECK: graph.resize_nearest %{{.*}} {factors = array<i64: 2, 2>, layout = "nchw"} : (tensor<1x2x3x3xf32>) -> tensor<1x2x6x6xf32>
func.func @resize_nearest(%0: tensor<1x2x3x3xf32>) -> tensor<1x2x6x6xf32> {
  %1 = graph.resize_nearest %0 {factors = array<i64: 2, 2>, layout = "nchw"} : (tensor<1x2x3x3xf32>) -> tensor<1x2x6x6xf32>
  func.return %1 : tensor<1x2x6x6xf32>
}
