// RUN: lpc opt %s -p 'hoist-quantize' --split-input-file | filecheck %s

func.func @movement(%x: tensor<2x6xf32>) -> tensor<3x4xui8> {
  %y = graph.reshape %x {layer = "reshape"} : (tensor<2x6xf32>) -> tensor<4x3xf32>
  %z = graph.transpose %y {permutation = array<i64: 1, 0>} : (tensor<4x3xf32>) -> tensor<3x4xf32>
  %q = graph.quantize %z {layer = "q", scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<3x4xf32>) -> tensor<3x4xui8>
  func.return %q : tensor<3x4xui8>
}
// CHECK-LABEL: func.func @movement
// CHECK-NEXT:    graph.quantize %x {layer = "q", {{.*}} : (tensor<2x6xf32>) -> tensor<2x6xui8>
// CHECK-NEXT:    graph.reshape {{.*}} {layer = "reshape"} : (tensor<2x6xui8>) -> tensor<4x3xui8>
// CHECK-NEXT:    graph.transpose {{.*}} : (tensor<4x3xui8>) -> tensor<3x4xui8>

// -----

func.func @concat(%x: tensor<1x2xf32>, %y: tensor<1x3xf32>) -> tensor<1x5xui8> {
  %z = graph.concat %x, %y {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x3xf32>) -> tensor<1x5xf32>
  %q = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x5xf32>) -> tensor<1x5xui8>
  func.return %q : tensor<1x5xui8>
}
// CHECK-LABEL: func.func @concat
// CHECK-NEXT:    [[X:%.*]] = graph.quantize %x
// CHECK-NEXT:    [[Y:%.*]] = graph.quantize %y
// CHECK-NEXT:    graph.concat [[X]], [[Y]] {axis = 1 : i64} : (tensor<1x2xui8>, tensor<1x3xui8>) -> tensor<1x5xui8>

// -----

// 0.3 / 0.5 rounds to 1: the padding is the code 4.
func.func @pad_and_max_pool(%a: tensor<1x1x4x4xi32>) -> tensor<1x1x3x3xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x1x4x4xi32>) -> tensor<1x1x4x4xf32>
  %p = graph.pad %x {low = array<i64: 0, 0, 1, 1>, high = array<i64: 0, 0, 1, 1>, value = 0.3 : f32} : (tensor<1x1x4x4xf32>) -> tensor<1x1x6x6xf32>
  %m = graph.max_pool %p {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x1x6x6xf32>) -> tensor<1x1x3x3xf32>
  %q = graph.quantize %m {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x1x3x3xf32>) -> tensor<1x1x3x3xui8>
  func.return %q : tensor<1x1x3x3xui8>
}
// CHECK-LABEL: func.func @pad_and_max_pool
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.quantize %x
// CHECK-NEXT:    graph.pad {{.*}} value = 4.000000e+00 : f32
// CHECK-NEXT:    graph.max_pool {{.*}} -> tensor<1x1x3x3xui8>

// -----

// A NaN would become −128, and −7 after; accumulators give none.
func.func @relu(%a: tensor<4xi32>) -> tensor<4xsi8> {
  %x = graph.dequantize %a {scale = array<f32: 0.01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4xi32>) -> tensor<4xf32>
  %y = graph.unary %x {kind = "relu"} : (tensor<4xf32>) -> tensor<4xf32>
  %q = graph.quantize %y {scale = array<f32: 0.5>, zero_point = array<i32: -7>, axis = 1 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<4xf32>) -> tensor<4xsi8>
  func.return %q : tensor<4xsi8>
}
// CHECK-LABEL: func.func @relu
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.quantize %x {{.*}} qmin = -7 : i64, qmax = 127 : i64

// -----

func.func @clip(%a: tensor<4xi32>) -> tensor<4xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4xi32>) -> tensor<4xf32>
  %y = graph.unary %x {kind = "clip", alpha = 0.0 : f32, beta = 6.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %q = graph.quantize %y {scale = array<f32: 0.05>, zero_point = array<i32: 10>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %q : tensor<4xui8>
}
// CHECK-LABEL: func.func @clip
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.quantize %x {{.*}} qmin = 10 : i64, qmax = 130 : i64

// -----

// Of a float, too, where a NaN becomes the same code as before.
func.func @relu_of_float(%x: tensor<4xf32>) -> tensor<4xui8> {
  %y = graph.unary %x {kind = "relu"} : (tensor<4xf32>) -> tensor<4xf32>
  %q = graph.quantize %y {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %q : tensor<4xui8>
}
// CHECK-LABEL: func.func @relu_of_float
// CHECK-NEXT:    graph.quantize %x {{.*}} qmin = 0 : i64, qmax = 255 : i64

// -----

// The other user of the clamp keeps it.
func.func @minimum_of_two_uses(%a: tensor<4xi32>) -> (tensor<4xui8>, tensor<4xf32>) {
  %x = graph.dequantize %a {scale = array<f32: 0.01>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<4xi32>) -> tensor<4xf32>
  %six = graph.constant {value = dense<6.0> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.minimum %x, %six : (tensor<4xf32>, tensor<1xf32>) -> tensor<4xf32>
  %q = graph.quantize %y {scale = array<f32: 0.05>, zero_point = array<i32: 10>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %q, %y : tensor<4xui8>, tensor<4xf32>
}
// CHECK-LABEL: func.func @minimum_of_two_uses
// CHECK:         [[Y:%.*]] = graph.minimum %x
// CHECK-NEXT:    [[Q:%.*]] = graph.quantize %x {{.*}} qmin = 0 : i64, qmax = 130 : i64
// CHECK-NEXT:    func.return [[Q]], [[Y]]

// -----

// What stood around the movement cancels.
func.func @meets_dequantize(%q: tensor<1x2xui8>, %x: tensor<1x3xf32>) -> tensor<1x5xui8> {
  %d = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %z = graph.concat %d, %x {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x3xf32>) -> tensor<1x5xf32>
  %r = graph.quantize %z {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x5xf32>) -> tensor<1x5xui8>
  func.return %r : tensor<1x5xui8>
}
// CHECK-LABEL: func.func @meets_dequantize
// CHECK-NEXT:    [[X:%.*]] = graph.quantize %x
// CHECK-NEXT:    graph.concat %q, [[X]]
