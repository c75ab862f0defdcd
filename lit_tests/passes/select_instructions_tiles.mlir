// RUN: lpc opt %s -p 'select-instructions{target=amx_int8}' | filecheck %s

// One configuration for the whole kernel, sums stay where they are, and the loop carries none.
// CHECK-LABEL: func.func @products(
// CHECK-NEXT:    tile.configure {shapes = array<i64: 16, 64, 7, 64, 16, 64, 16, 64, 7, 64, 0, 0, 0, 0, 0, 0>}
// CHECK-NEXT:    %m = loop.scratch 2048 : i64
// CHECK-NEXT:    tile.instruction "tileloadd" at %w, %o, %s : !loop.buffer, index, index {registers = array<i64: 0>}
// CHECK-NEXT:    tile.instruction "tileloadd" at %w, %s, %s : !loop.buffer, index, index {registers = array<i64: 1>}
// CHECK-NEXT:    scf.for %i = %o to %s step %s {
// CHECK-NEXT:      tile.instruction "tileloadd" at %w, %i, %s : !loop.buffer, index, index {registers = array<i64: 2>}
// CHECK-NEXT:      tile.instruction "tileloadd" at %x, %i, %s : !loop.buffer, index, index {registers = array<i64: 3>}
// CHECK-NEXT:      tile.instruction "tdpbusd" {registers = array<i64: 0, 3, 2>}
// CHECK-NEXT:      tile.instruction "tileloadd" at %x, %o, %s : !loop.buffer, index, index {registers = array<i64: 4>}
// CHECK-NEXT:      tile.instruction "tdpbusd" {registers = array<i64: 1, 4, 2>}
// CHECK-NEXT:    }
// CHECK-NEXT:    tile.instruction "tilestored" at %m, %o, %s : !loop.buffer, index, index {registers = array<i64: 0>}
// CHECK-NEXT:    tile.instruction "tilestored" at %m, %s, %s : !loop.buffer, index, index {registers = array<i64: 1>}
// CHECK-NEXT:    tile.instruction "tilerelease" {registers = array<i64>}
// CHECK-NEXT:    func.return
func.func @products(%x: !loop.buffer, %w: !loop.buffer, %o: index, %s: index) {
  %m = loop.scratch 2048
  %c = tile.load %w[%o] stride %s : !tile.register<16, 64>
  %d = tile.load %w[%s] stride %s : !tile.register<7, 64>
  %e, %f = scf.for %i = %o to %s step %s iter_args(%t = %c, %u = %d) -> (!tile.register<16, 64>, !tile.register<7, 64>) {
    %b = tile.load %w[%i] stride %s : !tile.register<16, 64>
    %a = tile.load %x[%i] stride %s : !tile.register<16, 64>
    %v = tile.dot4 %t, %a, %b : (!tile.register<16, 64>, !tile.register<16, 64>, !tile.register<16, 64>) -> !tile.register<16, 64>
    %g = tile.load %x[%o] stride %s : !tile.register<7, 64>
    %y = tile.dot4 %u, %g, %b : (!tile.register<7, 64>, !tile.register<7, 64>, !tile.register<16, 64>) -> !tile.register<7, 64>
    scf.yield %v, %y : !tile.register<16, 64>, !tile.register<7, 64>
  }
  tile.store %e, %m[%o] stride %s : !tile.register<16, 64>
  tile.store %f, %m[%s] stride %s : !tile.register<7, 64>
  func.return
}

// A loop goes on carrying what is not a tile.
// CHECK-LABEL: func.func @mixed(
// CHECK:         %n = scf.for %i = %o to %s step %s iter_args(%k = %o) -> (index) {
// CHECK-NEXT:      %l = arith.addi %k, %i : index
// CHECK-NEXT:      scf.yield %l : index
// CHECK-NEXT:    }
// CHECK-NEXT:    tile.instruction "tilestored" at %x, %n, %s : !loop.buffer, index, index {registers = array<i64: 0>}
func.func @mixed(%x: !loop.buffer, %o: index, %s: index) {
  %c = tile.load %x[%o] stride %s : !tile.register<16, 64>
  %d, %n = scf.for %i = %o to %s step %s iter_args(%t = %c, %k = %o) -> (!tile.register<16, 64>, index) {
    %l = arith.addi %k, %i : index
    scf.yield %t, %l : !tile.register<16, 64>, index
  }
  tile.store %d, %x[%n] stride %s : !tile.register<16, 64>
  func.return
}

// Registers of a shape serve one after the other; both branches use the same.
// CHECK-LABEL: func.func @branches(
// CHECK-NEXT:    tile.configure {shapes = array<i64: 16, 64, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>}
func.func @branches(%x: !loop.buffer, %o: index, %s: index, %b: i1) {
  scf.if %b {
    %c = tile.load %x[%o] stride %s : !tile.register<16, 64>
    tile.store %c, %x[%o] stride %s : !tile.register<16, 64>
  } else {
    %d = tile.load %x[%o] stride %s : !tile.register<16, 64>
    tile.store %d, %x[%s] stride %s : !tile.register<16, 64>
  }
  func.return
}

// CHECK-LABEL: func.func @without(
// CHECK-NEXT:    func.return
func.func @without() {
  func.return
}
