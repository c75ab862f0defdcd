// RUN: lpc opt %s -p 'concat-in-place' | filecheck %s

// Producers write into the whole, whose last part may have any number of channels.
// CHECK-LABEL: func.func @parts(
// CHECK:         %0 = "graph.kernel"(%x)
// CHECK:         %1 = "graph.kernel"(%y)
// CHECK:         %2 = graph.concat %0, %1 {layer = "join", axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
// CHECK-NEXT:    %3 = "graph.kernel"(%2)
func.func @parts(%x: tensor<1x2x2x16xui8>, %y: tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x2x2x5xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
    graph.yield %t : tensor<1x2x2x5xui8>
  }) {layer = "b"} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x5xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
    graph.yield %r : tensor<1x2x2x21xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x5xui8>) -> tensor<1x2x2x21xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x21xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x21xui8>) -> tensor<1x2x2x21xui8>
    graph.yield %t : tensor<1x2x2x21xui8>
  }) {layer = "c"} : (tensor<1x2x2x21xui8>) -> tensor<1x2x2x21xui8>
  func.return %3 : tensor<1x2x2x21xui8>
}

// So they do into the caller's buffer.
// CHECK-LABEL: func.func @result(
// CHECK:         graph.concat %0, %1
// CHECK-NEXT:    func.return %2
func.func @result(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8> {
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
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  func.return %2 : tensor<1x2x2x32xui8>
}

// A whole is a part of another.
// CHECK-LABEL: func.func @nested(
// CHECK:         %2 = graph.concat %0, %1
// CHECK:         %4 = graph.concat %3, %2
func.func @nested(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8> {
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
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "inner"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %3 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %4 = "graph.kernel"(%3, %2) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x32xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x32xui8>) -> tensor<1x2x2x48xui8>
    graph.yield %r : tensor<1x2x2x48xui8>
  }) {layer = "outer"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x32xui8>) -> tensor<1x2x2x48xui8>
  %5 = "graph.kernel"(%4) ({
  ^bb0(%a: tensor<1x2x2x48xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x48xui8>) -> tensor<1x2x2x48xui8>
    graph.yield %t : tensor<1x2x2x48xui8>
  }) {layer = "d"} : (tensor<1x2x2x48xui8>) -> tensor<1x2x2x48xui8>
  func.return %5 : tensor<1x2x2x48xui8>
}

// Each layer of a dense block concatenates all that there was before: one tensor grows.
// CHECK-LABEL: func.func @dense_block(
// CHECK:         %2 = graph.concat %0, %1
// CHECK:         %4 = graph.concat %2, %3
// CHECK:         %6 = graph.concat %4, %5
func.func @dense_block(%x: tensor<1x2x2x16xui8>) -> (tensor<1x2x2x32xui8>, tensor<1x2x2x64xui8>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "b"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "first"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %3 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "c"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %4 = "graph.kernel"(%0, %1, %3) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>, %c: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b, %c {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8>
    graph.yield %r : tensor<1x2x2x48xui8>
  }) {layer = "second"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8>
  %5 = "graph.kernel"(%3) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "d"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %6 = "graph.kernel"(%0, %1, %3, %5) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>, %c: tensor<1x2x2x16xui8>, %d: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b, %c, %d {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x64xui8>
    graph.yield %r : tensor<1x2x2x64xui8>
  }) {layer = "third"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x64xui8>
  %7 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "e"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  %8 = "graph.kernel"(%6) ({
  ^bb0(%a: tensor<1x2x2x64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x64xui8>) -> tensor<1x2x2x64xui8>
    graph.yield %t : tensor<1x2x2x64xui8>
  }) {layer = "f"} : (tensor<1x2x2x64xui8>) -> tensor<1x2x2x64xui8>
  func.return %7, %8 : tensor<1x2x2x32xui8>, tensor<1x2x2x64xui8>
}

// What no kernel writes is copied into the whole, and nothing else is.
// CHECK-LABEL: func.func @input(
// CHECK:         %1 = "graph.kernel"(%x)
// CHECK:           graph.reshape
// CHECK:         }) {layer = "join"}
// CHECK-NEXT:    %2 = graph.concat %1, %0
func.func @input(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%x, %0) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %2 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "b"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  func.return %2 : tensor<1x2x2x32xui8>
}

// So is what is a part already: of the same concat, or of another.
// CHECK-LABEL: func.func @twice(
// CHECK:         %1 = "graph.kernel"(%0)
// CHECK:           graph.reshape
// CHECK:         %2 = graph.concat %0, %1
// CHECK:         %4 = "graph.kernel"(%0)
// CHECK:           graph.reshape
// CHECK:         %5 = graph.concat %3, %4
func.func @twice(%x: tensor<1x2x2x16xui8>) -> (tensor<1x2x2x32xui8>, tensor<1x2x2x32xui8>) {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%0) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %a {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %2 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "b"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %3 = "graph.kernel"(%2, %0) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "other"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %4 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "c"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  %5 = "graph.kernel"(%3) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "d"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  func.return %4, %5 : tensor<1x2x2x32xui8>, tensor<1x2x2x32xui8>
}

// And what lies in the caller's buffer.
// CHECK-LABEL: func.func @also_a_result(
// CHECK:         %2 = "graph.kernel"(%0)
// CHECK:           graph.reshape
// CHECK:         %3 = graph.concat %2, %1
func.func @also_a_result(%x: tensor<1x2x2x16xui8>) -> (tensor<1x2x2x16xui8>, tensor<1x2x2x32xui8>) {
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
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "c"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  func.return %0, %3 : tensor<1x2x2x16xui8>, tensor<1x2x2x32xui8>
}

// And what is also read in a shape that does not allow strides.
// CHECK-LABEL: func.func @flattened(
// CHECK:         %2 = "graph.kernel"(%0)
// CHECK:           graph.reshape
// CHECK:         %3 = graph.concat %2, %1
func.func @flattened(%x: tensor<1x2x2x16xui8>) -> (tensor<1x2x2x32xui8>, tensor<64xui8>) {
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
  %v = graph.reshape %0 : (tensor<1x2x2x16xui8>) -> tensor<64xui8>
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %r : tensor<1x2x2x32xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x32xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x32xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
    graph.yield %t : tensor<1x2x2x32xui8>
  }) {layer = "c"} : (tensor<1x2x2x32xui8>) -> tensor<1x2x2x32xui8>
  %4 = "graph.kernel"(%v) ({
  ^bb0(%a: tensor<64xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<64xui8>) -> tensor<64xui8>
    graph.yield %t : tensor<64xui8>
  }) {layer = "d"} : (tensor<64xui8>) -> tensor<64xui8>
  func.return %3, %4 : tensor<1x2x2x32xui8>, tensor<64xui8>
}
