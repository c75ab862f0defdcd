// RUN: lpc opt %s -p 'unsign-activations' --split-input-file | filecheck %s

func.func @main(%q: tensor<1x1x2x2xsi8>) -> tensor<1x1x2x2xsi8> {
  %w = graph.constant {value = dense<[[[[7]]]]> : tensor<1x1x1x1xsi8>} : tensor<1x1x1x1xsi8>
  %a = graph.qconv2d %q, %w {layer = "conv", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64, input_zero_point = array<i32: -3>, weight_zero_point = array<i32: 0>} : (tensor<1x1x2x2xsi8>, tensor<1x1x1x1xsi8>) -> tensor<1x1x2x2xi32>
  %r = graph.requantize %a {layer = "q", multiplier = array<f32: 0.5>, axis = 1 : i64, zero_point = -128 : i64, qmin = -128 : i64, qmax = 100 : i64} : (tensor<1x1x2x2xi32>) -> tensor<1x1x2x2xsi8>
  func.return %r : tensor<1x1x2x2xsi8>
}
// CHECK-LABEL: func.func @main(%q: tensor<1x1x2x2xsi8>) -> tensor<1x1x2x2xsi8>
// CHECK-NEXT:    [[W:%.*]] = graph.constant
// CHECK-NEXT:    [[U:%.*]] = graph.recode %q {layer = "conv"} : (tensor<1x1x2x2xsi8>) -> tensor<1x1x2x2xui8>
// CHECK-NEXT:    [[A:%.*]] = graph.qconv2d [[U]], [[W]] {layer = "conv", {{.*}} input_zero_point = array<i32: 125>, weight_zero_point = array<i32: 0>} : (tensor<1x1x2x2xui8>, tensor<1x1x1x1xsi8>) -> tensor<1x1x2x2xi32>
// CHECK-NEXT:    [[R:%.*]] = graph.requantize [[A]] {layer = "q", {{.*}} zero_point = 0 : i64, qmin = 0 : i64, qmax = 228 : i64} : (tensor<1x1x2x2xi32>) -> tensor<1x1x2x2xui8>
// CHECK-NEXT:    [[S:%.*]] = graph.recode [[R]] {layer = "q"} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xsi8>
// CHECK-NEXT:    func.return [[S]]

// -----

// One recode serves all users of an input.
func.func @around_float(%x: tensor<4xf32>, %p: tensor<4xsi8>) -> (tensor<4xf32>, tensor<4xf32>) {
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: -1>, axis = 0 : i64, qmin = -127 : i64, qmax = 127 : i64} : (tensor<4xf32>) -> tensor<4xsi8>
  %d = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: -1>, axis = 0 : i64} : (tensor<4xsi8>) -> tensor<4xf32>
  %e = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 1>, axis = 0 : i64} : (tensor<4xsi8>) -> tensor<4xf32>
  %s = graph.add %d, %e : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %f = graph.dequantize %p {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4xsi8>) -> tensor<4xf32>
  func.return %s, %f : tensor<4xf32>, tensor<4xf32>
}
// CHECK-LABEL: func.func @around_float
// CHECK-NEXT:    graph.quantize %x {{.*}} zero_point = array<i32: 127>, axis = 0 : i64, qmin = 1 : i64, qmax = 255 : i64
// CHECK-NEXT:    graph.dequantize {{.*}} zero_point = array<i32: 127>
// CHECK-NEXT:    graph.recode %p
// CHECK-NEXT:    graph.dequantize {{.*}} zero_point = array<i32: 129>
// CHECK-NEXT:    graph.add
// CHECK-NEXT:    graph.dequantize {{.*}} zero_point = array<i32: 128>

// -----

// Movement, pools and padding; the constant among the activations is shifted.
func.func @movement(%x: tensor<1x2x4x4xf32>) -> tensor<1x3x1x1xi32> {
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xsi8>
  %m = graph.max_pool %q {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw"} : (tensor<1x2x4x4xsi8>) -> tensor<1x2x2x2xsi8>
  %c = graph.constant {value = dense<[[[[1, -2], [3, 127]]]]> : tensor<1x1x2x2xsi8>} : tensor<1x1x2x2xsi8>
  %j = graph.concat %m, %c {axis = 1 : i64} : (tensor<1x2x2x2xsi8>, tensor<1x1x2x2xsi8>) -> tensor<1x3x2x2xsi8>
  %p = graph.pad %j {low = array<i64: 0, 0, 1, 0>, high = array<i64: 0, 0, 0, 1>, value = -5.0 : f32} : (tensor<1x3x2x2xsi8>) -> tensor<1x3x3x3xsi8>
  %s = graph.qsum_pool %p {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", input_zero_point = -4 : i64} : (tensor<1x3x3x3xsi8>) -> tensor<1x3x1x1xi32>
  func.return %s : tensor<1x3x1x1xi32>
}
// CHECK-LABEL: func.func @movement
// CHECK:         graph.max_pool {{.*}} : (tensor<1x2x4x4xui8>) -> tensor<1x2x2x2xui8>
// CHECK:         graph.constant {value = dense<{{.*}}129, 126{{.*}}131, 255{{.*}}> : tensor<1x1x2x2xui8>}
// CHECK-NEXT:    graph.concat {{.*}} -> tensor<1x3x2x2xui8>
// CHECK-NEXT:    graph.pad {{.*}} value = 1.230000e+02 : f32
// CHECK-NEXT:    graph.qsum_pool {{.*}} input_zero_point = 124 : i64

// -----

// Both sides of an attention product are activations.
func.func @matmul(%p: tensor<2x2xsi8>, %q: tensor<2x2xsi8>) -> tensor<2x2xi32> {
  %a = graph.qmatmul %p, %q {a_zero_point = -1 : i64, b_zero_point = array<i32: 2>} : (tensor<2x2xsi8>, tensor<2x2xsi8>) -> tensor<2x2xi32>
  func.return %a : tensor<2x2xi32>
}
// CHECK-LABEL: func.func @matmul
// CHECK:         graph.qmatmul {{.*}} {a_zero_point = 127 : i64, b_zero_point = array<i32: 130>} : (tensor<2x2xui8>, tensor<2x2xui8>)
