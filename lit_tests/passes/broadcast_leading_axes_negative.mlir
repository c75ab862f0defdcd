// RUN: lpc opt %s -p 'broadcast-leading-axes' | filecheck %s

// Four axes are what kernels broadcast themselves.
// CHECK-LABEL: func.func @rank_four(
// CHECK-NEXT:    graph.add %x, %y
func.func @rank_four(%x: tensor<2x1x4x5xf32>, %y: tensor<1x3x4x5xf32>) -> tensor<2x3x4x5xf32> {
  %z = graph.add %x, %y : (tensor<2x1x4x5xf32>, tensor<1x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  func.return %z : tensor<2x3x4x5xf32>
}

// All leading axes are one, or all those of the result.
// CHECK-LABEL: func.func @alike(
// CHECK-NEXT:    graph.add %x, %y
func.func @alike(%x: tensor<2x3x2x4x5xf32>, %y: tensor<1x1x2x1x5xf32>) -> tensor<2x3x2x4x5xf32> {
  %z = graph.add %x, %y : (tensor<2x3x2x4x5xf32>, tensor<1x1x2x1x5xf32>) -> tensor<2x3x2x4x5xf32>
  func.return %z : tensor<2x3x2x4x5xf32>
}
