// RUN: lpc opt %s -p 'innermost-channels' --split-input-file | filecheck %s

// CHECK-NOT: graph.transpose

// One value for all channels.
func.func @per_tensor(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xui8> {
  %q = graph.quantize %x {scale = array<f32: 0.5>, zero_point = array<i32: 7>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xui8>
  func.return %q : tensor<2x3x4xui8>
}

// -----

// Channels are innermost.
func.func @last_axis(%q: tensor<2x3xui8>) -> tensor<2x3xf32> {
  %x = graph.dequantize %q {scale = array<f32: 0.5, 0.25, 0.125>, zero_point = array<i32: 7>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  func.return %x : tensor<2x3xf32>
}
