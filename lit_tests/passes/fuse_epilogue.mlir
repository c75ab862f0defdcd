// RUN: lpc opt %s -p 'fuse-epilogue' | filecheck %s

// A convolution, its requantize, and the residual addition behind it are one kernel.
// CHECK-LABEL: func.func @residual(
// CHECK-NEXT:    %{{.*}} = "graph.kernel"(%x, %r) ({
// CHECK:           graph.qconv2d
// CHECK-NEXT:      graph.requantize
// CHECK-NEXT:      graph.dequantize
// CHECK-NEXT:      graph.dequantize
// CHECK-NEXT:      graph.add
// CHECK-NEXT:      graph.quantize
// CHECK-NEXT:      graph.yield
// CHECK-NEXT:    }) {layer = "conv"}
// CHECK-NEXT:    func.return
func.func @residual(%x: tensor<1x4x4x2xui8>, %r: tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xui8> {
  %w = graph.constant {value = dense<1> : tensor<2x2x1x1xsi8>} : tensor<2x2x1x1xsi8>
  %a = graph.qconv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nhwc", groups = 1 : i64, input_zero_point = array<i32: 0>, weight_zero_point = array<i32: 0>, layer = "conv"} : (tensor<1x4x4x2xui8>, tensor<2x2x1x1xsi8>) -> tensor<1x4x4x2xi32>
  %q = graph.requantize %a {multiplier = array<f32: 0.5>, axis = 3 : i64, zero_point = 3 : i64, qmin = 0 : i64, qmax = 255 : i64, layer = "conv"} : (tensor<1x4x4x2xi32>) -> tensor<1x4x4x2xui8>
  %s = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64, layer = "add"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xf32>
  %t = graph.dequantize %r {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64, layer = "add"} : (tensor<1x4x4x2xui8>) -> tensor<1x4x4x2xf32>
  %u = graph.add %s, %t {layer = "add"} : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  %v = graph.quantize %u {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64, layer = "add"} : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xui8>
  func.return %v : tensor<1x4x4x2xui8>
}

// A row op reads codes, and turns them into reals while it loads them.
// CHECK-LABEL: func.func @softmax_of_codes(
// CHECK-NEXT:    %{{.*}} = "graph.kernel"(%x) ({
// CHECK-NEXT:    ^{{.*}}(%{{.*}}: tensor<2x5xui8>):
// CHECK-NEXT:      graph.dequantize
// CHECK-NEXT:      graph.softmax
// CHECK-NEXT:      graph.yield
func.func @softmax_of_codes(%x: tensor<2x5xui8>) -> tensor<2x5xf32> {
  %r = graph.dequantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2x5xui8>) -> tensor<2x5xf32>
  %s = graph.softmax %r {axis = 1 : i64} : (tensor<2x5xf32>) -> tensor<2x5xf32>
  func.return %s : tensor<2x5xf32>
}

// Channels are chosen from where they are: the concat is in each kernel, and nowhere else.
// CHECK-LABEL: func.func @gathered_concat(
// CHECK-NEXT:    %{{.*}} = "graph.kernel"(%x, %y) ({
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
// CHECK-NEXT:      graph.constant
// CHECK-NEXT:      graph.gather
// CHECK-NEXT:      graph.yield
// CHECK:         %{{.*}} = "graph.kernel"(%x, %y) ({
// CHECK:           graph.gather
// CHECK-NEXT:      graph.yield
// CHECK-NOT:     graph.kernel
func.func @gathered_concat(%x: tensor<2x3xui8>, %y: tensor<2x1xui8>) -> (tensor<2x2xui8>, tensor<2x2xui8>) {
  %c = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x3xui8>, tensor<2x1xui8>) -> tensor<2x4xui8>
  %i = graph.constant {value = dense<[0, 3]> : tensor<2xi64>} : tensor<2xi64>
  %a = graph.gather %c, %i {axis = 1 : i64} : (tensor<2x4xui8>, tensor<2xi64>) -> tensor<2x2xui8>
  %j = graph.constant {value = dense<[2, 1]> : tensor<2xi64>} : tensor<2xi64>
  %b = graph.gather %c, %j {axis = 1 : i64} : (tensor<2x4xui8>, tensor<2xi64>) -> tensor<2x2xui8>
  func.return %a, %b : tensor<2x2xui8>, tensor<2x2xui8>
}

// A gate has one value per channel of an image: the multiplication reads its codes.
// CHECK-LABEL: func.func @gate(
// CHECK-NEXT:    %{{.*}} = "graph.kernel"(%x, %g) ({
// CHECK-NEXT:    ^{{.*}}(%{{.*}}: tensor<1x4x4x8xui8>, %{{.*}}: tensor<1x1x1x8xui8>):
// CHECK-NEXT:      graph.dequantize
// CHECK-NEXT:      graph.dequantize
// CHECK-NEXT:      graph.mul
// CHECK-NEXT:      graph.quantize
// CHECK-NEXT:      graph.yield
// CHECK-NOT:     graph.kernel
func.func @gate(%x: tensor<1x4x4x8xui8>, %g: tensor<1x1x1x8xui8>) -> tensor<1x4x4x8xui8> {
  %a = graph.dequantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64} : (tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xf32>
  %b = graph.dequantize %g {scale = array<f32: 0.1>, zero_point = array<i32: 0>, axis = 3 : i64} : (tensor<1x1x1x8xui8>) -> tensor<1x1x1x8xf32>
  %m = graph.mul %a, %b : (tensor<1x4x4x8xf32>, tensor<1x1x1x8xf32>) -> tensor<1x4x4x8xf32>
  %q = graph.quantize %m {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xui8>
  func.return %q : tensor<1x4x4x8xui8>
}
