// RUN: lpc opt %s -p 'sink-dequantize' --split-input-file | filecheck %s

// The layer names stay with their ops.
func.func @reshape(%q: tensor<2x6xui8>) -> tensor<3x4xf32> {
  %x = graph.dequantize %q {layer = "dq", scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2x6xui8>) -> tensor<2x6xf32>
  %y = graph.reshape %x {layer = "flatten"} : (tensor<2x6xf32>) -> tensor<3x4xf32>
  func.return %y : tensor<3x4xf32>
}
// CHECK-LABEL: func.func @reshape
// CHECK-NEXT:    [[R:%.*]] = graph.reshape %q {layer = "flatten"} : (tensor<2x6xui8>) -> tensor<3x4xui8>
// CHECK-NEXT:    [[D:%.*]] = graph.dequantize [[R]] {layer = "dq", scale = array<f32: 5.000000e-01>, zero_point = array<i32: 3>
// CHECK-NEXT:    func.return [[D]]

// -----

func.func @reshape_keeps_channels(%q: tensor<2x3x4xsi8>) -> tensor<2x1x3x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25, 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3x4xsi8>) -> tensor<2x3x4xf32>
  %y = graph.reshape %x : (tensor<2x3x4xf32>) -> tensor<2x1x3x2x2xf32>
  func.return %y : tensor<2x1x3x2x2xf32>
}
// CHECK-LABEL: func.func @reshape_keeps_channels
// CHECK:         graph.reshape %q : (tensor<2x3x4xsi8>) -> tensor<2x1x3x2x2xsi8>
// CHECK-NEXT:    graph.dequantize {{.*}} axis = 2 : i64

// -----

func.func @transpose_renumbers_channels(%q: tensor<2x3x4xsi8>) -> tensor<4x2x3xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25, 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3x4xsi8>) -> tensor<2x3x4xf32>
  %y = graph.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  func.return %y : tensor<4x2x3xf32>
}
// CHECK-LABEL: func.func @transpose_renumbers_channels
// CHECK:         graph.transpose %q
// CHECK-NEXT:    graph.dequantize {{.*}} axis = 2 : i64

// -----

func.func @slice_takes_part_of_the_grid(%q: tensor<2x4xsi8>) -> tensor<2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 1.0, 2.0, 4.0, 8.0>, zero_point = array<i32: 5, 6, 7, 8>, axis = 1 : i64} : (tensor<2x4xsi8>) -> tensor<2x4xf32>
  %y = graph.slice %x {starts = array<i64: 0, 1>, limits = array<i64: 2, 4>, steps = array<i64: 1, 2>} : (tensor<2x4xf32>) -> tensor<2x2xf32>
  func.return %y : tensor<2x2xf32>
}
// CHECK-LABEL: func.func @slice_takes_part_of_the_grid
// CHECK:         graph.slice %q
// CHECK-NEXT:    scale = array<f32: 2.000000e+00, 8.000000e+00>, zero_point = array<i32: 6, 8>

// -----

func.func @max_pool(%q: tensor<1x2x4x4xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32>
  %y = graph.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
// CHECK-LABEL: func.func @max_pool
// CHECK:         graph.max_pool %q {{.*}} -> tensor<1x2x2x2xui8>
// CHECK-NEXT:    graph.dequantize

// -----

// Real −1.0 is the code 1 of scale 0.5 and zero point 3.
func.func @pad(%q: tensor<2xui8>) -> tensor<4xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2xui8>) -> tensor<2xf32>
  %y = graph.pad %x {low = array<i64: 1>, high = array<i64: 1>, value = -1.0 : f32} : (tensor<2xf32>) -> tensor<4xf32>
  func.return %y : tensor<4xf32>
}
// CHECK-LABEL: func.func @pad
// CHECK:         graph.pad %q {low = array<i64: 1>, high = array<i64: 1>, value = 1.000000e+00 : f32} : (tensor<2xui8>) -> tensor<4xui8>

// -----

func.func @gather_and_broadcast(%q: tensor<4x3xui8>, %i: tensor<2x2xi64>) -> (tensor<2x2x3xf32>, tensor<5x4x3xf32>) {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 1.0, 2.0>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<4x3xui8>) -> tensor<4x3xf32>
  %y = graph.gather %x, %i {axis = 0 : i64} : (tensor<4x3xf32>, tensor<2x2xi64>) -> tensor<2x2x3xf32>
  %z = graph.broadcast %x : (tensor<4x3xf32>) -> tensor<5x4x3xf32>
  func.return %y, %z : tensor<2x2x3xf32>, tensor<5x4x3xf32>
}
// CHECK-LABEL: func.func @gather_and_broadcast
// CHECK:         graph.gather %q, %i
// CHECK-NEXT:    graph.dequantize {{.*}} axis = 2 : i64
// CHECK-NEXT:    graph.broadcast %q
// CHECK-NEXT:    graph.dequantize {{.*}} axis = 2 : i64

// -----

func.func @concat_of_one_grid(%p: tensor<1x2xui8>, %q: tensor<1x3xui8>) -> tensor<1x5xf32> {
  %x = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2xui8>) -> tensor<1x2xf32>
  %y = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x3xui8>) -> tensor<1x3xf32>
  %z = graph.concat %x, %y {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x3xf32>) -> tensor<1x5xf32>
  func.return %z : tensor<1x5xf32>
}
// CHECK-LABEL: func.func @concat_of_one_grid
// CHECK-NEXT:    [[C:%.*]] = graph.concat %p, %q {axis = 1 : i64} : (tensor<1x2xui8>, tensor<1x3xui8>) -> tensor<1x5xui8>
// CHECK-NEXT:    graph.dequantize [[C]]

// -----

// Only the user that moves gets another dequantize.
func.func @other_users_keep_theirs(%q: tensor<2x3xui8>) -> (tensor<6xf32>, tensor<2x3xf32>) {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %y = graph.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
  %z = graph.unary %x {kind = "exp"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %y, %z : tensor<6xf32>, tensor<2x3xf32>
}
// CHECK-LABEL: func.func @other_users_keep_theirs
// CHECK-NEXT:    [[X:%.*]] = graph.dequantize %q
// CHECK-NEXT:    graph.reshape %q
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.unary [[X]]

// -----

func.func @same_grid_cancels(%q: tensor<4xui8>) -> tensor<4xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %y = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %y : tensor<4xui8>
}
// CHECK-LABEL: func.func @same_grid_cancels
// CHECK-NEXT:    func.return %q

// -----

// The range is no narrower than what the codes can reach.
func.func @known_range_cancels(%x: tensor<4xf32>) -> tensor<4xui8> {
  %q = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  %y = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %z = graph.quantize %y {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %z : tensor<4xui8>
}
// CHECK-LABEL: func.func @known_range_cancels
// CHECK-NEXT:    [[Q:%.*]] = graph.quantize %x
// CHECK-NEXT:    func.return [[Q]]
