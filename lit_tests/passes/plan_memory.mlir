// RUN: lpc opt %s -p 'plan-memory' | filecheck %s

// %0 is dead when %2 is made, and lends it its place. Every tensor has 64 bytes of slack behind it.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME:    workspace_size = 256 : i64
// CHECK:         }) {layer = "a", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "b", placement = "workspace", offset = 128 : i64}
// CHECK:         }) {layer = "c", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "d", placement = "output", offset = 0 : i64}
func.func @chain(%x: tensor<64xui8>) -> tensor<64xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "a"} : (tensor<64xui8>) -> tensor<64xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "b"} : (tensor<64xui8>) -> tensor<64xui8>
  %2 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "c"} : (tensor<64xui8>) -> tensor<64xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "d"} : (tensor<64xui8>) -> tensor<64xui8>
  func.return %3 : tensor<64xui8>
}

// Results are numbered as the caller gets them.
// CHECK-LABEL: func.func @results(
// CHECK-SAME:    workspace_size = 0 : i64
// CHECK:         }) {layer = "a", placement = "output", offset = 1 : i64}
// CHECK:         }) {layer = "b", placement = "output", offset = 0 : i64}
func.func @results(%x: tensor<64xui8>) -> (tensor<64xui8>, tensor<64xui8>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "a"} : (tensor<64xui8>) -> tensor<64xui8>
  %1 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "b"} : (tensor<64xui8>) -> tensor<64xui8>
  func.return %1, %0 : tensor<64xui8>, tensor<64xui8>
}
