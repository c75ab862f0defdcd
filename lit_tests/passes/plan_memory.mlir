// RUN: lpc opt %s -p 'plan-memory' | filecheck %s

// %0 is dead when %2 is made, and lends it its place. Every tensor has 64 bytes of slack behind it.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME:    workspace_size = 256 : i64
// CHECK:         }) {layer = "a", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "b", placement = "workspace", offset = 128 : i64}
// CHECK:         }) {layer = "c", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "d", placement = "output", index = 0 : i64, offset = 0 : i64}
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
// CHECK:         }) {layer = "a", placement = "output", index = 1 : i64, offset = 0 : i64}
// CHECK:         }) {layer = "b", placement = "output", index = 0 : i64, offset = 0 : i64}
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

// A concatenation in place is one tensor, which lives from the first producer of a part ("a") on: "b" has its memory
// elsewhere. The second part lies 16 bytes behind the first.
// CHECK-LABEL: func.func @parts(
// CHECK-SAME:    workspace_size = 320 : i64
// CHECK:         }) {layer = "a", placement = "workspace", offset = 0 : i64}
// CHECK:         }) {layer = "b", placement = "workspace", offset = 192 : i64}
// CHECK:         }) {layer = "c", placement = "workspace", offset = 16 : i64}
// CHECK:         }) {layer = "d", placement = "output", index = 0 : i64, offset = 0 : i64}
func.func @parts(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "b"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %2 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %3 = graph.concat %0, %2 {axis = 3 : i64, layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %4 = "graph.kernel"(%3) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "d"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  func.return %4 : tensor<1x2x2x32xui8>
}

// In the caller's buffer, and in the middle of a larger one.
// CHECK-LABEL: func.func @result(
// CHECK-SAME:    workspace_size = 0 : i64
// CHECK:         }) {layer = "a", placement = "output", index = 0 : i64, offset = 16 : i64}
// CHECK:         }) {layer = "b", placement = "output", index = 0 : i64, offset = 32 : i64}
// CHECK:         }) {layer = "c", placement = "output", index = 0 : i64, offset = 0 : i64}
func.func @result(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "b"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %2 = graph.concat %0, %1 {axis = 3 : i64, layer = "inner"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %3 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %4 = graph.concat %3, %2 {axis = 3 : i64, layer = "outer"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x32xui8>) -> tensor<1x2x2x48xui8>
  func.return %4 : tensor<1x2x2x48xui8>
}
