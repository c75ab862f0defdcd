// RUN: lpc opt %s -p 'fold-weight-movement' | filecheck %s

// The reshape merges the channels with another axis.
// CHECK-LABEL: func.func @merged_channels(
// CHECK-NEXT:  %c = graph.constant {value = dense<{{\[\[}}1, 2], [3, 4{{\]\]}}> : tensor<2x2xsi8>} : tensor<2x2xsi8>
// CHECK-NEXT:  %x = graph.dequantize %c {scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.reshape %x : (tensor<2x2xf32>) -> tensor<4xf32>
// CHECK-NEXT:  func.return %y : tensor<4xf32>
func.func @merged_channels() -> tensor<4xf32> {
  %c = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %x = graph.dequantize %c {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %y = graph.reshape %x : (tensor<2x2xf32>) -> tensor<4xf32>
  func.return %y : tensor<4xf32>
}

// An activation, not a weight: sink-dequantize moves that.
// CHECK-LABEL: func.func @unknown(
// CHECK-NEXT:  %x = graph.dequantize %c {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xsi8>) -> tensor<1x2xf32>
// CHECK-NEXT:  %y = graph.transpose %x {permutation = array<i64: 1, 0>} : (tensor<1x2xf32>) -> tensor<2x1xf32>
// CHECK-NEXT:  func.return %y : tensor<2x1xf32>
func.func @unknown(%c: tensor<1x2xsi8>) -> tensor<2x1xf32> {
  %x = graph.dequantize %c {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2xsi8>) -> tensor<1x2xf32>
  %y = graph.transpose %x {permutation = array<i64: 1, 0>} : (tensor<1x2xf32>) -> tensor<2x1xf32>
  func.return %y : tensor<2x1xf32>
}
