// RUN: lpc opt %s -p 'assign-layouts' | filecheck %s

// The producer fills a halo with the zero point, so that no window branches. Few channels stay dense.
// CHECK-LABEL: func.func @halo(
// CHECK:         }) {layer = "first", halo_codes = array<i32: 9>} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8, #graph.layout<array<i64: 2, 1, 1, 1, 1>>>
// CHECK:         }) {layer = "second"} : (tensor<1x4x4x2xui8, #graph.layout<array<i64: 2, 1, 1, 1, 1>>>) -> tensor<1x4x4x5xui8>
func.func @halo(%x: tensor<1x4x4x2xui8>) -> tensor<1x4x4x5xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
    graph.yield %t : tensor<1x4x4x2xui8>
  }) {layer = "first"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %w = graph.constant {value = dense<1> : tensor<5x2x3x3xsi8>} : tensor<5x2x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x2xui8>, tensor<5x2x3x3xsi8>) -> tensor<1x4x4x5xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x5xi32>) -> tensor<1x4x4x5xui8>
    graph.yield %q : tensor<1x4x4x5xui8>
  }) {layer = "second"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x5xui8>
  func.return %1 : tensor<1x4x4x5xui8>
}

// A depthwise convolution may have a zero point for each channel: so has the halo.
// CHECK-LABEL: func.func @halo_per_channel(
// CHECK:         }) {layer = "first", halo_codes = array<i32: 9, 4>} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8, #graph.layout<array<i64: 2, 1, 1, 1, 1>>>
func.func @halo_per_channel(%x: tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
    graph.yield %t : tensor<1x4x4x2xui8>
  }) {layer = "first"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %w = graph.constant {value = dense<1> : tensor<2x1x3x3xsi8>} : tensor<2x1x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 2 : i64, input_zero_point = array<i32: 9, 4>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x2xui8>, tensor<2x1x3x3xsi8>) -> tensor<1x4x4x2xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x2xi32>) -> tensor<1x4x4x2xui8>
    graph.yield %q : tensor<1x4x4x2xui8>
  }) {layer = "second"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
  func.return %1 : tensor<1x4x4x2xui8>
}

// A model input has the caller's layout: a copy gets the halo.
// CHECK-LABEL: func.func @input(
// CHECK-NEXT:    %0 = "graph.kernel"(%x) ({
// CHECK:           graph.reshape
// CHECK:         }) {layer = "conv", halo_codes = array<i32: 9>} : (tensor<1x4x4x4xui8>) -> tensor<1x4x4x4xui8, #graph.layout<array<i64: 4, 1, 1, 1, 1>>>
// CHECK-NEXT:    "graph.kernel"(%0)
func.func @input(%x: tensor<1x4x4x4xui8>) -> tensor<1x4x4x5xui8> {
  %1 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x4xui8>):
    %w = graph.constant {value = dense<1> : tensor<5x4x3x3xsi8>} : tensor<5x4x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x4xui8>, tensor<5x4x3x3xsi8>) -> tensor<1x4x4x5xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x5xi32>) -> tensor<1x4x4x5xui8>
    graph.yield %q : tensor<1x4x4x5xui8>
  }) {layer = "conv"} : (tensor<1x4x4x4xui8>) -> tensor<1x4x4x5xui8>
  func.return %1 : tensor<1x4x4x5xui8>
}

