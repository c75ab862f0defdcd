// RUN: lpc opt %s -p 'recover-weight-grid' | filecheck %s

// One grid of step 0.25 for the tensor; it is the coarsest one.
// CHECK-LABEL: func.func @per_tensor(
// CHECK-NEXT:  %x = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
// CHECK-NEXT:  %0 = graph.constant {value = dense<{{\[\[}}4, -8], [1, 2{{\]\]}}> : tensor<2x2xsi8>} : tensor<2x2xsi8>
// CHECK-NEXT:  %1 = graph.dequantize %0 {layer = "dense", scale = array<f32: 2.500000e-01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %1 {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2xf32>
func.func @per_tensor(%q: tensor<1x2xui8>) -> tensor<1x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %w = graph.constant {value = dense<[[1.0, -2.0], [0.25, 0.5]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %y = graph.matmul %x, %w {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}

// A grid for each column.
// CHECK-LABEL: func.func @per_column(
// CHECK-NEXT:  %x = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
// CHECK-NEXT:  %0 = graph.constant {value = dense<{{\[\[}}127, 127], [1, 10{{\]\]}}> : tensor<2x2xsi8>} : tensor<2x2xsi8>
// CHECK-NEXT:  %1 = graph.dequantize %0 {layer = "dense", scale = array<f32: 1.000000e-02, 0.0236220472>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %1 {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2xf32>
func.func @per_column(%q: tensor<1x2xui8>) -> tensor<1x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %w = graph.constant {value = dense<[[1.27, 3.0], [0.01, 0.2362204725]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %y = graph.matmul %x, %w {layer = "dense"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}

// Codes are looked at through ops that move them.
// CHECK-LABEL: func.func @conv_after_pool(
// CHECK-NEXT:  %p = graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x4x4xsi8>) -> tensor<1x1x4x4xf32>
// CHECK-NEXT:  %x = graph.max_pool %p {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32>
// CHECK-NEXT:  %0 = graph.constant {value = dense<{{\[\[\[\[}}1{{\]\]\]}}, {{\[\[\[}}-2{{\]\]\]\]}}> : tensor<2x1x1x1xsi8>} : tensor<2x1x1x1xsi8>
// CHECK-NEXT:  %1 = graph.dequantize %0 {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x1x1x1xsi8>) -> tensor<2x1x1x1xf32>
// CHECK-NEXT:  %y = graph.conv2d %x, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @conv_after_pool(%q: tensor<1x1x4x4xsi8>) -> tensor<1x2x2x2xf32> {
  %p = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x4x4xsi8>) -> tensor<1x1x4x4xf32>
  %x = graph.max_pool %p {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32>
  %w = graph.constant {value = dense<[[[[0.5]]], [[[-1.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
