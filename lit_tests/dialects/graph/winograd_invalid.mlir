// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: no 3x3 window fits into (1, 2, 8, 16) with pads (0, 0, 0, 0)
func.func @window(%x: tensor<1x2x8x16xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 0, 0, 0, 0>, input_zero_point = 0 : i64} : (tensor<1x2x8x16xui8>) -> tensor<36x2x16xsi16>
  func.return
}

// -----

// CHECK: images of rank 4 and four pads, not (6, 7, 16) with pads (1, 1, 1, 1)
func.func @rank(%x: tensor<6x7x16xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 1, 1, 1, 1>, input_zero_point = 0 : i64} : (tensor<6x7x16xui8>) -> tensor<36x4x16xsi16>
  func.return
}

// -----

// CHECK: images of rank 4 and four pads, not (1, 6, 7, 16) with pads (1, 1)
func.func @pads(%x: tensor<1x6x7x16xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 1, 1>, input_zero_point = 0 : i64} : (tensor<1x6x7x16xui8>) -> tensor<36x4x16xsi16>
  func.return
}

// -----

// CHECK: result shape (36, 3, 16) should be (36, 4, 16)
func.func @tiles(%x: tensor<1x6x7x16xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 1, 1, 1, 1>, input_zero_point = 0 : i64} : (tensor<1x6x7x16xui8>) -> tensor<36x3x16xsi16>
  func.return
}

// -----

// CHECK: (36, 4, 16) are not the tiles of (1, 8, 9, 32)
func.func @other_tiles(%v: tensor<36x4x16xsi16>, %w: tensor<32x16x3x3xsi8>) {
  %0 = graph.winograd_qconv2d %v, %w {input_zero_point = 0 : i64} : (tensor<36x4x16xsi16>, tensor<32x16x3x3xsi8>) -> tensor<1x8x9x32xi32>
  func.return
}

// -----

// CHECK: (16, 4, 16) are not the tiles of (1, 8, 8, 32)
func.func @points(%v: tensor<16x4x16xsi16>, %w: tensor<32x16x3x3xsi8>) {
  %0 = graph.winograd_qconv2d %v, %w {input_zero_point = 0 : i64} : (tensor<16x4x16xsi16>, tensor<32x16x3x3xsi8>) -> tensor<1x8x8x32xi32>
  func.return
}

// -----

// CHECK: weight (32, 16, 5, 5) for 16 to 32 channels
func.func @weight(%v: tensor<36x4x16xsi16>, %w: tensor<32x16x5x5xsi8>) {
  %0 = graph.winograd_qconv2d %v, %w {input_zero_point = 0 : i64} : (tensor<36x4x16xsi16>, tensor<32x16x5x5xsi8>) -> tensor<1x8x8x32xi32>
  func.return
}

// -----

// CHECK: bias (16,) for 32 output channels
func.func @bias(%v: tensor<36x4x16xsi16>, %w: tensor<32x16x3x3xsi8>, %b: tensor<16xi32>) {
  %0 = graph.winograd_qconv2d %v, %w, %b {input_zero_point = 0 : i64} : (tensor<36x4x16xsi16>, tensor<32x16x3x3xsi8>, tensor<16xi32>) -> tensor<1x8x8x32xi32>
  func.return
}

// -----

// CHECK: points (36, 4, 16) of rank 3 give images of rank 4
func.func @result_rank(%v: tensor<36x4x16xsi16>, %w: tensor<32x16x3x3xsi8>) {
  %0 = graph.winograd_qconv2d %v, %w {input_zero_point = 0 : i64} : (tensor<36x4x16xsi16>, tensor<32x16x3x3xsi8>) -> tensor<8x8x32xi32>
  func.return
}

// -----

// CHECK: 7x8 padded pixels for stride 2
func.func @odd_rows(%x: tensor<1x7x8x3xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 0, 0, 0, 0>, input_zero_point = 0 : i64, stride = 2 : i64} : (tensor<1x7x8x3xui8>) -> tensor<36x1x12xsi16>
  func.return
}

// -----

// CHECK: 3 or 4 taps and stride 1 or 2, not 5 and 1
func.func @taps(%x: tensor<1x8x8x16xui8>) {
  %0 = graph.winograd_input %x {pads = array<i64: 0, 0, 0, 0>, input_zero_point = 0 : i64, taps = 5 : i64} : (tensor<1x8x8x16xui8>) -> tensor<36x4x16xsi16>
  func.return
}
