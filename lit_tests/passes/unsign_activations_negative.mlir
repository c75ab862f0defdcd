// RUN: lpc opt %s -p 'unsign-activations' --split-input-file | filecheck %s

// CHECK-NOT: graph.recode

// Unsigned already.
func.func @unsigned(%q: tensor<4xui8>) -> tensor<4xf32> {
  %d = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 128>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  func.return %d : tensor<4xf32>
}
// CHECK-LABEL: func.func @unsigned
// CHECK-NEXT:    graph.dequantize %q {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 128>

// -----

// Weights of a layer that stayed float: codes of the model, no activation.
func.func @float_layer(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %q = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %w = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %y = graph.matmul %x, %w : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  func.return %y : tensor<2x2xf32>
}
// CHECK-LABEL: func.func @float_layer
// CHECK:         graph.constant {{.*}} tensor<2x2xsi8>
// CHECK-NEXT:    graph.dequantize {{.*}} zero_point = array<i32: 0>

// -----

// An input that goes straight through keeps its type without a detour.
func.func @untouched(%q: tensor<4xsi8>) -> tensor<4xsi8> {
  func.return %q : tensor<4xsi8>
}
// CHECK-LABEL: func.func @untouched
// CHECK-NEXT:    func.return %q
