// RUN: lpc opt %s -p 'recover-weight-grid' | filecheck %s

// Ordinary weights.
// CHECK-LABEL: func.func @ordinary(
// CHECK-NEXT:  %x = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, -0.739085078], [0.567143321, 0.318309903{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2xf32>
func.func @ordinary(%q: tensor<1x2xui8>) -> tensor<1x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %w = graph.constant {value = dense<[[1.0, -0.7390851], [0.5671433, 0.3183099]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %y = graph.matmul %x, %w {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}

// Ordinary weights, three per column.
// CHECK-LABEL: func.func @ordinary_columns(
// CHECK-NEXT:  %x = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00], [0.739085078], [0.567143321{{\]\]}}> : tensor<3x1xf32>} : tensor<3x1xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
// CHECK-NEXT:  func.return %y : tensor<1x1xf32>
func.func @ordinary_columns(%q: tensor<1x3xui8>) -> tensor<1x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
  %w = graph.constant {value = dense<[[1.0], [0.7390851], [0.5671433]]> : tensor<3x1xf32>} : tensor<3x1xf32>
  %y = graph.matmul %x, %w : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}

// More than 8 bits: 1000 steps of 0.001.
// CHECK-LABEL: func.func @fine_grid(
// CHECK-NEXT:  %x = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00], [9.990000e-01], [5.010000e-01{{\]\]}}> : tensor<3x1xf32>} : tensor<3x1xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
// CHECK-NEXT:  func.return %y : tensor<1x1xf32>
func.func @fine_grid(%q: tensor<1x3xui8>) -> tensor<1x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
  %w = graph.constant {value = dense<[[1.0], [0.999], [0.501]]> : tensor<3x1xf32>} : tensor<3x1xf32>
  %y = graph.matmul %x, %w : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}

// The other operand is no code, so an integer convolution is out of reach.
// CHECK-LABEL: func.func @float_activation(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, -2.000000e+00], [2.500000e-01, 5.000000e-01{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2xf32>
func.func @float_activation(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = graph.constant {value = dense<[[1.0, -2.0], [0.25, 0.5]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}
