// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: 7×48 and 16×64 are no 7×64
func.func @depth(%c: !tile.register<7, 64>, %a: !tile.register<7, 48>, %b: !tile.register<16, 64>) {
  %d = tile.dot4 %c, %a, %b : (!tile.register<7, 64>, !tile.register<7, 48>, !tile.register<16, 64>) -> !tile.register<7, 64>
  func.return
}

// -----

// CHECK: 8×48 and 12×64 are no 7×64
func.func @rows(%c: !tile.register<7, 64>, %a: !tile.register<8, 48>, %b: !tile.register<12, 64>) {
  %d = tile.dot4 %c, %a, %b : (!tile.register<7, 64>, !tile.register<8, 48>, !tile.register<12, 64>) -> !tile.register<7, 64>
  func.return
}

// -----

// CHECK: no register has 17 rows of 64 bytes
func.func @seventeen_rows(%c: !tile.register<17, 64>) {
  func.return
}

// -----

// CHECK: there are 8 registers
func.func @configuration_of_two() {
  tile.configure {shapes = array<i64: 16, 64, 16, 64>}
  func.return
}

// -----

// CHECK: memory is a base, an offset and a stride
func.func @no_stride(%x: !loop.buffer, %o: index) {
  tile.instruction "tileloadd" at %x, %o : !loop.buffer, index {registers = array<i64: 1>}
  func.return
}
