// RUN: lpc opt %s -p 'pack-weights{target="avx2"}' --split-input-file | filecheck %s

// CHECK-NOT: graph.packed_weights

// A product of two activations has no constant weight.
func.func @activations(%x: tensor<2x4xui8>, %y: tensor<4x2xui8>) -> tensor<2x2xi32> {
  %k = "graph.kernel"(%x, %y) ({
  ^bb0(%a: tensor<2x4xui8>, %b: tensor<4x2xui8>):
    %p = graph.qmatmul %a, %b {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x4xui8>, tensor<4x2xui8>) -> tensor<2x2xi32>
    graph.yield %p : tensor<2x2xi32>
  }) : (tensor<2x4xui8>, tensor<4x2xui8>) -> tensor<2x2xi32>
  func.return %k : tensor<2x2xi32>
}
// CHECK-LABEL: func.func @activations

// -----

// fp32 depthwise kernels read their weights as they are.
func.func @float_depthwise(%x: tensor<1x3x3x2xf32>) -> tensor<1x1x1x2xf32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x3x3x2xf32>):
    %w = graph.constant {value = dense<1.0> : tensor<2x1x3x3xf32>} : tensor<2x1x3x3xf32>
    %y = graph.conv2d %a, %w {layout = "nhwc", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x3x3x2xf32>, tensor<2x1x3x3xf32>) -> tensor<1x1x1x2xf32>
    graph.yield %y : tensor<1x1x1x2xf32>
  }) : (tensor<1x3x3x2xf32>) -> tensor<1x1x1x2xf32>
  func.return %k : tensor<1x1x1x2xf32>
}
// CHECK-LABEL: func.func @float_depthwise

// -----

// Not in a kernel: nothing decides on a tile yet.
func.func @no_kernel(%x: tensor<1x4xui8>) -> tensor<1x1xi32> {
  %w = graph.constant {value = dense<1> : tensor<4x1xsi8>} : tensor<4x1xsi8>
  %y = graph.qmatmul %x, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x4xui8>, tensor<4x1xsi8>) -> tensor<1x1xi32>
  func.return %y : tensor<1x1xi32>
}
// CHECK-LABEL: func.func @no_kernel
// CHECK-NOT: graph.packed_weights