// Two readers that want different codes in the halo: one of them reads a copy.
// CHECK-LABEL: func.func @two_halos(
// CHECK:         }) {layer = "first", halo_codes = array<i32: 5>}
// CHECK:           graph.reshape
// CHECK:         }) {layer = "a", halo_codes = array<i32: 9>}
func.func @two_halos(%x: tensor<1x4x4x2xui8>) -> (tensor<1x4x4x5xui8>, tensor<1x4x4x5xui8>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
    graph.yield %t : tensor<1x4x4x2xui8>
  }) {layer = "first"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %w = graph.constant {value = dense<1> : tensor<5x2x3x3xsi8>} : tensor<5x2x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x2xui8>, tensor<5x2x3x3xsi8>) -> tensor<1x4x4x5xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x5xi32>) -> tensor<1x4x4x5xui8>
    graph.yield %q : tensor<1x4x4x5xui8>
  }) {layer = "a"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x5xui8>
  %2 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x4x4x2xui8>):
    %w = graph.constant {value = dense<1> : tensor<5x2x3x3xsi8>} : tensor<5x2x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 5>, weight_zero_point = array<i32: 0>} : (tensor<1x4x4x2xui8>, tensor<5x2x3x3xsi8>) -> tensor<1x4x4x5xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x5xi32>) -> tensor<1x4x4x5xui8>
    graph.yield %q : tensor<1x4x4x5xui8>
  }) {layer = "b"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x5xui8>
  func.return %1, %2 : tensor<1x4x4x5xui8>, tensor<1x4x4x5xui8>
}

// Sixteen channels and more have room for whole vectors.
// CHECK-LABEL: func.func @room(
// CHECK:         }) {layer = "first"} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8, #graph.layout<array<i64: 32, 0, 0, 0, 0>>>
// CHECK:         }) {layer = "second"} : (tensor<1x4x4x20xui8, #graph.layout<array<i64: 32, 0, 0, 0, 0>>>) -> tensor<1x4x4x20xui8>
func.func @room(%x: tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x20xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
    graph.yield %t : tensor<1x4x4x20xui8>
  }) {layer = "first"} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x4x4x20xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
    graph.yield %t : tensor<1x4x4x20xui8>
  }) {layer = "second"} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
  func.return %1 : tensor<1x4x4x20xui8>
}

// Transformed inputs of Winograd's filtering: 36 rows are written in turn. 16 tiles of 64 channels in 16 bits are half a
// page, so that rows would meet in the cache: one more pixel lies between them. 12 tiles need none.
// CHECK-LABEL: func.func @winograd(
// CHECK:         }) {layer = "a"} : (tensor<1x16x16x64xui8>) -> tensor<36x16x64xsi16, #graph.layout<array<i64: 64, 0, 0, 0, 1>>>
// CHECK:         }) {layer = "b"} : (tensor<1x14x18x64xui8>) -> tensor<36x12x64xsi16>
func.func @winograd(%x: tensor<1x16x16x64xui8>, %y: tensor<1x14x18x64xui8>) -> (tensor<1x14x14x64xi32>, tensor<1x12x16x64xi32>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x16x16x64xui8>):
    %v = graph.winograd_input %a {pads = array<i64: 0, 0, 0, 0>, input_zero_point = 9 : i64} : (tensor<1x16x16x64xui8>) -> tensor<36x16x64xsi16>
    graph.yield %v : tensor<36x16x64xsi16>
  }) {layer = "a"} : (tensor<1x16x16x64xui8>) -> tensor<36x16x64xsi16>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%v: tensor<36x16x64xsi16>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.winograd_qconv2d %v, %w {input_zero_point = 9 : i64} : (tensor<36x16x64xsi16>, tensor<64x64x3x3xsi8>) -> tensor<1x14x14x64xi32>
    graph.yield %c : tensor<1x14x14x64xi32>
  }) {layer = "a"} : (tensor<36x16x64xsi16>) -> tensor<1x14x14x64xi32>
  %2 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x14x18x64xui8>):
    %v = graph.winograd_input %a {pads = array<i64: 0, 0, 0, 0>, input_zero_point = 9 : i64} : (tensor<1x14x18x64xui8>) -> tensor<36x12x64xsi16>
    graph.yield %v : tensor<36x12x64xsi16>
  }) {layer = "b"} : (tensor<1x14x18x64xui8>) -> tensor<36x12x64xsi16>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%v: tensor<36x12x64xsi16>):
    %w = graph.constant {value = dense<1> : tensor<64x64x3x3xsi8>} : tensor<64x64x3x3xsi8>
    %c = graph.winograd_qconv2d %v, %w {input_zero_point = 9 : i64} : (tensor<36x12x64xsi16>, tensor<64x64x3x3xsi8>) -> tensor<1x12x16x64xi32>
    graph.yield %c : tensor<1x12x16x64xi32>
  }) {layer = "b"} : (tensor<36x12x64xsi16>) -> tensor<1x12x16x64xi32>
  func.return %1, %3 : tensor<1x14x14x64xi32>, tensor<1x12x16x64xi32>
}

