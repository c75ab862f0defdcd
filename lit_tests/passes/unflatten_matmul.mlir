// RUN: lpc opt %s -p 'unflatten-matmul,canonicalize' --split-input-file | filecheck %s

// The reshape before is undone, the one behind moves there; the grid's axis follows.
func.func @linear(%a: tensor<2x3x4xui8>) -> tensor<2x3x2xui8> {
  %w = graph.constant {value = dense<[[1, 2], [3, 4], [5, 6], [7, 8]]> : tensor<4x2xsi8>} : tensor<4x2xsi8>
  %f = graph.reshape %a : (tensor<2x3x4xui8>) -> tensor<6x4xui8>
  %m = graph.qmatmul %f, %w {layer = "fc", a_zero_point = 3 : i64, b_zero_point = array<i32: 0>} : (tensor<6x4xui8>, tensor<4x2xsi8>) -> tensor<6x2xi32>
  %q = graph.requantize %m {layer = "q", multiplier = array<f32: 0.5, 0.25>, axis = 1 : i64, zero_point = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<6x2xi32>) -> tensor<6x2xui8>
  %r = graph.reshape %q {layer = "r"} : (tensor<6x2xui8>) -> tensor<2x3x2xui8>
  %x = graph.dequantize %r {scale = array<f32: 0.5>, zero_point = array<i32: 1>, axis = 1 : i64} : (tensor<2x3x2xui8>) -> tensor<2x3x2xf32>
  %y = graph.quantize %x {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3x2xf32>) -> tensor<2x3x2xui8>
  func.return %y : tensor<2x3x2xui8>
}
// CHECK-LABEL: func.func @linear
// CHECK-NEXT:    graph.constant
// CHECK-NEXT:    %[[M:.*]] = graph.qmatmul %a, %{{.*}} {layer = "fc", {{.*}}} : (tensor<2x3x4xui8>, tensor<4x2xsi8>) -> tensor<2x3x2xi32>
// CHECK-NEXT:    %[[Q:.*]] = graph.requantize %[[M]] {layer = "q", {{.*}}axis = 2 : i64{{.*}}} : (tensor<2x3x2xi32>) -> tensor<2x3x2xui8>
// CHECK-NEXT:    graph.dequantize %[[Q]]

// -----

// A reshape that only behind: its input gets one, which is a view.
func.func @float_with_bias(%a: tensor<6x4xf32>) -> tensor<1x6x2xf32> {
  %w = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>} : tensor<4x2xf32>
  %b = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %m = graph.matmul %a, %w, %b : (tensor<6x4xf32>, tensor<4x2xf32>, tensor<2xf32>) -> tensor<6x2xf32>
  %t = graph.unary %m {kind = "tanh"} : (tensor<6x2xf32>) -> tensor<6x2xf32>
  %r = graph.reshape %t : (tensor<6x2xf32>) -> tensor<1x6x2xf32>
  %y = graph.unary %r {kind = "relu"} : (tensor<1x6x2xf32>) -> tensor<1x6x2xf32>
  func.return %y : tensor<1x6x2xf32>
}
// CHECK-LABEL: func.func @float_with_bias
// CHECK:         graph.reshape %a : (tensor<6x4xf32>) -> tensor<1x6x4xf32>
// CHECK-NEXT:    graph.matmul {{.*}} -> tensor<1x6x2xf32>
// CHECK-NEXT:    graph.unary {{.*}} {kind = "tanh"} : (tensor<1x6x2xf32>)
// CHECK-NEXT:    graph.unary {{.*}} {kind = "relu"} : (tensor<1x6x2xf32>)
