// RUN: lpc opt %s -p 'pack-weights{target=avx2},prove-accumulation' | filecheck %s

// Floats do not overflow in 16 or 32 bits: there is nothing to prove.
// CHECK-LABEL: func.func @floats(
// CHECK:         graph.packed_weights %{{.*}} {scheme = "gemm"
// CHECK-NOT:     proved
func.func @floats(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<2x4xf32>):
    %w = graph.constant {value = dense<1.0> : tensor<4x3xf32>} : tensor<4x3xf32>
    %c = graph.matmul %a, %w : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    graph.yield %c : tensor<2x3xf32>
  }) : (tensor<2x4xf32>) -> tensor<2x3xf32>
  func.return %0 : tensor<2x3xf32>
}
