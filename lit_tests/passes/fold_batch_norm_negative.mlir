// RUN: lpc opt %s -p 'fold-batch-norm' | filecheck %s

// Quantized weights: their rounding belongs to the model.
// CHECK-LABEL: func.func @quantized_weights(
// CHECK-NEXT:  %q = graph.constant {value = dense<{{\[\[}}1, 2], [3, 4{{\]\]}}> : tensor<2x2xsi8>} : tensor<2x2xsi8>
// CHECK-NEXT:  %w = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.mul %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @quantized_weights(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %q = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %w = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %s = graph.constant {value = dense<[2.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.mul %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// Somebody else reads the convolution's result.
// CHECK-LABEL: func.func @two_users(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.mul %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y, %z : tensor<1x2xf32>, tensor<1x2xf32>
func.func @two_users(%x: tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = graph.constant {value = dense<[2.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.mul %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %y, %z : tensor<1x2xf32>, tensor<1x2xf32>
}

// The factor varies along rows, not columns.
// CHECK-LABEL: func.func @other_axis(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<{{\[\[}}2.000000e+00], [4.000000e+00{{\]\]}}> : tensor<2x1xf32>} : tensor<2x1xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  %z = graph.mul %y, %s : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  func.return %z : tensor<2x2xf32>
func.func @other_axis(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = graph.constant {value = dense<[[2.0], [4.0]]> : tensor<2x1xf32>} : tensor<2x1xf32>
  %y = graph.matmul %x, %w : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %z = graph.mul %y, %s : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  func.return %z : tensor<2x2xf32>
}

// The reshape merges the channels with the columns.
// CHECK-LABEL: func.func @merging_reshape(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[\[\[}}1.000000e+00{{\]\]\]}}, {{\[\[\[}}2.000000e+00{{\]\]\]\]}}> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00, 5.000000e+00, 6.000000e+00, 7.000000e+00, 8.000000e+00]> : tensor<8xf32>} : tensor<8xf32>
// CHECK-NEXT:  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x4xf32>
// CHECK-NEXT:  %z = graph.reshape %y : (tensor<1x2x1x4xf32>) -> tensor<1x8xf32>
// CHECK-NEXT:  %r = graph.mul %z, %s : (tensor<1x8xf32>, tensor<8xf32>) -> tensor<1x8xf32>
// CHECK-NEXT:  func.return %r : tensor<1x8xf32>
func.func @merging_reshape(%x: tensor<1x1x1x4xf32>) -> tensor<1x8xf32> {
  %w = graph.constant {value = dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %s = graph.constant {value = dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>} : tensor<8xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x4xf32>
  %z = graph.reshape %y : (tensor<1x2x1x4xf32>) -> tensor<1x8xf32>
  %r = graph.mul %z, %s : (tensor<1x8xf32>, tensor<8xf32>) -> tensor<1x8xf32>
  func.return %r : tensor<1x8xf32>
}

// Constant minus x negates x: not a shift.
// CHECK-LABEL: func.func @reversed_sub(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.sub %s, %y : (tensor<2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @reversed_sub(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = graph.constant {value = dense<[2.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.sub %s, %y : (tensor<2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// CHECK-LABEL: func.func @parameters_unknown(
// CHECK-NEXT:  %z = graph.batch_norm %x, %s, %s, %s, %s {epsilon = 1.000000e+00 : f32} : (tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @parameters_unknown(%x: tensor<1x2xf32>, %s: tensor<2xf32>) -> tensor<1x2xf32> {
  %z = graph.batch_norm %x, %s, %s, %s, %s {epsilon = 1.0 : f32} : (tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// Division by zero gives infinities, which folded weights cannot.
// CHECK-LABEL: func.func @division_by_zero(
// CHECK-NEXT:  %w = graph.constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %s = graph.constant {value = dense<[2.000000e+00, 0.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.div %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @division_by_zero(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = graph.constant {value = dense<[2.0, 0.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.div %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}
