// RUN: lpc opt %s -p 'fold-channel-shuffle' | filecheck %s

// The transpose moves an axis that the reshape did not make.
// CHECK-LABEL: func.func @other_axis(
// CHECK-NEXT:  graph.reshape
// CHECK-NEXT:  graph.transpose
// CHECK-NEXT:  graph.reshape
func.func @other_axis(%x: tensor<2x4x2xui8>) -> tensor<2x4x2xui8> {
  %a = graph.reshape %x : (tensor<2x4x2xui8>) -> tensor<2x2x2x2xui8>
  %b = graph.transpose %a {permutation = array<i64: 0, 1, 3, 2>} : (tensor<2x2x2x2xui8>) -> tensor<2x2x2x2xui8>
  %y = graph.reshape %b : (tensor<2x2x2x2xui8>) -> tensor<2x4x2xui8>
  func.return %y : tensor<2x4x2xui8>
}

// The second reshape joins other axes.
// CHECK-LABEL: func.func @other_shape(
// CHECK-NEXT:  graph.reshape
// CHECK-NEXT:  graph.transpose
// CHECK-NEXT:  graph.reshape
func.func @other_shape(%x: tensor<1x6x2xui8>) -> tensor<3x4xui8> {
  %a = graph.reshape %x : (tensor<1x6x2xui8>) -> tensor<1x2x3x2xui8>
  %b = graph.transpose %a {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x2xui8>) -> tensor<1x3x2x2xui8>
  %y = graph.reshape %b : (tensor<1x3x2x2xui8>) -> tensor<3x4xui8>
  func.return %y : tensor<3x4xui8>
}

// Another reader of the transpose keeps it, and one movement is better than two.
// CHECK-LABEL: func.func @two_readers(
// CHECK:       graph.transpose
// CHECK-NEXT:  graph.reshape
func.func @two_readers(%x: tensor<4xui8>) -> (tensor<4xui8>, tensor<2x2xui8>) {
  %a = graph.reshape %x : (tensor<4xui8>) -> tensor<2x2xui8>
  %b = graph.transpose %a {permutation = array<i64: 1, 0>} : (tensor<2x2xui8>) -> tensor<2x2xui8>
  %y = graph.reshape %b : (tensor<2x2xui8>) -> tensor<4xui8>
  func.return %y, %b : tensor<4xui8>, tensor<2x2xui8>
}

// A reader needs the whole gather, so that a slice of it is the cheaper way to its half.
// CHECK-LABEL: func.func @needed_whole(
// CHECK:       graph.gather
// CHECK-NEXT:  graph.slice
func.func @needed_whole(%x: tensor<4xui8>) -> (tensor<2xui8>, tensor<4xui8>) {
  %i = graph.constant {value = dense<[0, 2, 1, 3]> : tensor<4xi64>} : tensor<4xi64>
  %s = graph.gather %x, %i {axis = 0 : i64} : (tensor<4xui8>, tensor<4xi64>) -> tensor<4xui8>
  %l = graph.slice %s {starts = array<i64: 0>, limits = array<i64: 2>, steps = array<i64: 1>} : (tensor<4xui8>) -> tensor<2xui8>
  func.return %l, %s : tensor<2xui8>, tensor<4xui8>
}

// The slice cuts another axis than the one that is gathered.
// CHECK-LABEL: func.func @sliced_elsewhere(
// CHECK:       graph.gather
// CHECK-NEXT:  graph.slice
func.func @sliced_elsewhere(%x: tensor<4x3xui8>) -> tensor<4x2xui8> {
  %i = graph.constant {value = dense<[0, 2, 1, 3]> : tensor<4xi64>} : tensor<4xi64>
  %s = graph.gather %x, %i {axis = 0 : i64} : (tensor<4x3xui8>, tensor<4xi64>) -> tensor<4x3xui8>
  %l = graph.slice %s {starts = array<i64: 0, 0>, limits = array<i64: 4, 2>, steps = array<i64: 1, 1>} : (tensor<4x3xui8>) -> tensor<4x2xui8>
  func.return %l : tensor<4x2xui8>
}
