// RUN: lpc opt %s -p 'plan-memory' | filecheck %s

// The last layer reads %0 through a view: nothing else may lie there meanwhile.
// CHECK-LABEL: func.func @still_read(
// CHECK-SAME:    workspace_size = 384 : i64
// CHECK:         }) {layer = "a", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "b", placement = "workspace", offset = 128 : i64}
// CHECK:         }) {layer = "c", placement = "workspace", offset = 256 : i64}
// CHECK:         }) {layer = "d", placement = "output", index = 0 : i64, offset = 0 : i64}
func.func @still_read(%x: tensor<64xui8>) -> tensor<128xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "a"} : (tensor<64xui8>) -> tensor<64xui8>
  %v = graph.reshape %0 : (tensor<64xui8>) -> tensor<64x1xui8>
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
  %3 = "graph.kernel"(%2, %v) ({
  ^bb0(%a: tensor<64xui8>, %b: tensor<64x1xui8>):
    %c = graph.concat %a, %a {axis = 0 : i64} : (tensor<64xui8>, tensor<64xui8>) -> tensor<128xui8>
    graph.yield %c : tensor<128xui8>
  }) {layer = "d"} : (tensor<64xui8>, tensor<64x1xui8>) -> tensor<128xui8>
  func.return %3 : tensor<128xui8>
}
