// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: argument tensor<3xf32> for operand tensor<2xf32>
func.func @kernel_argument(%0: tensor<2xf32>) {
  %1 = "graph.kernel"(%0) ({
  ^bb0(%2: tensor<3xf32>):
    graph.yield %2 : tensor<3xf32>
  }) : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: yields tensor<2xf32> for result tensor<3xf32>
func.func @kernel_yield(%0: tensor<2xf32>) {
  %1 = "graph.kernel"(%0) ({
  ^bb0(%2: tensor<2xf32>):
    graph.yield %2 : tensor<2xf32>
  }) : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: Operation graph.unary terminates block in single-block region but is not a terminator
func.func @kernel_terminator(%0: tensor<2xf32>) {
  %1 = "graph.kernel"(%0) ({
  ^bb0(%2: tensor<2xf32>):
    %3 = graph.unary %2 {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  }) : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}
