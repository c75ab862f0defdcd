// RUN: lpc opt %s -p 'fold-bias' | filecheck %s

// CHECK-LABEL: func.func @matmul(
// CHECK-NEXT:  %y = graph.constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_1 = graph.matmul %x, %w, %y {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2xf32>
func.func @matmul(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>) -> tensor<1x2xf32> {
  %b = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %b {layer = "bias"} : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// CHECK-LABEL: func.func @conv(
// CHECK-NEXT:  %y = graph.constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_1 = graph.conv2d %x, %w, %y {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @conv(%x: tensor<1x1x2x2xf32>, %w: tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32> {
  %b = graph.constant {value = dense<[[[[1.0]], [[2.0]]]]> : tensor<1x2x1x1xf32>} : tensor<1x2x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  %z = graph.add %b, %y : (tensor<1x2x1x1xf32>, tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %z : tensor<1x2x2x2xf32>
}

// A quantized bias stays quantized; one value serves all columns.
// CHECK-LABEL: func.func @dequantized(
// CHECK-NEXT:  %y = graph.constant {value = dense<[7, 8]> : tensor<2xi32>} : tensor<2xi32>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
// CHECK-NEXT:  %y_2 = graph.matmul %x, %w, %y_1 : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y_2 : tensor<1x2xf32>
func.func @dequantized(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>) -> tensor<1x2xf32> {
  %q = graph.constant {value = dense<[[7, 8]]> : tensor<1x2xi32>} : tensor<1x2xi32>
  %b = graph.dequantize %q {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xi32>) -> tensor<1x2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// CHECK-LABEL: func.func @scalar(
// CHECK-NEXT:  %y = graph.constant {value = dense<3.000000e+00> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y_1 = graph.matmul %x, %w, %y : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2xf32>
func.func @scalar(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>) -> tensor<1x2xf32> {
  %b = graph.constant {value = dense<3.0> : tensor<f32>} : tensor<f32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<f32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}
