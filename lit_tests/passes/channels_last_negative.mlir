// RUN: lpc opt %s -p 'channels-last' --split-input-file | filecheck %s

// A sum over channels keeps its order, so the image goes back.
func.func @reduce_channels(%x: tensor<1x3x4x4xf32>) -> tensor<1x2x2xf32> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
  %r = graph.reduce %p {kind = "sum", axes = array<i64: 1>, keepdims = false} : (tensor<1x3x2x2xf32>) -> tensor<1x2x2xf32>
  func.return %r : tensor<1x2x2xf32>
}
// CHECK-LABEL: func.func @reduce_channels
// CHECK:         graph.transpose {{.*}}permutation = array<i64: 0, 3, 1, 2>
// CHECK-NEXT:    graph.reduce {{.*}}axes = array<i64: 1>

// -----

// Over columns alone, too: lanes in one layout, a sequence in the other.
func.func @reduce_columns(%x: tensor<1x3x4x4xf32>) -> tensor<1x3x2x1xf32> {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
  %r = graph.reduce %p {kind = "sum", axes = array<i64: 3>, keepdims = true} : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x1xf32>
  func.return %r : tensor<1x3x2x1xf32>
}
// CHECK-LABEL: func.func @reduce_columns
// CHECK:         graph.transpose {{.*}}permutation = array<i64: 0, 3, 1, 2>
// CHECK-NEXT:    graph.reduce {{.*}}axes = array<i64: 3>

// -----

// The flattened image is a result as well: its order is the caller's.
func.func @flatten_returned(%x: tensor<1x2x2x4xui8>) -> (tensor<1x8xui8>, tensor<1x1xi32>) {
  %p = graph.max_pool %x {layout = "nchw", kernel = array<i64: 1, 2>, strides = array<i64: 1, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x2x4xui8>) -> tensor<1x2x2x2xui8>
  %f = graph.reshape %p : (tensor<1x2x2x2xui8>) -> tensor<1x8xui8>
  %w = graph.constant {value = dense<[[0], [1], [2], [3], [4], [5], [6], [7]]> : tensor<8x1xsi8>} : tensor<8x1xsi8>
  %y = graph.qmatmul %f, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x8xui8>, tensor<8x1xsi8>) -> tensor<1x1xi32>
  func.return %f, %y : tensor<1x8xui8>, tensor<1x1xi32>
}
// CHECK-LABEL: func.func @flatten_returned
// CHECK:         graph.transpose {{.*}}permutation = array<i64: 0, 3, 1, 2>
// CHECK-NEXT:    graph.reshape
// CHECK-NEXT:    graph.constant {value = dense<{{.*0.*1.*2.*3.*4.*5.*6.*7.*}}> : tensor<8x1xsi8>}

// -----

// No windows, no images: axes keep their meaning.
func.func @no_window(%x: tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32> {
  %y = graph.unary %x {kind = "relu"} : (tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32>
  func.return %y : tensor<1x3x4x4xf32>
}
// CHECK-LABEL: func.func @no_window
// CHECK-NEXT:    graph.unary %x
// CHECK-NEXT:    func.return
