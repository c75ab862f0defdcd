// RUN: lpc opt %s -p 'unflatten-matmul' --split-input-file | filecheck %s

// The last axis changes: rows of the result are no rows of the matmul.
func.func @other_rows(%a: tensor<6x4xf32>) -> tensor<2x6xf32> {
  %w = graph.constant {value = dense<1.0> : tensor<4x2xf32>} : tensor<4x2xf32>
  %m = graph.matmul %a, %w : (tensor<6x4xf32>, tensor<4x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %m : (tensor<6x2xf32>) -> tensor<2x6xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<2x6xf32>) -> tensor<2x6xf32>
  func.return %y : tensor<2x6xf32>
}
// CHECK-LABEL: func.func @other_rows
// CHECK:         graph.matmul {{.*}} -> tensor<6x2xf32>

// -----

// Nothing elementwise would ride in the matmul.
func.func @read_by_softmax(%a: tensor<6x4xf32>) -> tensor<2x3x2xf32> {
  %w = graph.constant {value = dense<1.0> : tensor<4x2xf32>} : tensor<4x2xf32>
  %m = graph.matmul %a, %w : (tensor<6x4xf32>, tensor<4x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %m : (tensor<6x2xf32>) -> tensor<2x3x2xf32>
  %y = graph.softmax %r {axis = 2 : i64} : (tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
  func.return %y : tensor<2x3x2xf32>
}
// CHECK-LABEL: func.func @read_by_softmax
// CHECK:         graph.matmul {{.*}} -> tensor<6x2xf32>

// -----

// The flat result has another user.
func.func @two_users(%a: tensor<6x4xf32>) -> (tensor<2x3x2xf32>, tensor<6x2xf32>) {
  %w = graph.constant {value = dense<1.0> : tensor<4x2xf32>} : tensor<4x2xf32>
  %m = graph.matmul %a, %w : (tensor<6x4xf32>, tensor<4x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %m : (tensor<6x2xf32>) -> tensor<2x3x2xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
  func.return %y, %m : tensor<2x3x2xf32>, tensor<6x2xf32>
}
// CHECK-LABEL: func.func @two_users
// CHECK:         graph.matmul {{.*}} -> tensor<6x2xf32>

// -----

// Two activations: the second operand has leading axes of its own.
func.func @activations(%a: tensor<6x4xf32>, %w: tensor<4x2xf32>) -> tensor<2x3x2xf32> {
  %m = graph.matmul %a, %w : (tensor<6x4xf32>, tensor<4x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %m : (tensor<6x2xf32>) -> tensor<2x3x2xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
  func.return %y : tensor<2x3x2xf32>
}
// CHECK-LABEL: func.func @activations
// CHECK:         graph.matmul {{.*}} -> tensor<6x2xf32>

// -----

// A scale for each row, not for each column.
func.func @scale_per_row(%a: tensor<2x4xui8>) -> tensor<1x2x2xui8> {
  %w = graph.constant {value = dense<1> : tensor<4x2xsi8>} : tensor<4x2xsi8>
  %m = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x4xui8>, tensor<4x2xsi8>) -> tensor<2x2xi32>
  %q = graph.requantize %m {multiplier = array<f32: 0.5, 0.25>, axis = 0 : i64, zero_point = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xi32>) -> tensor<2x2xui8>
  %r = graph.reshape %q : (tensor<2x2xui8>) -> tensor<1x2x2xui8>
  %y = graph.lut %r {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2xui8>) -> tensor<1x2x2xui8>
  func.return %y : tensor<1x2x2xui8>
}
// CHECK-LABEL: func.func @scale_per_row
// CHECK:         axis = 0 : i64

// -----

// Kernels see four axes.
func.func @many_axes(%a: tensor<6x4xf32>) -> tensor<1x2x3x1x2xf32> {
  %w = graph.constant {value = dense<1.0> : tensor<4x2xf32>} : tensor<4x2xf32>
  %m = graph.matmul %a, %w : (tensor<6x4xf32>, tensor<4x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %m : (tensor<6x2xf32>) -> tensor<1x2x3x1x2xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<1x2x3x1x2xf32>) -> tensor<1x2x3x1x2xf32>
  func.return %y : tensor<1x2x3x1x2xf32>
}
// CHECK-LABEL: func.func @many_axes
// CHECK:         graph.matmul {{.*}} -> tensor<6x2xf32>

// -----

// A matmul makes no vector.
func.func @vector(%a: tensor<1x4xf32>) -> tensor<2xf32> {
  %w = graph.constant {value = dense<1.0> : tensor<4x2xf32>} : tensor<4x2xf32>
  %m = graph.matmul %a, %w : (tensor<1x4xf32>, tensor<4x2xf32>) -> tensor<1x2xf32>
  %r = graph.reshape %m : (tensor<1x2xf32>) -> tensor<2xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}
// CHECK-LABEL: func.func @vector
// CHECK:         graph.matmul {{.*}} -> tensor<1x2xf32>
