// RUN: lpc opt %s -p absorb-output-scale --split-input-file | filecheck %s

// A residual addition with relu: the scale of the result moves into the operands.
func.func @residual(%p: tensor<1x4x4x8xui8>, %q: tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 3 : i64} : (tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xf32>
  %b = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 3 : i64} : (tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xf32>
  %s = graph.add %a, %b : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %r = graph.unary %s {kind = "relu"} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %y = graph.quantize %r {scale = array<f32: 2.0>, zero_point = array<i32: 5>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xui8>
  func.return %y : tensor<1x4x4x8xui8>
}
// CHECK-LABEL: func.func @residual
// CHECK-NEXT:    graph.dequantize %p {scale = array<f32: 2.500000e-01>, zero_point = array<i32: 0>
// CHECK-NEXT:    graph.dequantize %q {scale = array<f32: 1.250000e-01>, zero_point = array<i32: 0>
// CHECK-NEXT:    graph.add
// CHECK-NEXT:    graph.constant {value = dense<-7.500000e-01>
// CHECK-NEXT:    graph.add
// CHECK-NEXT:    graph.quantize {{.*}}scale = array<f32: 1.000000e+00>, zero_point = array<i32: 5>, axis = 3 : i64, qmin = 5 : i64, qmax = 255 : i64
// CHECK-NEXT:    func.return

// -----

// A gate: operands may broadcast.
func.func @gate(%p: tensor<1x4x4x8xui8>, %q: tensor<1x1x1x8xui8>) -> tensor<1x4x4x8xui8> {
  %a = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 3 : i64} : (tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xf32>
  %b = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 3 : i64} : (tensor<1x1x1x8xui8>) -> tensor<1x1x1x8xf32>
  %s = graph.mul %a, %b : (tensor<1x4x4x8xf32>, tensor<1x1x1x8xf32>) -> tensor<1x4x4x8xf32>
  %y = graph.quantize %s {scale = array<f32: 2.0>, zero_point = array<i32: 5>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xui8>
  func.return %y : tensor<1x4x4x8xui8>
}
// CHECK-LABEL: func.func @gate
// CHECK-NEXT:    graph.dequantize %p {scale = array<f32: 1.000000e+00>, zero_point = array<i32: 3>
// CHECK-NEXT:    graph.dequantize %q {scale = array<f32: 6.250000e-02>, zero_point = array<i32: 0>
// CHECK-NEXT:    graph.mul
// CHECK-NEXT:    graph.quantize {{.*}}scale = array<f32: 1.000000e+00>, zero_point = array<i32: 5>
// CHECK-NEXT:    func.return
