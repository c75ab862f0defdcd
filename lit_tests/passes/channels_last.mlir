// RUN: lpc opt %s -p 'channels-last' --split-input-file | filecheck %s

// One transpose where the image comes in, one where it goes out.
func.func @border(%x: tensor<1x3x4x5xui8>) -> tensor<1x2x4x5xui8> {
  %w = graph.constant {value = dense<1> : tensor<2x3x1x1xsi8>} : tensor<2x3x1x1xsi8>
  %a = graph.qconv2d %x, %w {layout = "nchw", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, input_zero_point = array<i32: 0>, weight_zero_point = array<i32: 0>} : (tensor<1x3x4x5xui8>, tensor<2x3x1x1xsi8>) -> tensor<1x2x4x5xi32>
  %q = graph.requantize %a {multiplier = array<f32: 0.5, 0.25>, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64, axis = 1 : i64} : (tensor<1x2x4x5xi32>) -> tensor<1x2x4x5xui8>
  func.return %q : tensor<1x2x4x5xui8>
}
// CHECK-LABEL: func.func @border
// CHECK:         %{{.*}} = graph.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x3x4x5xui8>) -> tensor<1x4x5x3xui8>
// CHECK-NEXT:    graph.qconv2d {{.*}}layout = "nhwc"{{.*}} -> tensor<1x4x5x2xi32>
// CHECK-NEXT:    graph.requantize {{.*}}axis = 3 : i64{{.*}} -> tensor<1x4x5x2xui8>
// CHECK-NEXT:    graph.transpose {{.*}}permutation = array<i64: 0, 3, 1, 2>
// CHECK-NEXT:    func.return

// -----

// What the model's own transposes say is what the pass wants: nothing is left of them.
func.func @channels_last_already(%x: tensor<1x4x5x3xui8>) -> tensor<1x2x2x3xui8> {
  %t = graph.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x3xui8>) -> tensor<1x3x4x5xui8>
  %p = graph.max_pool %t {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x5xui8>) -> tensor<1x3x2x2xui8>
  %r = graph.transpose %p {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x3x2x2xui8>) -> tensor<1x2x2x3xui8>
  func.return %r : tensor<1x2x2x3xui8>
}
// CHECK-LABEL: func.func @channels_last_already
// CHECK-NEXT:    graph.max_pool %x {{.*}}layout = "nhwc"{{.*}} -> tensor<1x2x2x3xui8>
// CHECK-NEXT:    func.return

// -----

// Numbers of axes are renamed; a constant of fewer axes is moved at once.
func.func @axes(%x: tensor<1x3x4x4xf32>) -> tensor<1x6x1x1xf32> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
  %f = graph.constant {value = dense<[[[1.0]], [[2.0]], [[3.0]]]> : tensor<3x1x1xf32>} : tensor<3x1x1xf32>
  %m = graph.mul %p, %f : (tensor<1x3x2x2xf32>, tensor<3x1x1xf32>) -> tensor<1x3x2x2xf32>
  %c = graph.concat %m, %p {axis = 1 : i64} : (tensor<1x3x2x2xf32>, tensor<1x3x2x2xf32>) -> tensor<1x6x2x2xf32>
  %r = graph.reduce %c {kind = "mean", axes = array<i64: 2, 3>, keepdims = true} : (tensor<1x6x2x2xf32>) -> tensor<1x6x1x1xf32>
  func.return %r : tensor<1x6x1x1xf32>
}
// CHECK-LABEL: func.func @axes
// CHECK:         graph.constant {{.*}}tensor<1x1x1x3xf32>
// CHECK-NEXT:    graph.mul {{.*}} -> tensor<1x2x2x3xf32>
// CHECK-NEXT:    graph.concat {{.*}}axis = 3 : i64
// CHECK-NEXT:    graph.reduce {{.*}}axes = array<i64: 1, 2>

// -----

// A flatten in front of a matmul: the rows of the weight move, not the image.
func.func @flatten(%x: tensor<1x2x2x4xui8>) -> tensor<1x1xi32> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 1, 2>, strides = array<i64: 1, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x2x4xui8>) -> tensor<1x2x2x2xui8>
  %f = graph.reshape %p : (tensor<1x2x2x2xui8>) -> tensor<1x8xui8>
  %w = graph.constant {value = dense<[[0], [1], [2], [3], [4], [5], [6], [7]]> : tensor<8x1xsi8>} : tensor<8x1xsi8>
  %y = graph.qmatmul %f, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x8xui8>, tensor<8x1xsi8>) -> tensor<1x1xi32>
  func.return %y : tensor<1x1xi32>
}
// CHECK-LABEL: func.func @flatten
// CHECK:         graph.reshape %{{.*}} : (tensor<1x2x2x2xui8>) -> tensor<1x8xui8>
// CHECK:         graph.constant {value = dense<{{.*0.*4.*1.*5.*2.*6.*3.*7.*}}> : tensor<8x1xsi8>}
// CHECK-NEXT:    graph.qmatmul

// -----

// Two readers of a channels-first input share one transpose of it.
func.func @shared_border(%x: tensor<1x3x4x4xui8>) -> tensor<1x6x2x2xui8> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xui8>) -> tensor<1x3x2x2xui8>
  %q = graph.max_pool %x {layout = "nchw", kernel = array<i64: 1, 1>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xui8>) -> tensor<1x3x2x2xui8>
  %c = graph.concat %p, %q {axis = 1 : i64} : (tensor<1x3x2x2xui8>, tensor<1x3x2x2xui8>) -> tensor<1x6x2x2xui8>
  func.return %c : tensor<1x6x2x2xui8>
}
// CHECK-LABEL: func.func @shared_border
// CHECK-NEXT:    %[[X:.*]] = graph.transpose %x
// CHECK-NEXT:    graph.max_pool %[[X]]
// CHECK-NEXT:    graph.max_pool %[[X]]
// CHECK-NEXT:    graph.concat
// CHECK-NEXT:    graph.transpose
// CHECK-NEXT:    func.return

// -----

// A choice of channels names another axis, and keeps its indices.
func.func @channel_gather(%x: tensor<1x4x4x4xui8>) -> tensor<1x3x2x2xui8> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xui8>) -> tensor<1x4x2x2xui8>
  %i = graph.constant {value = dense<[3, 0, 2]> : tensor<3xi64>} : tensor<3xi64>
  %g = graph.gather %p, %i {axis = 1 : i64} : (tensor<1x4x2x2xui8>, tensor<3xi64>) -> tensor<1x3x2x2xui8>
  func.return %g : tensor<1x3x2x2xui8>
}
// CHECK-LABEL: func.func @channel_gather
// CHECK:         %[[I:.*]] = graph.constant {value = dense<[3, 0, 2]>
// CHECK-NEXT:    graph.gather %{{.*}}, %[[I]] {axis = 3 : i64} : (tensor<1x2x2x4xui8>, tensor<3xi64>) -> tensor<1x2x2x3xui8>
// CHECK-NEXT:    graph.transpose
