// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @abstract(
// CHECK-NEXT:  %m = loop.scratch 1024 : i64
// CHECK-NEXT:  %c = tile.load %x[%o] stride %s : !tile.register<7, 64>
// CHECK-NEXT:  %a = tile.load %x[%o] stride %s : !tile.register<7, 48>
// CHECK-NEXT:  %b = tile.load %x[%o] stride %s : !tile.register<12, 64>
// CHECK-NEXT:  %d = tile.dot4 %c, %a, %b : (!tile.register<7, 64>, !tile.register<7, 48>, !tile.register<12, 64>) -> !tile.register<7, 64>
// CHECK-NEXT:  tile.store %d, %m[%o] stride %s : !tile.register<7, 64>
func.func @abstract(%x: !loop.buffer, %o: index, %s: index) {
  %m = loop.scratch 1024
  %c = tile.load %x[%o] stride %s : !tile.register<7, 64>
  %a = tile.load %x[%o] stride %s : !tile.register<7, 48>
  %b = tile.load %x[%o] stride %s : !tile.register<12, 64>
  %d = tile.dot4 %c, %a, %b : (!tile.register<7, 64>, !tile.register<7, 48>, !tile.register<12, 64>) -> !tile.register<7, 64>
  tile.store %d, %m[%o] stride %s : !tile.register<7, 64>
  func.return
}

// CHECK-LABEL: func.func @isa(
// CHECK-NEXT:  tile.configure {shapes = array<i64: 16, 64, 16, 64, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>}
// CHECK-NEXT:  tile.instruction "tileloadd" at %x, %o, %s : !loop.buffer, index, index {registers = array<i64: 1>}
// CHECK-NEXT:  tile.instruction "tdpbusd" {registers = array<i64: 0, 1, 2>}
// CHECK-NEXT:  tile.instruction "tilerelease" {registers = array<i64>}
func.func @isa(%x: !loop.buffer, %o: index, %s: index) {
  tile.configure {shapes = array<i64: 16, 64, 16, 64, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>}
  tile.instruction "tileloadd" at %x, %o, %s : !loop.buffer, index, index {registers = array<i64: 1>}
  tile.instruction "tdpbusd" {registers = array<i64: 0, 1, 2>}
  tile.instruction "tilerelease" {registers = array<i64>}
  func.return
}
