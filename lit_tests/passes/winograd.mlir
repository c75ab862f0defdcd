// RUN: lpc opt %s -p 'winograd{target=avx2}' --split-input-file | filecheck %s

// Two kernels: the first has the padding, both belong to the layer.
// CHECK-LABEL: func.func @plain(
// CHECK-NEXT:    %0 = "graph.kernel"(%x) ({
// CHECK:           %[[V:.*]] = graph.winograd_input %{{.*}} {pads = array<i64: 1, 1, 1, 1>, input_zero_point = 9 : i64} : (tensor<1x14x14x64xui8>) -> tensor<36x16x64xsi16>
// CHECK-NEXT:      graph.yield %[[V]]
// CHECK-NEXT:    }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<36x16x64xsi16>
// CHECK-NEXT:    %1 = "graph.kernel"(%0) ({
// CHECK:           graph.winograd_qconv2d %{{.*}}, %{{.*}} {input_zero_point = 9 : i64} : (tensor<36x16x64xsi16>, tensor<64x64x3x3xsi8>) -> tensor<1x14x14x64xi32>
// CHECK:         }) {layer = "conv"} : (tensor<36x16x64xsi16>) -> tensor<1x14x14x64xi32>
// CHECK-NEXT:    func.return %1
func.func @plain(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xi32>
  func.return %0 : tensor<1x14x14x64xi32>
}

// -----

// A ragged edge and no padding: 4 x 4 tiles for 13 x 14 outputs.
// CHECK-LABEL: func.func @ragged(
// CHECK:         graph.winograd_input %{{.*}} {pads = array<i64: 0, 0, 0, 0>, {{.*}} : (tensor<1x15x16x64xui8>) -> tensor<36x16x64xsi16>
// CHECK:         graph.winograd_qconv2d
func.func @ragged(%x: tensor<1x15x16x64xui8>) -> tensor<1x13x14x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x15x16x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x15x16x64xui8>, tensor<64x64x3x3xsi8>) -> tensor<1x13x14x64xi32>
    graph.yield %c : tensor<1x13x14x64xi32>
  }) {layer = "conv"} : (tensor<1x15x16x64xui8>) -> tensor<1x13x14x64xi32>
  func.return %0 : tensor<1x13x14x64xi32>
}

// -----

// The bias and the epilogue stay with the products, which read the input, too.
// CHECK-LABEL: func.func @residual(
// CHECK:         graph.winograd_input
// CHECK:         "graph.kernel"(%0, %x) ({
// CHECK-NEXT:    ^bb0(%{{.*}}: tensor<36x16x64xsi16>, %[[X:.*]]: tensor<1x14x14x64xui8>):
// CHECK:           graph.winograd_qconv2d %{{.*}}, %{{.*}}, %{{.*}} {input_zero_point = 9 : i64}
// CHECK-NEXT:      graph.requantize
// CHECK:           graph.dequantize %[[X]]
// CHECK:           graph.quantize
func.func @residual(%x: tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x14x14x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %b = graph.constant {value = dense<5> : tensor<64xi32>} : tensor<64xi32>
    %c = graph.qconv2d %a, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x14x14x64xui8>, tensor<64x64x3x3xsi8>, tensor<64xi32>) -> tensor<1x14x14x64xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x14x14x64xi32>) -> tensor<1x14x14x64xui8>
    %d = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xf32>
    %e = graph.dequantize %a {scale = array<f32: 0.1>, zero_point = array<i32: 9>, axis = 3 : i64} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xf32>
    %s = graph.add %d, %e : (tensor<1x14x14x64xf32>, tensor<1x14x14x64xf32>) -> tensor<1x14x14x64xf32>
    %y = graph.quantize %s {scale = array<f32: 0.1>, zero_point = array<i32: 7>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x14x14x64xf32>) -> tensor<1x14x14x64xui8>
    graph.yield %y : tensor<1x14x14x64xui8>
  }) {layer = "conv"} : (tensor<1x14x14x64xui8>) -> tensor<1x14x14x64xui8>
  func.return %0 : tensor<1x14x14x64xui8>
}

// -----

// Stride two over an image: stride one over the channels of 2×2 pixels, 12 of them, with windows of 4×4.
// CHECK-LABEL: func.func @image(
// CHECK:         graph.winograd_input %{{.*}} {pads = array<i64: 3, 3, 3, 3>, input_zero_point = 9 : i64, taps = 4 : i64, stride = 2 : i64} : (tensor<1x64x64x3xui8>) -> tensor<36x121x12xsi16>
// CHECK:         graph.winograd_qconv2d %{{.*}}, %{{.*}} {input_zero_point = 9 : i64} : (tensor<36x121x12xsi16>, tensor<64x12x4x4xsi8>) -> tensor<1x32x32x64xi32>
func.func @image(%x: tensor<1x64x64x3xui8>) -> tensor<1x32x32x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x64x64x3xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x3x7x7xsi8>} : tensor<64x3x7x7xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 2, 2>, pads = array<i64: 3, 3, 3, 3>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x64x64x3xui8>, tensor<64x3x7x7xsi8>) -> tensor<1x32x32x64xi32>
    graph.yield %c : tensor<1x32x32x64xi32>
  }) {layer = "conv"} : (tensor<1x64x64x3xui8>) -> tensor<1x32x32x64xi32>
  func.return %0 : tensor<1x32x32x64xi32>
}

// -----

// 63 padded rows and columns do for 29 windows of 7: one more makes pairs of them.
// CHECK-LABEL: func.func @odd(
// CHECK:         graph.winograd_input %{{.*}} {pads = array<i64: 0, 0, 1, 1>, {{.*}} : (tensor<1x63x63x3xui8>) -> tensor<36x100x12xsi16>
func.func @odd(%x: tensor<1x63x63x3xui8>) -> tensor<1x29x29x64xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x63x63x3xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x3x7x7xsi8>} : tensor<64x3x7x7xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x63x63x3xui8>, tensor<64x3x7x7xsi8>) -> tensor<1x29x29x64xi32>
    graph.yield %c : tensor<1x29x29x64xi32>
  }) {layer = "conv"} : (tensor<1x63x63x3xui8>) -> tensor<1x29x29x64xi32>
  func.return %0 : tensor<1x29x29x64xi32>
}
