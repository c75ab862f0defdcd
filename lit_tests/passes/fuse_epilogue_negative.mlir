// RUN: lpc opt %s -p 'fuse-epilogue' | filecheck %s

// A result that two ops read must be in memory: three kernels.
// CHECK-LABEL: func.func @two_readers(
// CHECK-NEXT:    %{{.*}} = "graph.kernel"(%x) ({
// CHECK:           graph.unary %{{.*}} {kind = "exp"}
// CHECK:         "graph.kernel"
// CHECK:           graph.unary %{{.*}} {kind = "relu"}
// CHECK:         "graph.kernel"
// CHECK:           graph.unary %{{.*}} {kind = "abs"}
func.func @two_readers(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %a = graph.unary %x {kind = "exp"} : (tensor<4xf32>) -> tensor<4xf32>
  %b = graph.unary %a {kind = "relu"} : (tensor<4xf32>) -> tensor<4xf32>
  %c = graph.unary %a {kind = "abs"} : (tensor<4xf32>) -> tensor<4xf32>
  func.return %b, %c : tensor<4xf32>, tensor<4xf32>
}

// An op that widens the shape cannot ride in the producer.
// CHECK-LABEL: func.func @widening(
// CHECK:         "graph.kernel"(%x)
// CHECK:           graph.unary
// CHECK:         "graph.kernel"(%{{.*}}, %y)
// CHECK:           graph.add
func.func @widening(%x: tensor<4xf32>, %y: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %a = graph.unary %x {kind = "exp"} : (tensor<4xf32>) -> tensor<4xf32>
  %b = graph.add %a, %y : (tensor<4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  func.return %b : tensor<3x4xf32>
}

// What moves elements computes nothing.
// CHECK-LABEL: func.func @behind_a_transpose(
// CHECK:         "graph.kernel"(%x)
// CHECK:           graph.transpose
// CHECK-NEXT:      graph.yield
// CHECK:         "graph.kernel"
// CHECK:           graph.unary
func.func @behind_a_transpose(%x: tensor<3x4xf32>) -> tensor<4x3xf32> {
  %a = graph.transpose %x {permutation = array<i64: 1, 0>} : (tensor<3x4xf32>) -> tensor<4x3xf32>
  %b = graph.unary %a {kind = "relu"} : (tensor<4x3xf32>) -> tensor<4x3xf32>
  func.return %b : tensor<4x3xf32>
}

// Constants that a movement reads are tensors in memory, whatever their size.
// CHECK-LABEL: func.func @concatenated_constant(
// CHECK:         %c = graph.constant
// CHECK-NEXT:    "graph.kernel"(%x, %c)
func.func @concatenated_constant(%x: tensor<4xf32>) -> tensor<6xf32> {
  %c = graph.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %a = graph.concat %x, %c {axis = 0 : i64} : (tensor<4xf32>, tensor<2xf32>) -> tensor<6xf32>
  func.return %a : tensor<6xf32>
}

// Somebody reads the whole concat, so that it is in memory anyway.
// CHECK-LABEL: func.func @concat_with_another_reader(
// CHECK:         %[[C:.*]] = "graph.kernel"(%x, %y)
// CHECK:           graph.concat
// CHECK:         "graph.kernel"(%[[C]])
// CHECK:           graph.gather
func.func @concat_with_another_reader(%x: tensor<2x3xui8>, %y: tensor<2x1xui8>) -> (tensor<2x4xui8>, tensor<2x2xui8>) {
  %c = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x3xui8>, tensor<2x1xui8>) -> tensor<2x4xui8>
  %i = graph.constant {value = dense<[0, 3]> : tensor<2xi64>} : tensor<2xi64>
  %a = graph.gather %c, %i {axis = 1 : i64} : (tensor<2x4xui8>, tensor<2xi64>) -> tensor<2x2xui8>
  func.return %c, %a : tensor<2x4xui8>, tensor<2x2xui8>
}

// One value per pixel would be converted again for every block of channels: once, in memory.
// CHECK-LABEL: func.func @pixel_mask(
// CHECK:         %[[M:.*]] = "graph.kernel"(%g)
// CHECK:           graph.dequantize
// CHECK-NEXT:      graph.yield
// CHECK:         "graph.kernel"(%x, %[[M]])
// CHECK:           graph.mul
func.func @pixel_mask(%x: tensor<1x4x4x8xui8>, %g: tensor<1x4x4x1xui8>) -> tensor<1x4x4x8xf32> {
  %a = graph.dequantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 3 : i64} : (tensor<1x4x4x8xui8>) -> tensor<1x4x4x8xf32>
  %b = graph.dequantize %g {scale = array<f32: 0.1>, zero_point = array<i32: 0>, axis = 3 : i64} : (tensor<1x4x4x1xui8>) -> tensor<1x4x4x1xf32>
  %m = graph.mul %a, %b : (tensor<1x4x4x8xf32>, tensor<1x4x4x1xf32>) -> tensor<1x4x4x8xf32>
  func.return %m : tensor<1x4x4x8xf32>
}
