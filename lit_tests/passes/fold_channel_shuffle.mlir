// RUN: lpc opt %s -p 'fold-channel-shuffle' | filecheck %s

// Two groups of three channels, taken in turn.
// CHECK-LABEL: func.func @two_groups(
// CHECK-NEXT:  %[[I:.*]] = graph.constant {value = dense<[0, 3, 1, 4, 2, 5]> : tensor<6xi64>}
// CHECK-NEXT:  %[[Y:.*]] = graph.gather %x, %[[I]] {layer = "shuffle", axis = 1 : i64} : (tensor<1x6x2x2xui8>, tensor<6xi64>) -> tensor<1x6x2x2xui8>
// CHECK-NEXT:  func.return %[[Y]]
func.func @two_groups(%x: tensor<1x6x2x2xui8>) -> tensor<1x6x2x2xui8> {
  %a = graph.reshape %x : (tensor<1x6x2x2xui8>) -> tensor<1x2x3x2x2xui8>
  %b = graph.transpose %a {permutation = array<i64: 0, 2, 1, 3, 4>} : (tensor<1x2x3x2x2xui8>) -> tensor<1x3x2x2x2xui8>
  %y = graph.reshape %b {layer = "shuffle"} : (tensor<1x3x2x2x2xui8>) -> tensor<1x6x2x2xui8>
  func.return %y : tensor<1x6x2x2xui8>
}

// Any axis, any number of parts.
// CHECK-LABEL: func.func @three_parts(
// CHECK-NEXT:  %[[I:.*]] = graph.constant {value = dense<[0, 4, 2, 6, 1, 5, 3, 7]> : tensor<8xi64>}
// CHECK-NEXT:  graph.gather %x, %[[I]] {axis = 1 : i64} : (tensor<3x8xf32>, tensor<8xi64>) -> tensor<3x8xf32>
func.func @three_parts(%x: tensor<3x8xf32>) -> tensor<3x8xf32> {
  %a = graph.reshape %x : (tensor<3x8xf32>) -> tensor<3x2x2x2xf32>
  %b = graph.transpose %a {permutation = array<i64: 0, 3, 2, 1>} : (tensor<3x2x2x2xf32>) -> tensor<3x2x2x2xf32>
  %y = graph.reshape %b : (tensor<3x2x2x2xf32>) -> tensor<3x8xf32>
  func.return %y : tensor<3x8xf32>
}

// Both halves are gathers of their own: nobody needs the whole.
// CHECK-LABEL: func.func @halves(
// CHECK-NEXT:  %[[I:.*]] = graph.constant {value = dense<[0, 2]> : tensor<2xi64>}
// CHECK-NEXT:  %[[L:.*]] = graph.gather %x, %[[I]] {axis = 1 : i64} : (tensor<1x4x2xui8>, tensor<2xi64>) -> tensor<1x2x2xui8>
// CHECK-NEXT:  %[[J:.*]] = graph.constant {value = dense<[1, 3]> : tensor<2xi64>}
// CHECK-NEXT:  %[[H:.*]] = graph.gather %x, %[[J]] {axis = 1 : i64} : (tensor<1x4x2xui8>, tensor<2xi64>) -> tensor<1x2x2xui8>
// CHECK-NEXT:  func.return %[[L]], %[[H]]
func.func @halves(%x: tensor<1x4x2xui8>) -> (tensor<1x2x2xui8>, tensor<1x2x2xui8>) {
  %i = graph.constant {value = dense<[0, 2, 1, 3]> : tensor<4xi64>} : tensor<4xi64>
  %s = graph.gather %x, %i {axis = 1 : i64} : (tensor<1x4x2xui8>, tensor<4xi64>) -> tensor<1x4x2xui8>
  %l = graph.slice %s {starts = array<i64: 0, 0, 0>, limits = array<i64: 1, 2, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x4x2xui8>) -> tensor<1x2x2xui8>
  %h = graph.slice %s {starts = array<i64: 0, 2, 0>, limits = array<i64: 1, 4, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x4x2xui8>) -> tensor<1x2x2xui8>
  func.return %l, %h : tensor<1x2x2xui8>, tensor<1x2x2xui8>
}
