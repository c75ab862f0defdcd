// RUN: lpc opt %s -p 'integerize-contractions' --split-input-file | filecheck %s

// Per-channel weights; the bias has the accumulator's scales, so its codes are taken as they are.
func.func @convolution(%q: tensor<1x1x3x3xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x3x3xui8>) -> tensor<1x1x3x3xf32>
  %wq = graph.constant {value = dense<[[[[1, -2], [3, 4]]], [[[5, 6], [-7, 8]]]]> : tensor<2x1x2x2xsi8>} : tensor<2x1x2x2xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25, 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2x1x2x2xsi8>) -> tensor<2x1x2x2xf32>
  %bq = graph.constant {value = dense<[100, -200]> : tensor<2xi32>} : tensor<2xi32>
  %b = graph.dequantize %bq {scale = array<f32: 0.125, 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %y = graph.conv2d %x, %w, %b {layer = "conv", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x3x3xf32>, tensor<2x1x2x2xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
// CHECK-LABEL: func.func @convolution
// CHECK-NEXT:    [[W:%.*]] = graph.constant {value = dense<{{.*}}> : tensor<2x1x2x2xsi8>}
// CHECK-NEXT:    [[B:%.*]] = graph.constant {value = dense<[100, -200]> : tensor<2xi32>}
// CHECK-NEXT:    [[A:%.*]] = graph.qconv2d %q, [[W]], [[B]] {layer = "conv", {{.*}} input_zero_point = array<i32: 3>, weight_zero_point = array<i32: 0>} : (tensor<1x1x3x3xui8>, tensor<2x1x2x2xsi8>, tensor<2xi32>) -> tensor<1x2x2x2xi32>
// CHECK-NEXT:    graph.dequantize [[A]] {layer = "conv", scale = array<f32: 1.250000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 1 : i64}

// -----

// 1.125 is 9 steps of the accumulator's scale 0.125.
func.func @float_bias_on_the_grid(%q: tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<[[[[7]]]]> : tensor<1x1x1x1xsi8>} : tensor<1x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x1x1xsi8>) -> tensor<1x1x1x1xf32>
  %b = graph.constant {value = dense<[1.125]> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}
// CHECK-LABEL: func.func @float_bias_on_the_grid
// CHECK:         graph.constant {value = dense<9> : tensor<1xi32>}
// CHECK-NEXT:    graph.qconv2d

// -----

// 1.1 is 8.8 steps: nobody says that 9 is near enough.
func.func @float_bias(%q: tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<[[[[7]]]]> : tensor<1x1x1x1xsi8>} : tensor<1x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x1x1xsi8>) -> tensor<1x1x1x1xf32>
  %b = graph.constant {value = dense<[1.1]> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32>
  func.return %y : tensor<1x1x2x2xf32>
}
// CHECK-LABEL: func.func @float_bias
// CHECK:         [[A:%.*]] = graph.qconv2d
// CHECK-NEXT:    [[X:%.*]] = graph.dequantize [[A]]
// CHECK-NEXT:    [[B:%.*]] = graph.constant {value = dense<{{.*}}> : tensor<1x1x1x1xf32>}
// CHECK-NEXT:    graph.add [[X]], [[B]]

// -----

// The quantize that follows has a scale of 64: 0.2 steps of 0.125 are nothing to it.
func.func @float_bias_before_a_coarse_grid(%q: tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<[[[[7]]]]> : tensor<1x1x1x1xsi8>} : tensor<1x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x1x1x1xsi8>) -> tensor<1x1x1x1xf32>
  %b = graph.constant {value = dense<[1.1]> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32>
  %r = graph.unary %y {kind = "relu"} : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
  %z = graph.quantize %r {scale = array<f32: 64.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xui8>
  func.return %z : tensor<1x1x2x2xui8>
}
// CHECK-LABEL: func.func @float_bias_before_a_coarse_grid
// CHECK:         graph.constant {value = dense<9> : tensor<1xi32>}
// CHECK-NEXT:    graph.qconv2d

// -----

// With 2147480000 in it the accumulator could overflow: 2147480000 + 127·255 ≥ 2³¹.
func.func @large_bias(%q: tensor<1x1xui8>) -> tensor<1x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x1xui8>) -> tensor<1x1xf32>
  %wq = graph.constant {value = dense<127> : tensor<1x1xsi8>} : tensor<1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x1xsi8>) -> tensor<1x1xf32>
  %bq = graph.constant {value = dense<2147480000> : tensor<1xi32>} : tensor<1xi32>
  %b = graph.dequantize %bq {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1xi32>) -> tensor<1xf32>
  %y = graph.matmul %x, %w, %b : (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}
