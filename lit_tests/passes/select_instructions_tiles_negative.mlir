// RUN: not lpc opt %s -p 'select-instructions{target=avx512_vnni}' 2>&1 | filecheck %s
// RUN: not lpc opt %s -p 'select-instructions{target=amx_int8}' 2>&1 | filecheck %s --check-prefix=AMX

// A sum that two products add to would need a copy, and tile registers have no move.
// CHECK: target avx512_vnni has no tile registers
// AMX:   a sum has another reader than what adds to it
func.func @two_readers(%x: !loop.buffer, %o: index, %s: index) {
  %c = tile.load %x[%o] stride %s : !tile.register<16, 64>
  %a = tile.load %x[%o] stride %s : !tile.register<16, 64>
  %b = tile.load %x[%o] stride %s : !tile.register<16, 64>
  %d = tile.dot4 %c, %a, %b : (!tile.register<16, 64>, !tile.register<16, 64>, !tile.register<16, 64>) -> !tile.register<16, 64>
  %e = tile.dot4 %c, %b, %a : (!tile.register<16, 64>, !tile.register<16, 64>, !tile.register<16, 64>) -> !tile.register<16, 64>
  tile.store %d, %x[%o] stride %s : !tile.register<16, 64>
  tile.store %e, %x[%o] stride %s : !tile.register<16, 64>
  func.return
}
