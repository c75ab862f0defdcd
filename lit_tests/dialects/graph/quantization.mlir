// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @constant_float(
// CHECK: graph.constant {value = dense<[1.000000e+00, -2.500000e+00]> : tensor<2xf32>} : tensor<2xf32>
func.func @constant_float() -> tensor<2xf32> {
  %0 = graph.constant {value = dense<[1.000000e+00, -2.500000e+00]> : tensor<2xf32>} : tensor<2xf32>
  func.return %0 : tensor<2xf32>
}

// CHECK-LABEL: func.func @constant_codes(
// CHECK: graph.constant {value = dense<{{\[\[}}-128, 127{{\]\]}}> : tensor<1x2xsi8>} : tensor<1x2xsi8>
func.func @constant_codes() -> tensor<1x2xsi8> {
  %0 = graph.constant {value = dense<[[-128, 127]]> : tensor<1x2xsi8>} : tensor<1x2xsi8>
  func.return %0 : tensor<1x2xsi8>
}

// CHECK-LABEL: func.func @constant_splat(
// CHECK: graph.constant {value = dense<0> : tensor<4x5xi64>} : tensor<4x5xi64>
func.func @constant_splat() -> tensor<4x5xi64> {
  %0 = graph.constant {value = dense<0> : tensor<4x5xi64>} : tensor<4x5xi64>
  func.return %0 : tensor<4x5xi64>
}

// CHECK-LABEL: func.func @constant_of_layer(
// CHECK: graph.constant {value = dense<7> : tensor<1xi32>, layer = "conv1"} : tensor<1xi32>
func.func @constant_of_layer() -> tensor<1xi32> {
  %0 = graph.constant {value = dense<7> : tensor<1xi32>, layer = "conv1"} : tensor<1xi32>
  func.return %0 : tensor<1xi32>
}

// CHECK-LABEL: func.func @constant_scalar(
// CHECK: graph.constant {value = dense<3.000000e+00> : tensor<f32>} : tensor<f32>
func.func @constant_scalar() -> tensor<f32> {
  %0 = graph.constant {value = dense<3.000000e+00> : tensor<f32>} : tensor<f32>
  func.return %0 : tensor<f32>
}

