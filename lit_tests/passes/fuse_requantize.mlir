// RUN: lpc opt %s -p 'fuse-requantize' --split-input-file | filecheck %s

func.func @per_tensor(%a: tensor<2x3xi32>) -> tensor<2x3xui8> {
  %x = graph.dequantize %a {layer = "conv", scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %q = graph.quantize %x {layer = "q", scale = array<f32: 2.0>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %q : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @per_tensor
// CHECK-NEXT:    graph.requantize %a {layer = "q", multiplier = array<f32: 1.250000e-01>, axis = 1 : i64, zero_point = 3 : i64, qmin = 3 : i64, qmax = 255 : i64} : (tensor<2x3xi32>) -> tensor<2x3xui8>
// CHECK-NEXT:    func.return

// -----

func.func @per_channel(%a: tensor<2x3xi32>) -> tensor<2x3xsi8> {
  %x = graph.dequantize %a {scale = array<f32: 0.25, 0.5, 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0>, zero_point = array<i32: -3>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2x3xf32>) -> tensor<2x3xsi8>
  func.return %q : tensor<2x3xsi8>
}
// CHECK-LABEL: func.func @per_channel
// CHECK-NEXT:    graph.requantize %a {multiplier = array<f32: 1.250000e-01, 2.500000e-01, 5.000000e-01>, axis = 1 : i64, zero_point = -3 : i64

// -----

// As before a depthwise convolution whose input has one scale per channel.
func.func @per_channel_target(%a: tensor<2x2xi32>) -> tensor<2x2xui8> {
  %x = graph.dequantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0, 4.0>, zero_point = array<i32: 3>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}
// CHECK-LABEL: func.func @per_channel_target
// CHECK-NEXT:    graph.requantize %a {multiplier = array<f32: 2.500000e-01, 1.250000e-01>, axis = 1 : i64

// -----

func.func @several_uses(%a: tensor<2xi32>) -> (tensor<2xui8>, tensor<2xui8>, tensor<2xf32>) {
  %x = graph.dequantize %a {scale = array<f32: 0.25>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  %q = graph.quantize %x {scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  %r = graph.quantize %x {scale = array<f32: 4.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2xf32>) -> tensor<2xui8>
  func.return %q, %r, %x : tensor<2xui8>, tensor<2xui8>, tensor<2xf32>
}
// CHECK-LABEL: func.func @several_uses
// CHECK-NEXT:    [[X:%.*]] = graph.dequantize %a
// CHECK-NEXT:    [[Q:%.*]] = graph.requantize %a {multiplier = array<f32: 1.250000e-01>
// CHECK-NEXT:    [[R:%.*]] = graph.requantize %a {multiplier = array<f32: 6.250000e-02>
// CHECK-NEXT:    func.return [[Q]], [[R]], [[X]]

// -----

// A bias off the accumulator's grid: both terms in steps of the result's grid, and no division.
func.func @float_bias(%a: tensor<2x2xi32>) -> tensor<2x2xui8> {
  %b = graph.constant {value = dense<[[3.0, 5.0]]> : tensor<1x2xf32>} : tensor<1x2xf32>
  %x = graph.dequantize %a {layer = "conv", scale = array<f32: 0.5, 0.25>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %y = graph.add %b, %x {layer = "conv"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %q = graph.quantize %y {layer = "q", scale = array<f32: 2.0>, zero_point = array<i32: 9>, axis = 0 : i64, qmin = 9 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}
// CHECK-LABEL: func.func @float_bias
// CHECK-NEXT:    %[[X:.*]] = graph.dequantize %a {layer = "conv", scale = array<f32: 2.500000e-01, 1.250000e-01>
// CHECK-NEXT:    %[[B:.*]] = graph.constant {value = dense<{{\[\[}}1.500000e+00, 2.500000e+00]]>
// CHECK-NEXT:    %[[Y:.*]] = graph.add %[[X]], %[[B]] {layer = "q"}
// CHECK-NEXT:    graph.quantize %[[Y]] {layer = "q", scale = array<f32: 1.000000e+00>, zero_point = array<i32: 9>, axis = 1 : i64, qmin = 9 : i64, qmax = 255 : i64}
// CHECK-NEXT:    func.return

// -----

// The same in front of a depthwise convolution whose input has one scale per channel.
func.func @float_bias_per_channel_target(%a: tensor<2x2xi32>) -> tensor<2x2xui8> {
  %b = graph.constant {value = dense<[[3.0, 5.0]]> : tensor<1x2xf32>} : tensor<1x2xf32>
  %x = graph.dequantize %a {layer = "conv", scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x2xi32>) -> tensor<2x2xf32>
  %y = graph.add %x, %b {layer = "conv"} : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<2x2xf32>
  %q = graph.quantize %y {layer = "q", scale = array<f32: 2.0, 4.0>, zero_point = array<i32: 9, 9>, axis = 1 : i64, qmin = 9 : i64, qmax = 255 : i64} : (tensor<2x2xf32>) -> tensor<2x2xui8>
  func.return %q : tensor<2x2xui8>
}
// CHECK-LABEL: func.func @float_bias_per_channel_target
// CHECK-NEXT:    %[[X:.*]] = graph.dequantize %a {layer = "conv", scale = array<f32: 2.500000e-01, 1.250000e-01>, zero_point = array<i32: 0>, axis = 1
// CHECK-NEXT:    %[[B:.*]] = graph.constant {value = dense<{{\[\[}}1.500000e+00, 1.250000e+00]]>
// CHECK-NEXT:    %[[Y:.*]] = graph.add %[[X]], %[[B]] {layer = "q"}
// CHECK-NEXT:    graph.quantize %[[Y]] {layer = "q", scale = array<f32: 1.000000e+00>, zero_point = array<i32: 9>
// CHECK-NEXT:    func.return