// A concatenation in place: parts have the strides and the halo of the whole, and each producer fills its own channels
// of the halo, although only the whole has a reader that wants one.
// CHECK-LABEL: func.func @parts(
// CHECK:         }) {layer = "a", halo_codes = array<i32: 9>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8, #graph.layout<array<i64: 32, 1, 1, 1, 1>>>
// CHECK:         }) {layer = "b", halo_codes = array<i32: 9>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8, #graph.layout<array<i64: 32, 1, 1, 1, 1>>>
// CHECK:         graph.concat {{.*}} -> tensor<1x2x2x21xui8, #graph.layout<array<i64: 32, 1, 1, 1, 1>>>
func.func @parts(%x: tensor<1x2x2x16xui8>, %y: tensor<1x2x2x5xui8>) -> tensor<1x2x2x16xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x2x2x5xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
    graph.yield %t : tensor<1x2x2x5xui8>
  }) {layer = "b"} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
  %2 = graph.concat %0, %1 {axis = 3 : i64, layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x21xui8>):
    %w = graph.constant {value = dense<1> : tensor<16x21x3x3xsi8>} : tensor<16x21x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x2x2x21xui8>, tensor<16x21x3x3xsi8>) -> tensor<1x2x2x16xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x16xi32>) -> tensor<1x2x2x16xui8>
    graph.yield %q : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x21xui8>) -> tensor<1x2x2x16xui8>
  func.return %3 : tensor<1x2x2x16xui8>
}

// The caller's buffer is dense, and so are pixels of which it has the parts.
// CHECK-LABEL: func.func @whole_result(
// CHECK:         }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8, #graph.layout<array<i64: 21, 0, 0, 0, 0>>>
// CHECK:         graph.concat {{.*}} -> tensor<1x2x2x21xui8>
// CHECK-NEXT:    func.return
func.func @whole_result(%x: tensor<1x2x2x16xui8>, %y: tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x2x2x5xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
    graph.yield %t : tensor<1x2x2x5xui8>
  }) {layer = "b"} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
  %2 = graph.concat %0, %1 {axis = 3 : i64, layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
  func.return %2 : tensor<1x2x2x21xui8>
}

// It has no halo: where a reader of a part wants one, the whole has memory of its own, and is copied.
// CHECK-LABEL: func.func @part_with_halo(
// CHECK:         }) {layer = "a", halo_codes = array<i32: 9>} {{.*}} -> tensor<1x2x2x16xui8, #graph.layout<array<i64: 32, 1, 1, 1, 1>>>
// CHECK:         %2 = graph.concat
// CHECK:         %4 = "graph.kernel"(%2)
// CHECK:           graph.reshape
// CHECK:         }) {layer = "join"} {{.*}} -> tensor<1x2x2x21xui8>
// CHECK-NEXT:    func.return %3, %4
func.func @part_with_halo(%x: tensor<1x2x2x16xui8>, %y: tensor<1x2x2x5xui8>) -> (tensor<1x2x2x16xui8>, tensor<1x2x2x21xui8>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x2x2x5xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
    graph.yield %t : tensor<1x2x2x5xui8>
  }) {layer = "b"} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
  %2 = graph.concat %0, %1 {axis = 3 : i64, layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
  %3 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %w = graph.constant {value = dense<1> : tensor<16x16x3x3xsi8>} : tensor<16x16x3x3xsi8>
    %c = graph.qconv2d %a, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 9>, weight_zero_point = array<i32: 0>} : (tensor<1x2x2x16xui8>, tensor<16x16x3x3xsi8>) -> tensor<1x2x2x16xi32>
    %q = graph.requantize %c {multiplier = array<f32: 0.01>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x16xi32>) -> tensor<1x2x2x16xui8>
    graph.yield %q : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  func.return %3, %2 : tensor<1x2x2x16xui8>, tensor<1x2x2x21xui8>
}
