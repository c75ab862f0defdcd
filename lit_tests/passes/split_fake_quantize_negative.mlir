// RUN: lpc opt %s -p 'split-fake-quantize' | filecheck %s

// Binarization.
// CHECK-LABEL: func.func @binary(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 2 : i64, input_low = dense<0.000000e+00> : tensor<f32>, input_high = dense<0.000000e+00> : tensor<f32>, output_low = dense<-1.000000e+00> : tensor<f32>, output_high = dense<1.000000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @binary(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 2 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<0.0> : tensor<f32>, output_low = dense<-1.0> : tensor<f32>, output_high = dense<1.0> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Codes wider than 8 bits.
// CHECK-LABEL: func.func @levels_65536(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 65536 : i64, input_low = dense<0.000000e+00> : tensor<f32>, input_high = dense<2.550000e+00> : tensor<f32>, output_low = dense<0.000000e+00> : tensor<f32>, output_high = dense<2.550000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @levels_65536(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 65536 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<2.55> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<2.55> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// An empty interval.
// CHECK-LABEL: func.func @empty(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<1.000000e+00> : tensor<f32>, input_high = dense<1.000000e+00> : tensor<f32>, output_low = dense<0.000000e+00> : tensor<f32>, output_high = dense<2.550000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @empty(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<1.0> : tensor<f32>, input_high = dense<1.0> : tensor<f32>, output_low = dense<0.0> : tensor<f32>, output_high = dense<2.55> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// A reversed interval.
// CHECK-LABEL: func.func @reversed(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<2.550000e+00> : tensor<f32>, input_high = dense<0.000000e+00> : tensor<f32>, output_low = dense<2.550000e+00> : tensor<f32>, output_high = dense<0.000000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @reversed(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<2.55> : tensor<f32>, input_high = dense<0.0> : tensor<f32>, output_low = dense<2.55> : tensor<f32>, output_high = dense<0.0> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Real zero lies between two codes.
// CHECK-LABEL: func.func @no_zero(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<-5.050000e-01> : tensor<f32>, input_high = dense<2.045000e+00> : tensor<f32>, output_low = dense<-5.050000e-01> : tensor<f32>, output_high = dense<2.045000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @no_zero(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<-0.505> : tensor<f32>, input_high = dense<2.045> : tensor<f32>, output_low = dense<-0.505> : tensor<f32>, output_high = dense<2.045> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Real zero lies outside the interval.
// CHECK-LABEL: func.func @outside(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<1.000000e+00> : tensor<f32>, input_high = dense<3.550000e+00> : tensor<f32>, output_low = dense<1.000000e+00> : tensor<f32>, output_high = dense<3.550000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @outside(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<1.0> : tensor<f32>, input_high = dense<3.55> : tensor<f32>, output_low = dense<1.0> : tensor<f32>, output_high = dense<3.55> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Real zero has a code before, none after.
// CHECK-LABEL: func.func @no_zero_after(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<0.000000e+00> : tensor<f32>, input_high = dense<2.550000e+00> : tensor<f32>, output_low = dense<5.000000e-03> : tensor<f32>, output_high = dense<2.555000e+00> : tensor<f32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @no_zero_after(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<0.0> : tensor<f32>, input_high = dense<2.55> : tensor<f32>, output_low = dense<0.005> : tensor<f32>, output_high = dense<2.555> : tensor<f32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}

// Limits that vary along two axes.
// CHECK-LABEL: func.func @two_axes(
// CHECK-NEXT:  %y = graph.fake_quantize %x {layer = "fq", levels = 256 : i64, input_low = dense<0.000000e+00> : tensor<2x2x1xf32>, input_high = dense<{{\[\[\[}}1.000000e+00], [2.000000e+00{{\]\]}}, {{\[\[}}3.000000e+00], [4.000000e+00{{\]\]\]}}> : tensor<2x2x1xf32>, output_low = dense<0.000000e+00> : tensor<2x2x1xf32>, output_high = dense<{{\[\[\[}}1.000000e+00], [2.000000e+00{{\]\]}}, {{\[\[}}3.000000e+00], [4.000000e+00{{\]\]\]}}> : tensor<2x2x1xf32>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
// CHECK-NEXT:  func.return %y : tensor<1x2x2x2xf32>
func.func @two_axes(%x: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %y = graph.fake_quantize %x {levels = 256 : i64, input_low = dense<[[[0.0], [0.0]], [[0.0], [0.0]]]> : tensor<2x2x1xf32>, input_high = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>, output_low = dense<[[[0.0], [0.0]], [[0.0], [0.0]]]> : tensor<2x2x1xf32>, output_high = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>, layer = "fq"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %y : tensor<1x2x2x2xf32>
}
