// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: shapes (2,), (3,) do not broadcast
func.func @add(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.add %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @sub(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.sub %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @mul(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.mul %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @div(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.div %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @maximum(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.maximum %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @minimum(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.minimum %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @pow(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.pow %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: shapes (2,), (3,) do not broadcast
func.func @prelu(%0: tensor<2xf32>, %1: tensor<3xf32>) {
  %2 = graph.prelu %0, %1 : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: unknown function 'wobble'
func.func @unary_kind(%0: tensor<2xf32>) {
  %1 = graph.unary %0 {kind = "wobble"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

// CHECK: result shape (3,) should be (2,)
func.func @cast_shape(%0: tensor<2xf32>) {
  %1 = graph.cast %0 : (tensor<2xf32>) -> tensor<3xi32>
  func.return
}
