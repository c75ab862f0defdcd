// RUN: lpc opt %s -p 'fold-batch-norm' | filecheck %s

// scale = 3 / sqrt(3 + 1) = 1.5 and 4 / sqrt(3 + 1) = 2; shift = 1 - 2 * 1.5 and 1 - 2 * 2.
// CHECK-LABEL: func.func @conv(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[\[\[}}1.500000e+00{{\]\]\]}}, {{\[\[\[}}4.000000e+00{{\]\]\]\]}}> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
// CHECK-NEXT:  %y_1 = graph.constant {value = dense<[1.300000e+01, 3.700000e+01]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_2 = graph.conv2d %x, %y, %y_1 {layer = "conv", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_2 : tensor<1x2x2x2xf32>
func.func @conv(%x: tensor<1x1x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %w = graph.constant {value = dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %b = graph.constant {value = dense<[10.0, 20.0]> : tensor<2xf32>} : tensor<2xf32>
  %s = graph.constant {value = dense<[3.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %o = graph.constant {value = dense<1.0> : tensor<2xf32>} : tensor<2xf32>
  %m = graph.constant {value = dense<2.0> : tensor<2xf32>} : tensor<2xf32>
  %v = graph.constant {value = dense<3.0> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.conv2d %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64, layer = "conv"} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  %z = graph.batch_norm %y, %s, %o, %m, %v {epsilon = 1.0 : f32, layer = "norm"} : (tensor<1x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  func.return %z : tensor<1x2x2x2xf32>
}

// CHECK-LABEL: func.func @conv_mul_add(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[\[\[}}3.000000e+00{{\]\]\]}}, {{\[\[\[}}8.000000e+00{{\]\]\]\]}}> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
// CHECK-NEXT:  %y_1 = graph.constant {value = dense<5.000000e+00> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_2 = graph.conv2d %x, %y, %y_1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_2 : tensor<1x2x2x2xf32>
func.func @conv_mul_add(%x: tensor<1x1x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %w = graph.constant {value = dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %s = graph.constant {value = dense<[[[3.0]], [[4.0]]]> : tensor<2x1x1xf32>} : tensor<2x1x1xf32>
  %t = graph.constant {value = dense<5.0> : tensor<f32>} : tensor<f32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  %z = graph.mul %s, %y : (tensor<2x1x1xf32>, tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  %r = graph.add %z, %t : (tensor<1x2x2x2xf32>, tensor<f32>) -> tensor<1x2x2x2xf32>
  func.return %r : tensor<1x2x2x2xf32>
}

// CHECK-LABEL: func.func @matmul_sub_div(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[}}5.000000e-01, 5.000000e-01], [1.500000e+00, 1.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %y_1 = graph.constant {value = dense<-1.000000e+00> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_2 = graph.matmul %x, %y, %y_1 : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y_2 : tensor<1x2xf32>
func.func @matmul_sub_div(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = graph.constant {value = dense<[2.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.sub %y, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %r = graph.div %z, %s : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %r : tensor<1x2xf32>
}

// A 1-D convolution is a reshaped 2-D one.
// CHECK-LABEL: func.func @through_reshape(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[\[\[}}3.000000e+00{{\]\]\]}}, {{\[\[\[}}8.000000e+00{{\]\]\]\]}}> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
// CHECK-NEXT:  %y_1 = graph.constant {value = dense<0.000000e+00> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_2 = graph.conv2d %x, %y, %y_1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x1x4xf32>
// CHECK-NEXT:  %z = graph.reshape %y_2 : (tensor<1x2x1x4xf32>) -> tensor<1x2x4xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2x4xf32>
func.func @through_reshape(%x: tensor<1x1x1x4xf32>) -> tensor<1x2x4xf32> {
  %w = graph.constant {value = dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %s = graph.constant {value = dense<[[3.0], [4.0]]> : tensor<2x1xf32>} : tensor<2x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x4xf32>
  %z = graph.reshape %y : (tensor<1x2x1x4xf32>) -> tensor<1x2x4xf32>
  %r = graph.mul %z, %s : (tensor<1x2x4xf32>, tensor<2x1xf32>) -> tensor<1x2x4xf32>
  func.return %r : tensor<1x2x4xf32>
}

// CHECK-LABEL: func.func @alone(
// CHECK-NEXT:  %z = graph.constant {value = dense<{{\[\[\[}}1.500000e+00], [2.000000e+00{{\]\]\]}}> : tensor<1x2x1xf32>} : tensor<1x2x1xf32>
// CHECK-NEXT:  %z_1 = graph.constant {value = dense<{{\[\[\[}}-2.000000e+00], [-3.000000e+00{{\]\]\]}}> : tensor<1x2x1xf32>} : tensor<1x2x1xf32>
// CHECK-NEXT:  %z_2 = graph.mul %x, %z {layer = "norm"} : (tensor<1x2x3xf32>, tensor<1x2x1xf32>) -> tensor<1x2x3xf32>
// CHECK-NEXT:  %z_3 = graph.add %z_2, %z_1 {layer = "norm"} : (tensor<1x2x3xf32>, tensor<1x2x1xf32>) -> tensor<1x2x3xf32>
// CHECK-NEXT:  func.return %z_3 : tensor<1x2x3xf32>
func.func @alone(%x: tensor<1x2x3xf32>) -> tensor<1x2x3xf32> {
  %s = graph.constant {value = dense<[3.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %o = graph.constant {value = dense<1.0> : tensor<2xf32>} : tensor<2xf32>
  %m = graph.constant {value = dense<2.0> : tensor<2xf32>} : tensor<2xf32>
  %v = graph.constant {value = dense<3.0> : tensor<2xf32>} : tensor<2xf32>
  %z = graph.batch_norm %x, %s, %o, %m, %v {epsilon = 1.0 : f32, layer = "norm"} : (tensor<1x2x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x3xf32>
  func.return %z : tensor<1x2x3xf32>
}
