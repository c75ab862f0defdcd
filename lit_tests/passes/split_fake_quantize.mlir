// RUN: lpc opt %s -p 'split-fake-quantize' | filecheck %s

// An interval that starts at zero: u8 without zero point.
// CHECK-LABEL: func.func @unsigned(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @unsigned(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<2.55> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<2.55> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Symmetric with all 256 levels: -128 : 127.
// CHECK-LABEL: func.func @symmetric(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x2x2xsi8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @symmetric(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<-1.28> : tensor<f32>, input_high = dense<1.27> : tensor<f32>, output_low = dense<-1.28> : tensor<f32>, output_high = dense<1.27> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Symmetric with 255 levels: -127 : 127.
// CHECK-LABEL: func.func @narrow(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -127 : i64, qmax = 127 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x2x2xsi8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @narrow(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 255 : i64, input_low = dense<-1.27> : tensor<f32>, input_high = dense<1.27> : tensor<f32>, output_low = dense<-1.27> : tensor<f32>, output_high = dense<1.27> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Signed but not symmetric: u8 with zero point.
// CHECK-LABEL: func.func @asymmetric(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 50>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 50>, axis = 0 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @asymmetric(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<-0.5> : tensor<f32>, input_high = dense<2.05> : tensor<f32>, output_low = dense<-0.5> : tensor<f32>, output_high = dense<2.05> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Fewer levels are a narrower range of codes.
// CHECK-LABEL: func.func @levels_16(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 15 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-01>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @levels_16(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 16 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<1.5> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<1.5> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// The output limits differ: another scale on the way back.
// CHECK-LABEL: func.func @rescaled(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 2.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @rescaled(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<2.55> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<5.1> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Limits per channel.
// CHECK-LABEL: func.func @per_channel(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02, 2.000000e-02>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = -127 : i64, qmax = 127 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02, 2.000000e-02>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<1x2x2x2xsi8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @per_channel(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 255 : i64, input_low = dense<[[[[-1.27]], [[-2.54]]]]> : tensor<1x2x1x1xf32>, input_high = dense<[[[[1.27]], [[2.54]]]]> : tensor<1x2x1x1xf32>, output_low = dense<[[[[-1.27]], [[-2.54]]]]> : tensor<1x2x1x1xf32>, output_high = dense<[[[[1.27]], [[2.54]]]]> : tensor<1x2x1x1xf32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// One channel needs a zero point: all get u8.
// CHECK-LABEL: func.func @mixed_channels(
// CHECK-NEXT:  %y = graph.quantize %x {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0, 100>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0, 100>, axis = 1 : i64} : (tensor<1x2x2x2xui8>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<1x2x2x2xf32>
func.func @mixed_channels(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<[[[[0.0]], [[-1.0]]]]> : tensor<1x2x1x1xf32>, input_high = dense<[[[[2.55]], [[1.55]]]]> : tensor<1x2x1x1xf32>, output_low = dense<[[[[0.0]], [[-1.0]]]]> : tensor<1x2x1x1xf32>, output_high = dense<[[[[2.55]], [[1.55]]]]> : tensor<1x2x1x1xf32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Weights become codes at once.
// CHECK-LABEL: func.func @weights(
// CHECK-NEXT:  %y = graph.constant {value = dense<[-127, 1, 100]> : tensor<3xsi8>} : tensor<3xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<3xsi8>) -> tensor<3xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<3xf32>
func.func @weights() -> tensor<3xf32> {
  %x = graph.constant {value = dense<[-1.27, 0.011, 1.0]> : tensor<3xf32>} : tensor<3xf32>
  %y = graph.fake_quantize %x {levels = 255 : i64, input_low = dense<-1.27> : tensor<f32>, input_high = dense<1.27> : tensor<f32>, output_low = dense<-1.27> : tensor<f32>, output_high = dense<1.27> : tensor<f32>, layer = "fq"} : (tensor<3xf32>) -> tensor<3xf32>
  func.return %y : tensor<3xf32>
}

// Weights that are nowhere negative: u8; others are i8, with zero point if need be.
// CHECK-LABEL: func.func @unsigned_weights(
// CHECK-NEXT:  %y = graph.constant {value = dense<[0, 1, 200]> : tensor<3xui8>} : tensor<3xui8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<3xui8>) -> tensor<3xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<3xf32>
func.func @unsigned_weights() -> tensor<3xf32> {
  %x = graph.constant {value = dense<[0.0, 0.011, 2.0]> : tensor<3xf32>} : tensor<3xf32>
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<2.55> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<2.55> : tensor<f32>, layer = "fq"} : (tensor<3xf32>) -> tensor<3xf32>
  func.return %y : tensor<3xf32>
}

// CHECK-LABEL: func.func @asymmetric_weights(
// CHECK-NEXT:  %y = graph.constant {value = dense<[-128, -77, 122]> : tensor<3xsi8>} : tensor<3xsi8>
// CHECK-NEXT:  %y_1 = graph.dequantize %y {layer = "fq", scale = array<f32: 1.000000e-02>, zero_point = array<i32: -78>, axis = 0 : i64} : (tensor<3xsi8>) -> tensor<3xf32>
// CHECK-NEXT:  func.return %y_1 : tensor<3xf32>
func.func @asymmetric_weights() -> tensor<3xf32> {
  %x = graph.constant {value = dense<[-0.5, 0.011, 2.0]> : tensor<3xf32>} : tensor<3xf32>
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<-0.5> : tensor<f32>, input_high = dense<2.05> : tensor<f32>, output_low = dense<-0.5> : tensor<f32>, output_high = dense<2.05> : tensor<f32>, layer = "fq"} : (tensor<3xf32>) -> tensor<3xf32>
  func.return %y : tensor<3xf32>
}
