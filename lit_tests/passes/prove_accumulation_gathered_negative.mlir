// RUN: not lpc opt %s -p prove-accumulation 2>&1 | filecheck %s

// Input 7 has two places, and input 15 none.
// CHECK: a step of graph.qmatmul reads other inputs: packing is wrong
func.func @twice(%x: tensor<2x16xui8>) -> tensor<2x8xi32> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<2x16xui8>):
    %data = graph.constant {value = dense<1> : tensor<128xui8>} : tensor<128xui8>
    %inputs = graph.constant {value = dense<[[[0, 8, 1, 9], [2, 10, 3, 11], [4, 12, 5, 13], [6, 14, 7, 7]]]> : tensor<1x4x4xi32>} : tensor<1x4x4xi32>
    %counts = graph.constant {value = dense<[[0, 0, 2, 0, 0, 0, 0]]> : tensor<1x7xi32>} : tensor<1x7xi32>
    %w = graph.packed_weights %data, %inputs, %counts {scheme = "gemm", tile = array<i64: 8, 1, 8>, groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = "gathered"} : (tensor<128xui8>, tensor<1x4x4xi32>, tensor<1x7xi32>) -> tensor<16x8xsi8>
    %c = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<2x16xui8>, tensor<16x8xsi8>) -> tensor<2x8xi32>
    graph.yield %c : tensor<2x8xi32>
  }) : (tensor<2x16xui8>) -> tensor<2x8xi32>
  func.return %0 : tensor<2x8xi32>
}
