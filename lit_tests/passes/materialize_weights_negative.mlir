// RUN: lpc opt %s -p 'materialize-weights' | filecheck %s

// The codes are only known at run time.
// CHECK-LABEL: func.func @activations(
// CHECK-NEXT:    %r = graph.dequantize %x
func.func @activations(%x: tensor<2xsi8>) -> tensor<2xf32> {
  %r = graph.dequantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  func.return %r : tensor<2xf32>
}
