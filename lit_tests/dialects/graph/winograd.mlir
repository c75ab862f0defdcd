// RUN: lpc opt %s | lpc opt | filecheck %s

// Two images of 6×7 outputs: 2·2 tiles each.
// CHECK-LABEL: func.func @input(
// CHECK: graph.winograd_input %{{.*}} {pads = array<i64: 1, 1, 1, 1>, input_zero_point = 9 : i64} : (tensor<2x6x7x16xui8>) -> tensor<36x8x16xsi16>
func.func @input(%x: tensor<2x6x7x16xui8>) -> tensor<36x8x16xsi16> {
  %0 = graph.winograd_input %x {pads = array<i64: 1, 1, 1, 1>, input_zero_point = 9 : i64} : (tensor<2x6x7x16xui8>) -> tensor<36x8x16xsi16>
  func.return %0 : tensor<36x8x16xsi16>
}

// 4×4 windows over the channels of 2×2 pixels: 3 rows of 3 tiles for 7×8 outputs.
// CHECK-LABEL: func.func @pairs(
// CHECK: graph.winograd_input %{{.*}} {pads = array<i64: 3, 3, 1, 3>, input_zero_point = 9 : i64, taps = 4 : i64, stride = 2 : i64} : (tensor<1x16x16x3xui8>) -> tensor<36x9x12xsi16>
func.func @pairs(%x: tensor<1x16x16x3xui8>) -> tensor<36x9x12xsi16> {
  %0 = graph.winograd_input %x {pads = array<i64: 3, 3, 1, 3>, input_zero_point = 9 : i64, taps = 4 : i64, stride = 2 : i64} : (tensor<1x16x16x3xui8>) -> tensor<36x9x12xsi16>
  func.return %0 : tensor<36x9x12xsi16>
}

// CHECK-LABEL: func.func @products(
// CHECK: graph.winograd_qconv2d %{{.*}}, %{{.*}}, %{{.*}} {input_zero_point = 9 : i64} : (tensor<36x8x16xsi16>, tensor<32x16x3x3xsi8>, tensor<32xi32>) -> tensor<2x6x7x32xi32>
func.func @products(%v: tensor<36x8x16xsi16>, %w: tensor<32x16x3x3xsi8>, %b: tensor<32xi32>) -> tensor<2x6x7x32xi32> {
  %0 = graph.winograd_qconv2d %v, %w, %b {input_zero_point = 9 : i64} : (tensor<36x8x16xsi16>, tensor<32x16x3x3xsi8>, tensor<32xi32>) -> tensor<2x6x7x32xi32>
  func.return %0 : tensor<2x6x7x32xi32>
}

// CHECK-LABEL: func.func @without_bias(
// CHECK: graph.winograd_qconv2d %{{.*}}, %{{.*}} {input_zero_point = 0 : i64} : (tensor<36x1x16xsi16>, tensor<32x16x3x3xsi8>) -> tensor<1x4x1x32xi32>
func.func @without_bias(%v: tensor<36x1x16xsi16>, %w: tensor<32x16x3x3xsi8>) -> tensor<1x4x1x32xi32> {
  %0 = graph.winograd_qconv2d %v, %w {input_zero_point = 0 : i64} : (tensor<36x1x16xsi16>, tensor<32x16x3x3xsi8>) -> tensor<1x4x1x32xi32>
  func.return %0 : tensor<1x4x1x32xi32>
}
