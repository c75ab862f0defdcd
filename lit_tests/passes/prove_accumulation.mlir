// RUN: lpc opt %s -p 'pack-weights{target=avx2},prove-accumulation' | filecheck %s

// Small weights: pairs of products fit 16 bits.
// CHECK-LABEL: func.func @small(
// CHECK:         graph.packed_weights %{{.*}} {proved, scheme = "gemm"
func.func @small(%x: tensor<2x4xui8>) -> tensor<2x3xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<2x4xui8>):
    %w = graph.constant {value = dense<64> : tensor<4x3xsi8>} : tensor<4x3xsi8>
    %c = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x4xui8>, tensor<4x3xsi8>) -> tensor<2x3xi32>
    graph.yield %c : tensor<2x3xi32>
  }) : (tensor<2x4xui8>) -> tensor<2x3xi32>
  func.return %0 : tensor<2x3xi32>
}

// The largest weights: other instructions, but a proof just the same.
// CHECK-LABEL: func.func @largest(
// CHECK:         graph.packed_weights %{{.*}} {proved, scheme = "gemm"
func.func @largest(%x: tensor<2x4xui8>) -> tensor<2x3xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<2x4xui8>):
    %w = graph.constant {value = dense<-128> : tensor<4x3xsi8>} : tensor<4x3xsi8>
    %c = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x4xui8>, tensor<4x3xsi8>) -> tensor<2x3xi32>
    graph.yield %c : tensor<2x3xi32>
  }) : (tensor<2x4xui8>) -> tensor<2x3xi32>
  func.return %0 : tensor<2x3xi32>
}
