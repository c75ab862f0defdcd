// RUN: lpc opt %s -p 'assign-layouts' | filecheck %s

// Results belong to the caller: dense, whatever their channels.
// CHECK-LABEL: func.func @result(
// CHECK-NOT:     #graph.layout
// CHECK:         func.return
func.func @result(%x: tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x20xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
    graph.yield %t : tensor<1x4x4x20xui8>
  }) {layer = "only"} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
  func.return %0 : tensor<1x4x4x20xui8>
}

// A reshape to other rows is a view of dense memory only.
// CHECK-LABEL: func.func @viewed(
// CHECK-NOT:     #graph.layout
// CHECK:         graph.reshape %0 : (tensor<1x4x4x20xui8>) -> tensor<1x320xui8>
// CHECK-NOT:     #graph.layout
// CHECK:         func.return
func.func @viewed(%x: tensor<1x4x4x20xui8>) -> tensor<1x320xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4x4x20xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
    graph.yield %t : tensor<1x4x4x20xui8>
  }) {layer = "first"} : (tensor<1x4x4x20xui8>) -> tensor<1x4x4x20xui8>
  %1 = graph.reshape %0 : (tensor<1x4x4x20xui8>) -> tensor<1x320xui8>
  %2 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x320xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x320xui8>) -> tensor<1x320xui8>
    graph.yield %t : tensor<1x320xui8>
  }) {layer = "second"} : (tensor<1x320xui8>) -> tensor<1x320xui8>
  func.return %2 : tensor<1x320xui8>
}
