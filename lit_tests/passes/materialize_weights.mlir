// RUN: lpc opt %s -p 'materialize-weights' | filecheck %s

// (q − z)·s of every code; the op that reads them computes in float.
// CHECK-LABEL: func.func @weights(
// CHECK-NEXT:    %{{.*}} = graph.constant {value = dense<{{\[\[}}-5.000000e-01, 0.000000e+00], [5.000000e-01, 1.000000e+00]]> : tensor<2x2xf32>} : tensor<2x2xf32>
// CHECK-NEXT:    graph.matmul %x, %{{.*}} :
func.func @weights(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %q = graph.constant {value = dense<[[2, 3], [4, 5]]> : tensor<2x2xsi8>} : tensor<2x2xsi8>
  %w = graph.dequantize %q {scale = array<f32: 0.5>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<2x2xsi8>) -> tensor<2x2xf32>
  %y = graph.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}
