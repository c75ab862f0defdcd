// RUN: lpc opt %s -p 'fold-weight-movement' | filecheck %s

// CHECK-LABEL: func.func @transpose(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[}}2], [4{{\]\]}}> : tensor<2x1xsi8>} : tensor<2x1xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "move", scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x1xsi8>) -> tensor<2x1xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<2x1xf32>
func.func @transpose() -> tensor<2x1xf32> {
  %c = graph.constant {value = dense<[[2, 4]]> : tensor<1x2xsi8>} : tensor<1x2xsi8>
  %x = graph.dequantize %c {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xsi8>) -> tensor<1x2xf32>
  %y = graph.transpose %x {permutation = array<i64: 1, 0>, layer = "move"} : (tensor<1x2xf32>) -> tensor<2x1xf32>
  func.return %y : tensor<2x1xf32>
}

// CHECK-LABEL: func.func @reshape(
// CHECK-NEXT:  %y = graph.constant {value = dense<{{\[\[\[}}2], [4{{\]\]\]}}> : tensor<1x2x1xsi8>} : tensor<1x2x1xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2x1xsi8>) -> tensor<1x2x1xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x1xf32>
func.func @reshape() -> tensor<1x2x1xf32> {
  %c = graph.constant {value = dense<[2, 4]> : tensor<2xsi8>} : tensor<2xsi8>
  %x = graph.dequantize %c {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  %y = graph.reshape %x : (tensor<2xf32>) -> tensor<1x2x1xf32>
  func.return %y : tensor<1x2x1xf32>
}

// CHECK-LABEL: func.func @per_tensor(
// CHECK-NEXT:  %z = graph.constant {value = dense<[1, 3, 2, 4]> : tensor<4xsi8>} : tensor<4xsi8>
// CHECK-NEXT:  %z_1 = graph.dequantize %z {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4xsi8>) -> tensor<4xf32>
// CHECK-NEXT:  func.return %z_1 : tensor<4xf32>
func.func @per_tensor() -> tensor<4xf32> {
  %c = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %x = graph.dequantize %c {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %y = graph.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %z = graph.reshape %y : (tensor<2x2xf32>) -> tensor<4xf32>
  func.return %z : tensor<4xf32>
}
