// RUN: lpc opt %s -p 'quantize-weights' | filecheck %s

// Ties go to even, the ends saturate.
// CHECK-LABEL: func.func @constant(
// CHECK-NEXT:  %q = graph.constant {value = dense<[0, 2, 0, 127, -127]> : tensor<5xsi8>} : tensor<5xsi8>
// CHECK-NEXT:  func.return %q : tensor<5xsi8>
func.func @constant() -> tensor<5xsi8> {
  %x = graph.constant {value = dense<[0.25, 0.75, -0.25, 100.0, -100.0]> : tensor<5xf32>} : tensor<5xf32>
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -127 : i64, qmax = 127 : i64, layer = "q"} : (tensor<5xf32>) -> tensor<5xsi8>
  func.return %q : tensor<5xsi8>
}

// CHECK-LABEL: func.func @per_channel(
// CHECK-NEXT:  %q = graph.constant {value = dense<{{\[\[}}2, 4], [11, 15{{\]\]}}> : tensor<2x2xui8>} : tensor<2x2xui8>
// CHECK-NEXT:  func.return %q : tensor<2x2xui8>
func.func @per_channel() -> tensor<2x2xui8> {
  %x = graph.constant {value = dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %q = graph.quantize %x {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0, 7>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}

// The dequantize that follows is what a contraction looks for: it stays.
// CHECK-LABEL: func.func @chain(
// CHECK-NEXT:  %q = graph.constant {value = dense<[132, 136]> : tensor<2xui8>} : tensor<2xui8>
// CHECK-NEXT:  %y = graph.dequantize %q {scale = array<f32: 2.500000e-01>, zero_point = array<i32: 128>, axis = 0 : i64} : (tensor<2xui8>) -> tensor<2xf32>
// CHECK-NEXT:  func.return %y : tensor<2xf32>
func.func @chain() -> tensor<2xf32> {
  %c = graph.constant {value = dense<[2, 4]> : tensor<2xsi8>} : tensor<2xsi8>
  %x = graph.dequantize %c {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  %q = graph.quantize %x {scale = array<f32: 0.25>, zero_point = array<i32: 128>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  %y = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 128>, axis = 0 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}
