// RUN: lpc opt %s -p 'fold-bias' | filecheck %s

// The bias is only known at run time.
// CHECK-LABEL: func.func @unknown(
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @unknown(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>, %b: tensor<2xf32>) -> tensor<1x2xf32> {
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// There is a bias already.
// CHECK-LABEL: func.func @second_bias(
// CHECK-NEXT:  %c = graph.constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w, %b : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.add %y, %c : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2xf32>
func.func @second_bias(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>, %b: tensor<2xf32>) -> tensor<1x2xf32> {
  %c = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.matmul %x, %w, %b : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %c : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %z : tensor<1x2xf32>
}

// A whole image of addends.
// CHECK-LABEL: func.func @per_pixel(
// CHECK-NEXT:  %b = graph.constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
// CHECK-NEXT:  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x2xf32>
// CHECK-NEXT:  %z = graph.add %y, %b : (tensor<1x2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x1x2xf32>
// CHECK-NEXT:  func.return %z : tensor<1x2x1x2xf32>
func.func @per_pixel(%x: tensor<1x1x1x2xf32>, %w: tensor<2x1x1x1xf32>) -> tensor<1x2x1x2xf32> {
  %b = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = graph.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = "nchw", groups = 1 : i64} : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x2xf32>
  %z = graph.add %y, %b : (tensor<1x2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x1x2xf32>
  func.return %z : tensor<1x2x1x2xf32>
}

// The addend widens the result.
// CHECK-LABEL: func.func @widening(
// CHECK-NEXT:  %b = graph.constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [1.000000e+00, 2.000000e+00{{\]\]}}> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:  func.return %z : tensor<2x2xf32>
func.func @widening(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %b = graph.constant {value = dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %z = graph.add %y, %b : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  func.return %z : tensor<2x2xf32>
}
