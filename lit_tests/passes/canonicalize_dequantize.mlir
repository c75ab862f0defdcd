// RUN: lpc opt %s -p 'canonicalize{fold_dequantize=true}' | filecheck %s

// Once contractions are integer, what is left of dequantized constants is a float constant.
// CHECK-LABEL: func.func @codes(
// CHECK-NEXT:  %0 = graph.constant {value = dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  func.return %0 : tensor<2xf32>
func.func @codes() -> tensor<2xf32> {
  %0 = graph.constant {value = dense<[1, 2]> : tensor<2xsi8>} : tensor<2xsi8>
  %1 = graph.dequantize %0 {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  func.return %1 : tensor<2xf32>
}
