// RUN: lpc opt %s -p 'concat-in-place' | filecheck %s

// A kernel that writes 16 channels at a time would write over those of the next part.
// CHECK-LABEL: func.func @ragged(
// CHECK:         %2 = "graph.kernel"(%0, %1)
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
func.func @ragged(%x: tensor<1x2x2x5xui8>, %y: tensor<1x2x2x16xui8>) -> tensor<1x2x2x21xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x5xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
    graph.yield %t : tensor<1x2x2x5xui8>
  }) {layer = "a"} : (tensor<1x2x2x5xui8>) -> tensor<1x2x2x5xui8>
  %1 = "graph.kernel"(%y) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "b"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %2 = "graph.kernel"(%0, %1) ({
  ^bb0(%a: tensor<1x2x2x5xui8>, %b: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b {axis = 3 : i64} : (tensor<1x2x2x5xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x21xui8>
    graph.yield %r : tensor<1x2x2x21xui8>
  }) {layer = "join"} : (tensor<1x2x2x5xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x21xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x2x2x21xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x21xui8>) -> tensor<1x2x2x21xui8>
    graph.yield %t : tensor<1x2x2x21xui8>
  }) {layer = "c"} : (tensor<1x2x2x21xui8>) -> tensor<1x2x2x21xui8>
  func.return %3 : tensor<1x2x2x21xui8>
}

// Along other axes parts are not ranges of channels.
// CHECK-LABEL: func.func @rows(
// CHECK:         %2 = "graph.kernel"(%0, %1)
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
func.func @rows(%x: tensor<1x2x2x16xui8>) -> tensor<1x4x2x16xui8> {
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
    %r = graph.concat %a, %b {axis = 1 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x4x2x16xui8>
    graph.yield %r : tensor<1x4x2x16xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x4x2x16xui8>
  %3 = "graph.kernel"(%2) ({
  ^bb0(%a: tensor<1x4x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x4x2x16xui8>) -> tensor<1x4x2x16xui8>
    graph.yield %t : tensor<1x4x2x16xui8>
  }) {layer = "c"} : (tensor<1x4x2x16xui8>) -> tensor<1x4x2x16xui8>
  func.return %3 : tensor<1x4x2x16xui8>
}

// Two copies are not less work than one kernel that copies everything.
// CHECK-LABEL: func.func @two_inputs(
// CHECK:         %1 = "graph.kernel"(%x, %0, %y)
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
func.func @two_inputs(%x: tensor<1x2x2x16xui8>, %y: tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %t : tensor<1x2x2x16xui8>
  }) {layer = "a"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  %1 = "graph.kernel"(%x, %0, %y) ({
  ^bb0(%a: tensor<1x2x2x16xui8>, %b: tensor<1x2x2x16xui8>, %c: tensor<1x2x2x16xui8>):
    %r = graph.concat %a, %b, %c {axis = 3 : i64} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8>
    graph.yield %r : tensor<1x2x2x48xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x48xui8>
  %2 = "graph.kernel"(%1) ({
  ^bb0(%a: tensor<1x2x2x48xui8>):
    %t = graph.lut %a {table = dense<7> : tensor<256xui8>} : (tensor<1x2x2x48xui8>) -> tensor<1x2x2x48xui8>
    graph.yield %t : tensor<1x2x2x48xui8>
  }) {layer = "b"} : (tensor<1x2x2x48xui8>) -> tensor<1x2x2x48xui8>
  func.return %2 : tensor<1x2x2x48xui8>
}

// Nor is the copy of the only part that there is.
// CHECK-LABEL: func.func @alone(
// CHECK:         %0 = "graph.kernel"(%x)
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
func.func @alone(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8> {
  %0 = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x2x2x16xui8>):
    %r = graph.concat %a {axis = 3 : i64} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
    graph.yield %r : tensor<1x2x2x16xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>) -> tensor<1x2x2x16xui8>
  func.return %0 : tensor<1x2x2x16xui8>
}

// Channels that are chosen from a concat are read where they come from.
// CHECK-LABEL: func.func @gathered(
// CHECK:         %2 = "graph.kernel"(%0, %1)
// CHECK-NEXT:    ^{{.*}}:
// CHECK-NEXT:      graph.concat
// CHECK-NEXT:      graph.constant
// CHECK-NEXT:      graph.gather
func.func @gathered(%x: tensor<1x2x2x16xui8>) -> tensor<1x2x2x2xui8> {
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
    %i = graph.constant {value = dense<[0, 16]> : tensor<2xi64>} : tensor<2xi64>
    %g = graph.gather %r, %i {axis = 3 : i64} : (tensor<1x2x2x32xui8>, tensor<2xi64>) -> tensor<1x2x2x2xui8>
    graph.yield %g : tensor<1x2x2x2xui8>
  }) {layer = "join"} : (tensor<1x2x2x16xui8>, tensor<1x2x2x16xui8>) -> tensor<1x2x2x2xui8>
  func.return %2 : tensor<1x2x2x2xui8>
}
