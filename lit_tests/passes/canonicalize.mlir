// RUN: lpc opt %s -p 'canonicalize' | filecheck %s

// Constants: the interpreter computes the result.
// CHECK-LABEL: func.func @fold(
// CHECK-NEXT:  %0 = graph.constant {value = dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  func.return %0 : tensor<2xf32>
func.func @fold() -> tensor<2xf32> {
  %0 = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %1 = graph.constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %2 = graph.mul %0, %1 : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  func.return %2 : tensor<2xf32>
}

// CHECK-LABEL: func.func @fold_transpose(
// CHECK-NEXT:  %0 = graph.constant {value = dense<{{\[\[}}1, 3], [2, 4{{\]\]}}> : tensor<2x2xsi8>} : tensor<2x2xsi8>
// CHECK-NEXT:  func.return %0 : tensor<2x2xsi8>
func.func @fold_transpose() -> tensor<2x2xsi8> {
  %0 = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %1 = graph.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<2x2xsi8>) -> tensor<2x2xsi8>
  func.return %1 : tensor<2x2xsi8>
}

// Ops that change nothing.
// CHECK-LABEL: func.func @identities(
// CHECK-NEXT:  func.return %0 : tensor<2x3xf32>
func.func @identities(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %1 = graph.reshape %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = graph.transpose %1 {permutation = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = graph.slice %2 {starts = array<i64: 0, 0>, limits = array<i64: 2, 3>, steps = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = graph.pad %3 {low = array<i64: 0, 0>, high = array<i64: 0, 0>, value = 0.0 : f32} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = graph.broadcast %4 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %6 = graph.cast %5 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %7 = graph.concat %6 {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %7 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @neutral_operands(
// CHECK-NEXT:  func.return %0 : tensor<2xf32>
func.func @neutral_operands(%0: tensor<2xf32>) -> tensor<2xf32> {
  %zero = graph.constant {value = dense<0.0> : tensor<f32>} : tensor<f32>
  %one = graph.constant {value = dense<1.0> : tensor<f32>} : tensor<f32>
  %1 = graph.add %zero, %0 : (tensor<f32>, tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.sub %1, %zero : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %3 = graph.mul %2, %one : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %4 = graph.div %3, %one : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  func.return %4 : tensor<2xf32>
}

// Chains.
// CHECK-LABEL: func.func @reshapes(
// CHECK-NEXT:  %1 = graph.reshape %0 {layer = "second"} : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:  func.return %1 : tensor<3x2xf32>
func.func @reshapes(%0: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %1 = graph.reshape %0 {layer = "first"} : (tensor<2x3xf32>) -> tensor<6xf32>
  %2 = graph.reshape %1 {layer = "second"} : (tensor<6xf32>) -> tensor<3x2xf32>
  func.return %2 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @transposes(
// CHECK-NEXT:  %1 = graph.transpose %0 {permutation = array<i64: 2, 1, 0>} : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
// CHECK-NEXT:  func.return %1 : tensor<4x3x2xf32>
func.func @transposes(%0: tensor<2x3x4xf32>) -> tensor<4x3x2xf32> {
  %1 = graph.transpose %0 {permutation = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %2 = graph.transpose %1 {permutation = array<i64: 1, 0, 2>} : (tensor<3x4x2xf32>) -> tensor<4x3x2xf32>
  func.return %2 : tensor<4x3x2xf32>
}

// CHECK-LABEL: func.func @transpose_of_unit_axis(
// CHECK-NEXT:  %1 = graph.reshape %0 : (tensor<1x49x10x1xf32>) -> tensor<1x1x49x10xf32>
// CHECK-NEXT:  func.return %1 : tensor<1x1x49x10xf32>
func.func @transpose_of_unit_axis(%0: tensor<1x49x10x1xf32>) -> tensor<1x1x49x10xf32> {
  %1 = graph.transpose %0 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x49x10x1xf32>) -> tensor<1x1x49x10xf32>
  func.return %1 : tensor<1x1x49x10xf32>
}

// CHECK-LABEL: func.func @clamps(
// CHECK-NEXT:  %1 = graph.unary %0 {kind = "clip", alpha = 0.000000e+00 : f32, beta = 6.000000e+00 : f32} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %1 : tensor<2xf32>
func.func @clamps(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.unary %0 {kind = "clip", alpha = -1.0 : f32, beta = 6.0 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.unary %1 {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %2 : tensor<2xf32>
}

// CHECK-LABEL: func.func @relus(
// CHECK-NEXT:  %1 = graph.unary %0 {layer = "second", kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %1 : tensor<2xf32>
func.func @relus(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.unary %0 {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.unary %1 {kind = "relu", layer = "second"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %2 : tensor<2xf32>
}

// CHECK-LABEL: func.func @disjoint_clamps(
// CHECK-NEXT:  %1 = graph.unary %0 {kind = "clip", alpha = 2.000000e+00 : f32, beta = 2.000000e+00 : f32} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %1 : tensor<2xf32>
func.func @disjoint_clamps(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.unary %0 {kind = "clip", alpha = 0.0 : f32, beta = 1.0 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.unary %1 {kind = "clip", alpha = 2.0 : f32, beta = 3.0 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %2 : tensor<2xf32>
}

// CHECK-LABEL: func.func @broadcast_operand(
// CHECK-NEXT:  %2 = graph.add %0, %1 : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:  func.return %2 : tensor<2x3xf32>
func.func @broadcast_operand(%0: tensor<2x3xf32>, %1: tensor<3xf32>) -> tensor<2x3xf32> {
  %2 = graph.broadcast %1 : (tensor<3xf32>) -> tensor<2x3xf32>
  %3 = graph.add %0, %2 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @gather_of_a_range(
// CHECK-NEXT:  %1 = graph.slice %0 {starts = array<i64: 1, 0>, limits = array<i64: 4, 2>, steps = array<i64: 1, 1>} : (tensor<5x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:  %2 = graph.reshape %1 : (tensor<3x2xf32>) -> tensor<1x3x2xf32>
// CHECK-NEXT:  func.return %2 : tensor<1x3x2xf32>
func.func @gather_of_a_range(%0: tensor<5x2xf32>) -> tensor<1x3x2xf32> {
  %1 = graph.constant {value = dense<[[1, 2, 3]]> : tensor<1x3xi64>} : tensor<1x3xi64>
  %2 = graph.gather %0, %1 {axis = 0 : i64} : (tensor<5x2xf32>, tensor<1x3xi64>) -> tensor<1x3x2xf32>
  func.return %2 : tensor<1x3x2xf32>
}

// Dead and duplicate ops.
// CHECK-LABEL: func.func @dead(
// CHECK-NEXT:  func.return %0 : tensor<2xf32>
func.func @dead(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.unary %0 {kind = "exp"} : (tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.unary %1 {kind = "log"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %0 : tensor<2xf32>
}

// CHECK-LABEL: func.func @duplicates(
// CHECK-NEXT:  %1 = graph.unary %0 {layer = "a", kind = "exp"} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  %2 = graph.add %1, %1 {layer = "c"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %2 : tensor<2xf32>
func.func @duplicates(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.unary %0 {kind = "exp", layer = "a"} : (tensor<2xf32>) -> tensor<2xf32>
  %2 = graph.unary %0 {kind = "exp", layer = "b"} : (tensor<2xf32>) -> tensor<2xf32>
  %3 = graph.add %1, %2 {layer = "c"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return %3 : tensor<2xf32>
}