// CHECK-LABEL: func.func @large_bias
// CHECK:         graph.qmatmul %q, {{%[a-z0-9_]+}} {
// CHECK:         graph.add

// -----

func.func @variable_bias(%q: tensor<1x1xui8>, %b: tensor<1xf32>) -> tensor<1x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x1xui8>) -> tensor<1x1xf32>
  %wq = graph.constant {value = dense<127> : tensor<1x1xsi8>} : tensor<1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x1xsi8>) -> tensor<1x1xf32>
  %y = graph.matmul %x, %w, %b : (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}
// CHECK-LABEL: func.func @variable_bias
// CHECK:         graph.qmatmul
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.reshape %b : (tensor<1xf32>) -> tensor<1x1xf32>
// CHECK-NEXT:    graph.add

// -----

// 130 − 128 and 120 − 128 fit into si8, so no zero point is left.
func.func @unsigned_weights(%q: tensor<1x1x2x2xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<[[[[130]]], [[[120]]]]> : tensor<2x1x1x1xui8>} : tensor<2x1x1x1xui8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 128>, axis = 0 : i64} : (tensor<2x1x1x1xui8>) -> tensor<2x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
// CHECK-LABEL: func.func @unsigned_weights
// CHECK-NEXT:    graph.constant {value = dense<{{.*\[2\].*\[-8\].*}}> : tensor<2x1x1x1xsi8>}
// CHECK-NEXT:    graph.qconv2d {{.*}} weight_zero_point = array<i32: 0>

// -----

// 255 − 3 does not fit: the codes and their zero point stay.
func.func @wide_weights(%q: tensor<1x1x2x2xui8>) -> tensor<1x2x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x1x2x2xui8>) -> tensor<1x1x2x2xf32>
  %wq = graph.constant {value = dense<[[[[255]]], [[[0]]]]> : tensor<2x1x1x1xui8>} : tensor<2x1x1x1xui8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25>, zero_point = array<i32: 3, 4>, axis = 0 : i64} : (tensor<2x1x1x1xui8>) -> tensor<2x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
// CHECK-LABEL: func.func @wide_weights
// CHECK-NEXT:    graph.constant {{.*}} : tensor<2x1x1x1xui8>
// CHECK-NEXT:    graph.qconv2d {{.*}} weight_zero_point = array<i32: 3, 4>

// -----

// One scale per input channel of a depthwise convolution with two outputs per channel.
func.func @depthwise(%q: tensor<1x2x2x2xui8>) -> tensor<1x4x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<4x1x1x1xsi8>} : tensor<4x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0, 2.0, 4.0, 8.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4x1x1x1xsi8>) -> tensor<4x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 2 : i64} : (tensor<1x2x2x2xf32>, tensor<4x1x1x1xf32>) -> tensor<1x4x2x2xf32>
  func.return %y : tensor<1x4x2x2xf32>
}
// CHECK-LABEL: func.func @depthwise
// CHECK:         graph.qconv2d
// CHECK-NEXT:    graph.dequantize {{.*}}scale = array<f32: 5.000000e-01, 1.000000e+00, 1.000000e+00, 2.000000e+00>

// -----

// One scale and one zero point per input channel of a depthwise convolution with two outputs per channel.
func.func @depthwise_zero_points(%q: tensor<1x2x2x2xui8>) -> tensor<1x4x2x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 3, 250>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %wq = graph.constant {value = dense<1> : tensor<4x1x1x1xsi8>} : tensor<4x1x1x1xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 1.0, 2.0, 4.0, 8.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4x1x1x1xsi8>) -> tensor<4x1x1x1xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 2 : i64} : (tensor<1x2x2x2xf32>, tensor<4x1x1x1xf32>) -> tensor<1x4x2x2xf32>
  func.return %y : tensor<1x4x2x2xf32>
}
// CHECK-LABEL: func.func @depthwise_zero_points
// CHECK:         graph.qconv2d {{.*}} input_zero_point = array<i32: 3, 250>
// CHECK-NEXT:    graph.dequantize {{.*}}scale = array<f32: 5.000000e-01, 1.000000e+00, 1.000000e+00, 2.000000e+00>

// -----

