// RUN: lpc opt %s -p 'canonicalize' | filecheck %s

// Quantized constants keep their codes, and a quantize is the business of quantize-weights.
// CHECK-LABEL: func.func @codes(
// CHECK-NEXT:  %0 = graph.constant {value = dense<[1, 2]> : tensor<2xsi8>} : tensor<2xsi8>
// CHECK-NEXT:  %1 = graph.dequantize %0 {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
// CHECK-NEXT:  %2 = graph.constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %3 = graph.quantize %2 {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
// CHECK-NEXT:  func.return %1, %3 : tensor<2xf32>, tensor<2xsi8>
func.func @codes() -> (tensor<2xf32>, tensor<2xsi8>) {
  %0 = graph.constant {value = dense<[1, 2]> : tensor<2xsi8>} : tensor<2xsi8>
  %1 = graph.dequantize %0 {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  %2 = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %3 = graph.quantize %2 {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
  func.return %1, %3 : tensor<2xf32>, tensor<2xsi8>
}

// A constant must not grow without bound.
// CHECK-LABEL: func.func @expand(
// CHECK-NEXT:  %0 = graph.constant {value = dense<1.000000e+00> : tensor<1x1xf32>} : tensor<1x1xf32>
// CHECK-NEXT:  %1 = graph.broadcast %0 : (tensor<1x1xf32>) -> tensor<1024x1024xf32>
// CHECK-NEXT:  func.return %1 : tensor<1024x1024xf32>
func.func @expand() -> tensor<1024x1024xf32> {
  %0 = graph.constant {value = dense<1.0> : tensor<1x1xf32>} : tensor<1x1xf32>
  %1 = graph.broadcast %0 : (tensor<1x1xf32>) -> tensor<1024x1024xf32>
  func.return %1 : tensor<1024x1024xf32>
}

// The zero widens the shape; zero minus x is no identity.
// CHECK-LABEL: func.func @widening_zero(
// CHECK-NEXT:  %1 = graph.constant {value = dense<0.000000e+00> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %2 = graph.add %0, %1 : (tensor<1xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  %3 = graph.sub %1, %2 : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %2, %3 : tensor<2xf32>, tensor<2xf32>
func.func @widening_zero(%0: tensor<1xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %1 = graph.constant {value = dense<[0.0, 0.0]> : tensor<2xf32>} : tensor<2xf32>
  %2 = graph.add %0, %1 : (tensor<1xf32>, tensor<2xf32>) -> tensor<2xf32>
  %3 = graph.sub %1, %2 : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return %2, %3 : tensor<2xf32>, tensor<2xf32>
}

// Without the broadcast the result would be smaller.
// CHECK-LABEL: func.func @needed_broadcast(
// CHECK-NEXT:  %2 = graph.broadcast %1 : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:  %3 = graph.add %0, %2 : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:  func.return %3 : tensor<2x3xf32>
func.func @needed_broadcast(%0: tensor<1x3xf32>, %1: tensor<3xf32>) -> tensor<2x3xf32> {
  %2 = graph.broadcast %1 : (tensor<3xf32>) -> tensor<2x3xf32>
  %3 = graph.add %0, %2 : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @gather_out_of_order(
// CHECK-NEXT:  %1 = graph.constant {value = dense<[1, 3, 2]> : tensor<3xi64>} : tensor<3xi64>
// CHECK-NEXT:  %2 = graph.gather %0, %1 {axis = 0 : i64} : (tensor<5x2xf32>, tensor<3xi64>) -> tensor<3x2xf32>
// CHECK-NEXT:  func.return %2 : tensor<3x2xf32>
func.func @gather_out_of_order(%0: tensor<5x2xf32>) -> tensor<3x2xf32> {
  %1 = graph.constant {value = dense<[1, 3, 2]> : tensor<3xi64>} : tensor<3xi64>
  %2 = graph.gather %0, %1 {axis = 0 : i64} : (tensor<5x2xf32>, tensor<3xi64>) -> tensor<3x2xf32>
  func.return %2 : tensor<3x2xf32>
}

// Another parameter, another value.
// CHECK-LABEL: func.func @different(
// CHECK-NEXT:  %1 = graph.softmax %0 {axis = 0 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  %2 = graph.softmax %0 {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  %3 = graph.add %1, %2 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  func.return %3 : tensor<2x2xf32>
func.func @different(%0: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %1 = graph.softmax %0 {axis = 0 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %2 = graph.softmax %0 {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %3 = graph.add %1, %2 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  func.return %3 : tensor<2x2xf32>
}

// maximum(NaN, 5) is 5, and a clip would pass the NaN.
// CHECK-LABEL: func.func @clamp_that_replaces_nan(
// CHECK:         graph.maximum %0, %1
// CHECK-NEXT:    graph.unary
func.func @clamp_that_replaces_nan(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = graph.constant {value = dense<5.0> : tensor<1xf32>} : tensor<1xf32>
  %2 = graph.maximum %0, %1 : (tensor<2xf32>, tensor<1xf32>) -> tensor<2xf32>
  %3 = graph.unary %2 {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %3 : tensor<2xf32>
}
