// RUN: lpc opt %s -p 'quantize-weights' | filecheck %s

// CHECK-LABEL: func.func @unknown(
// CHECK-NEXT:  %q = graph.quantize %x {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
// CHECK-NEXT:  func.return %q : tensor<2xsi8>
func.func @unknown(%x: tensor<2xf32>) -> tensor<2xsi8> {
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
  func.return %q : tensor<2xsi8>
}

// CHECK-LABEL: func.func @unknown_codes(
// CHECK-NEXT:  %x = graph.dequantize %c {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
// CHECK-NEXT:  %q = graph.quantize %x {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
// CHECK-NEXT:  func.return %q : tensor<2xsi8>
func.func @unknown_codes(%c: tensor<2xsi8>) -> tensor<2xsi8> {
  %x = graph.dequantize %c {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
  func.return %q : tensor<2xsi8>
}
