// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @kernel(
// CHECK: "graph.kernel"(%{{.*}}) ({
// CHECK: graph.unary %{{.*}} {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK: graph.yield %{{.*}} : tensor<2xf32>
func.func @kernel(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = "graph.kernel"(%0) ({
  ^bb0(%2: tensor<2xf32>):
    %3 = graph.unary %2 {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
    graph.yield %3 : tensor<2xf32>
  }) : (tensor<2xf32>) -> tensor<2xf32>
  func.return %1 : tensor<2xf32>
}
