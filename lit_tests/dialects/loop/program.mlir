// RUN: lpc opt %s | lpc opt | filecheck %s

// A step, and the kernel that it calls: one instruction per unit.
// CHECK:       loop.step "copy_avx2" {buffers = ["input[0] + 0", "output[0] + 64"], units = 4 : i64}
// CHECK-LABEL: func.func @copy_avx2(
// CHECK:         scf.for %i = %begin to %end step %one {
// CHECK:           loop.instruction "vpmaddwd.256" %{{.*}}, %{{.*}} : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>
// CHECK:         } {parallel}
loop.step "copy_avx2" {buffers = ["input[0] + 0", "output[0] + 64"], units = 4 : i64}
func.func @copy_avx2(%x: !loop.buffer, %y: !loop.buffer, %begin: index, %end: index) {
  %one = arith.constant 1 : index
  %size = arith.constant 32 : index
  scf.for %i = %begin to %end step %one {
    %o = arith.muli %i, %size : index
    %v = loop.load %x[%o] : vector<16xi16>
    %r = loop.instruction "vpmaddwd.256" %v, %v : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>
    loop.store %r, %y[%o] : vector<8xi32>
  } {parallel}
  func.return
}