// CHECK-LABEL: func.func @fake_quantize(
// CHECK: graph.fake_quantize %{{.*}} {levels = 256 : i64, input_low = dense<0.000000e+00> : tensor<1xf32>, input_high = dense<2.550000e+00> : tensor<1xf32>, output_low = dense<0.000000e+00> : tensor<1xf32>, output_high = dense<2.550000e+00> : tensor<1xf32>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
func.func @fake_quantize(%0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %1 = graph.fake_quantize %0 {levels = 256 : i64, input_low = dense<0.000000e+00> : tensor<1xf32>, input_high = dense<2.550000e+00> : tensor<1xf32>, output_low = dense<0.000000e+00> : tensor<1xf32>, output_high = dense<2.550000e+00> : tensor<1xf32>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  func.return %1 : tensor<1x2x4x4xf32>
}

// CHECK-LABEL: func.func @fake_quantize_per_channel(
// CHECK: graph.fake_quantize %{{.*}} {levels = 255 : i64, input_low = dense<{{\[\[}}{{\[\[}}-1.000000e+00{{\]\]}}, {{\[\[}}-2.000000e+00{{\]\]}}{{\]\]}}> : tensor<1x2x1x1xf32>, input_high = dense<{{\[\[}}{{\[\[}}1.000000e+00{{\]\]}}, {{\[\[}}2.000000e+00{{\]\]}}{{\]\]}}> : tensor<1x2x1x1xf32>, output_low = dense<-1.000000e+00> : tensor<1xf32>, output_high = dense<1.000000e+00> : tensor<1xf32>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
func.func @fake_quantize_per_channel(%0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %1 = graph.fake_quantize %0 {levels = 255 : i64, input_low = dense<[[[[-1.000000e+00]], [[-2.000000e+00]]]]> : tensor<1x2x1x1xf32>, input_high = dense<[[[[1.000000e+00]], [[2.000000e+00]]]]> : tensor<1x2x1x1xf32>, output_low = dense<-1.000000e+00> : tensor<1xf32>, output_high = dense<1.000000e+00> : tensor<1xf32>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  func.return %1 : tensor<1x2x4x4xf32>
}

// CHECK-LABEL: func.func @quantize(
// CHECK: graph.quantize %{{.*}} {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x4xf32>) -> tensor<1x2x4xui8>
func.func @quantize(%0: tensor<1x2x4xf32>) -> tensor<1x2x4xui8> {
  %1 = graph.quantize %0 {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x4xf32>) -> tensor<1x2x4xui8>
  func.return %1 : tensor<1x2x4xui8>
}

// CHECK-LABEL: func.func @quantize_per_channel(
// CHECK: graph.quantize %{{.*}} {scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0, -1>, axis = 1 : i64, qmin = -127 : i64, qmax = 127 : i64} : (tensor<1x2x4xf32>) -> tensor<1x2x4xsi8>
func.func @quantize_per_channel(%0: tensor<1x2x4xf32>) -> tensor<1x2x4xsi8> {
  %1 = graph.quantize %0 {scale = array<f32: 5.000000e-01, 2.500000e-01>, zero_point = array<i32: 0, -1>, axis = 1 : i64, qmin = -127 : i64, qmax = 127 : i64} : (tensor<1x2x4xf32>) -> tensor<1x2x4xsi8>
  func.return %1 : tensor<1x2x4xsi8>
}

// CHECK-LABEL: func.func @dequantize(
// CHECK: graph.dequantize %{{.*}} {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4xui8>) -> tensor<1x2x4xf32>
func.func @dequantize(%0: tensor<1x2x4xui8>) -> tensor<1x2x4xf32> {
  %1 = graph.dequantize %0 {scale = array<f32: 5.000000e-01>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<1x2x4xui8>) -> tensor<1x2x4xf32>
  func.return %1 : tensor<1x2x4xf32>
}

// CHECK-LABEL: func.func @dequantize_accumulator(
// CHECK: graph.dequantize %{{.*}} {scale = array<f32: 5.000000e-01, 1.000000e+00>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2x4xi32>) -> tensor<1x2x4xf32>
func.func @dequantize_accumulator(%0: tensor<1x2x4xi32>) -> tensor<1x2x4xf32> {
  %1 = graph.dequantize %0 {scale = array<f32: 5.000000e-01, 1.000000e+00>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2x4xi32>) -> tensor<1x2x4xf32>
  func.return %1 : tensor<1x2x4xf32>
}

// CHECK-LABEL: func.func @requantize(
// CHECK: graph.requantize %{{.*}} {multiplier = array<f32: 5.000000e-01, 1.250000e-01>, axis = 1 : i64, zero_point = 3 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<1x2x4xi32>) -> tensor<1x2x4xui8>
func.func @requantize(%0: tensor<1x2x4xi32>) -> tensor<1x2x4xui8> {
  %1 = graph.requantize %0 {multiplier = array<f32: 5.000000e-01, 1.250000e-01>, axis = 1 : i64, zero_point = 3 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<1x2x4xi32>) -> tensor<1x2x4xui8>
  func.return %1 : tensor<1x2x4xui8>
}

// CHECK-LABEL: func.func @lut(
// CHECK: graph.lut %{{.*}} {table = dense<0> : tensor<256xui8>} : (tensor<3xsi8>) -> tensor<3xui8>
func.func @lut(%0: tensor<3xsi8>) -> tensor<3xui8> {
  %1 = graph.lut %0 {table = dense<0> : tensor<256xui8>} : (tensor<3xsi8>) -> tensor<3xui8>
  func.return %1 : tensor<3xui8>
}

// CHECK-LABEL: func.func @recode(
// CHECK: graph.recode %{{.*}} : (tensor<3xsi8>) -> tensor<3xui8>
func.func @recode(%0: tensor<3xsi8>) -> tensor<3xui8> {
  %1 = graph.recode %0 : (tensor<3xsi8>) -> tensor<3xui8>
  func.return %1 : tensor<3xui8>
}
