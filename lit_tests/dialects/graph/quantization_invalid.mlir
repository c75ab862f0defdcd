// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: does not match the result
func.func @constant_type() {
  %0 = graph.constant {value = dense<1.0> : tensor<2xf32>} : tensor<3xf32>
  func.return
}

// -----

// CHECK: levels must be at least 2, not 1
func.func @fake_quantize_levels(%0: tensor<4xf32>) {
  %1 = graph.fake_quantize %0 {levels = 1 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<1.0> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<1.0> : tensor<f32>} : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

// CHECK: limits do not broadcast to the input
func.func @fake_quantize_limits(%0: tensor<4xf32>) {
  %1 = graph.fake_quantize %0 {levels = 256 : i64, input_low = dense<0.0> : tensor<2x1xf32>, input_high = dense<1.0> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<1.0> : tensor<f32>} : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

// CHECK: scale has 2 values for axis 0 of (4,)
func.func @quantize_count(%0: tensor<4xf32>) {
  %1 = graph.quantize %0 {scale = array<f32: 0.5, 0.5>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return
}

// -----

// CHECK: scale must be finite and not zero
func.func @quantize_zero_scale(%0: tensor<4xf32>) {
  %1 = graph.quantize %0 {scale = array<f32: 0.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return
}

// -----

// CHECK: result shape (5,) should be (4,)
func.func @dequantize_shape(%0: tensor<4xui8>) {
  %1 = graph.dequantize %0 {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<5xf32>
  func.return
}

// -----

// CHECK: 2 multipliers for axis 1 of (1, 4)
func.func @requantize_count(%0: tensor<1x4xi32>) {
  %1 = graph.requantize %0 {multiplier = array<f32: 0.5, 0.5>, axis = 1 : i64, zero_point = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x4xi32>) -> tensor<1x4xui8>
  func.return
}

// -----

// CHECK: lut needs 8-bit codes and a table of 256 entries
func.func @lut_of_floats(%0: tensor<4xf32>) {
  %1 = graph.lut %0 {table = dense<0> : tensor<256xui8>} : (tensor<4xf32>) -> tensor<4xui8>
  func.return
}

// -----

// CHECK: lut needs 8-bit codes and a table of 256 entries
func.func @lut_table(%0: tensor<4xui8>) {
  %1 = graph.lut %0 {table = dense<0> : tensor<16xui8>} : (tensor<4xui8>) -> tensor<4xui8>
  func.return
}

// -----

// CHECK: recode maps ui8 to si8 or back
func.func @recode_type(%0: tensor<4xui8>) {
  %1 = graph.recode %0 : (tensor<4xui8>) -> tensor<4xui8>
  func.return
}
