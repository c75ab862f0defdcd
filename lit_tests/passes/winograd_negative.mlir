// RUN: lpc opt %s -p 'winograd{target=avx2}' --split-input-file | filecheck %s

// CHECK-NOT: graph.winograd

// Every second pixel: tiles would compute four times as many.
func.func @stride(%x: tensor<1x14x14x64xui8>) -> tensor<1x7x7x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x7x7x64xi32>
    graph.yield %c : tensor<1x7x7x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x7x7x64xi32>
  func.return %0 : tensor<1x7x7x64xi32>
}
// CHECK-LABEL: func.func @stride(
// CHECK-NOT: graph.winograd

// -----

// Taps that lie apart.
func.func @dilation(%x: tensor<1x14x14x64xui8>) -> tensor<1x12x12x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 2, 2>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x12x12x64xi32>
    graph.yield %c : tensor<1x12x12x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x12x12x64xi32>
  func.return %0 : tensor<1x12x12x64xi32>
}
// CHECK-LABEL: func.func @dilation(
// CHECK-NOT: graph.winograd

// -----

// Groups.
func.func @groups(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x32x3x3xsi8>} : tensor<64x32x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 2 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x32x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @groups(
// CHECK-NOT: graph.winograd

// -----

// Another window.
func.func @window(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x1x1xsi8>} : tensor<64x64x1x1xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x64x1x1xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @window(
// CHECK-NOT: graph.winograd

// -----

// Signed codes: unsign-activations makes them unsigned where it can.
func.func @signed(%x: tensor<1x14x14x64xsi8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xsi8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xsi8>, tensor<64x64x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xsi8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @signed(
// CHECK-NOT: graph.winograd

// -----

// Differences from a zero point of weights need not fit 16 bits when transformed.
func.func @weight_zero_point(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 1>} : (tensor<1x14x14x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @weight_zero_point(
// CHECK-NOT: graph.winograd

// -----

// Output channels that are not whole vectors.
func.func @outputs(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x72xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<72x64x3x3xsi8>} : tensor<72x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<72x64x3x3xsi8>) -> tensor<1x14x14x72xi32>
    graph.yield %c : tensor<1x14x14x72xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x72xi32>
  func.return %0 : tensor<1x14x14x72xi32>
}
// CHECK-LABEL: func.func @outputs(
// CHECK-NOT: graph.winograd

// -----

// Few input channels: the transforms cost as much as the products.
func.func @inputs(%x: tensor<1x14x14x8xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x8xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x8x3x3xsi8>} : tensor<64x8x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x8xui8>, tensor<64x8x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x8xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @inputs(
// CHECK-NOT: graph.winograd

// -----

// 255 · 9 · 64 · 128 fits 32 bits with the factor of 64, 255 · 9 · 128 · 128 does not.
func.func @large(%x: tensor<1x14x14x128xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x128xui8>):
    %w = graph.constant {value = dense<-128> : tensor<64x128x3x3xsi8>} : tensor<64x128x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x128xui8>, tensor<64x128x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x128xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}
// CHECK-LABEL: func.func @large(
// CHECK-NOT: graph.winograd

// -----

// One tile: reading the weights takes longer than direct convolution.
func.func @small(%x: tensor<1x4x4x64xui8>) -> tensor<1x4x4x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x4x4x64xi32>
    graph.yield %c : tensor<1x4x4x64xi32>
  }) {layer = "conv"} : (tensor<1x4x4x64xui8>) -> tensor<1x4x4x64xi32>
  func.return %0 : tensor<1x4x4x64xi32>
}
// CHECK-LABEL: func.func @small(
// CHECK-NOT: graph.winograd