func.func @matmul(%q: tensor<3x2xsi8>) -> tensor<3x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: -3>, axis = 1 : i64} : (tensor<3x2xsi8>) -> tensor<3x2xf32>
  %wq = graph.constant {value = dense<[[1, 2], [3, 4]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %w = graph.dequantize %wq {scale = array<f32: 0.25, 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %y = graph.matmul %x, %w : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  func.return %y : tensor<3x2xf32>
}
// CHECK-LABEL: func.func @matmul
// CHECK:         [[A:%.*]] = graph.qmatmul %q, {{.*}} {a_zero_point = -3 : i64, b_zero_point = array<i32: 0>} : (tensor<3x2xsi8>, tensor<2x2xsi8>) -> tensor<3x2xi32>
// CHECK-NEXT:    graph.dequantize [[A]] {scale = array<f32: 1.250000e-01, 2.500000e-01>, zero_point = array<i32: 0>, axis = 1 : i64}

// -----

func.func @matmul_of_activations(%p: tensor<5x3x2xui8>, %q: tensor<5x2x4xsi8>) -> tensor<5x3x4xf32> {
  %x = graph.dequantize %p {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<5x3x2xui8>) -> tensor<5x3x2xf32>
  %y = graph.dequantize %q {scale = array<f32: 0.25>, zero_point = array<i32: 4>, axis = 1 : i64} : (tensor<5x2x4xsi8>) -> tensor<5x2x4xf32>
  %z = graph.matmul %x, %y : (tensor<5x3x2xf32>, tensor<5x2x4xf32>) -> tensor<5x3x4xf32>
  func.return %z : tensor<5x3x4xf32>
}
// CHECK-LABEL: func.func @matmul_of_activations
// CHECK-NEXT:    graph.qmatmul %p, %q {a_zero_point = 3 : i64, b_zero_point = array<i32: 4>}
// CHECK-NEXT:    graph.dequantize {{.*}} {scale = array<f32: 1.250000e-01>, zero_point = array<i32: 0>

// -----

// Padding counts: four codes in every window, and padding adds real zeros. 0.5 · 1/4
func.func @average_pool(%q: tensor<1x2x2x2xui8>) -> tensor<1x2x3x3xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
  %y = graph.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = "nchw", count_include_pad = true} : (tensor<1x2x2x2xf32>) -> tensor<1x2x3x3xf32>
  func.return %y : tensor<1x2x3x3xf32>
}
// CHECK-LABEL: func.func @average_pool
// CHECK-NEXT:    [[S:%.*]] = graph.qsum_pool %q {kernel = array<i64: 2, 2>, {{.*}} input_zero_point = 3 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x3x3xi32>
// CHECK-NEXT:    graph.dequantize [[S]] {scale = array<f32: 1.250000e-01>, zero_point = array<i32: 0>, axis = 1 : i64}

// -----

func.func @mean_of_image(%q: tensor<1x2x4x4xui8>) -> tensor<1x2xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32>
  %y = graph.reduce %x {kind = "mean", axes = array<i64: 2, 3>, keepdims = false} : (tensor<1x2x4x4xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}
// CHECK-LABEL: func.func @mean_of_image
// CHECK-NEXT:    graph.qsum_pool %q {kernel = array<i64: 4, 4>, {{.*}} -> tensor<1x2x1x1xi32>
// CHECK-NEXT:    graph.dequantize {{.*}} {scale = array<f32: 3.125000e-02>
// CHECK-NEXT:    graph.reshape {{.*}} -> tensor<1x2xf32>

// -----

func.func @mean_of_sequence(%q: tensor<1x2x4xui8>) -> tensor<1x2x1xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4xui8>) -> tensor<1x2x4xf32>
  %y = graph.reduce %x {kind = "mean", axes = array<i64: 2>, keepdims = true} : (tensor<1x2x4xf32>) -> tensor<1x2x1xf32>
  func.return %y : tensor<1x2x1xf32>
}
// CHECK-LABEL: func.func @mean_of_sequence
// CHECK-NEXT:    graph.reshape %q : (tensor<1x2x4xui8>) -> tensor<1x2x4x1xui8>
// CHECK-NEXT:    graph.qsum_pool {{.*}} {kernel = array<i64: 4, 1>, {{.*}} -> tensor<1x2x1x1xi32>
// CHECK-NEXT:    graph.dequantize
// CHECK-NEXT:    graph.reshape {{.*}} -> tensor<1x2x1xf32>
