// RUN: lpc opt %s -p 'broadcast-leading-axes' | filecheck %s

// CHECK-LABEL: func.func @one_by_one(
// CHECK-NEXT:    %0 = graph.broadcast %x {layer = "sum"} : (tensor<2x1x2x4x5xf32>) -> tensor<2x3x2x4x5xf32>
// CHECK-NEXT:    %1 = graph.broadcast %y {layer = "sum"} : (tensor<1x3x1x4x5xf32>) -> tensor<2x3x1x4x5xf32>
// CHECK-NEXT:    %z = graph.add %0, %1 {layer = "sum"}
func.func @one_by_one(%x: tensor<2x1x2x4x5xf32>, %y: tensor<1x3x1x4x5xf32>) -> tensor<2x3x2x4x5xf32> {
  %z = graph.add %x, %y {layer = "sum"} : (tensor<2x1x2x4x5xf32>, tensor<1x3x1x4x5xf32>) -> tensor<2x3x2x4x5xf32>
  func.return %z : tensor<2x3x2x4x5xf32>
}

// CHECK-LABEL: func.func @matrices(
// CHECK-NEXT:    %0 = graph.broadcast %y : (tensor<3x1x5x6xf32>) -> tensor<2x3x1x5x6xf32>
// CHECK-NEXT:    %z = graph.matmul %x, %0
func.func @matrices(%x: tensor<2x3x2x4x5xf32>, %y: tensor<3x1x5x6xf32>) -> tensor<2x3x2x4x6xf32> {
  %z = graph.matmul %x, %y : (tensor<2x3x2x4x5xf32>, tensor<3x1x5x6xf32>) -> tensor<2x3x2x4x6xf32>
  func.return %z : tensor<2x3x2x4x6xf32>
}
