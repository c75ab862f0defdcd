// RUN: lpc opt %s -p 'select-instructions{target=avx2}' | filecheck %s

// Without an exact byte instruction, even and odd bytes are widened apart.
// CHECK-LABEL: func.func @dot4(
// CHECK:         arith.andi
// CHECK:         arith.shrui
// CHECK:         arith.shrsi
// CHECK:         loop.instruction "vpmaddwd.256"
// CHECK:         loop.instruction "vpmaddwd.256"
// CHECK-NOT:     loop.dot4
func.func @dot4(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<8xi32>
  func.return %0 : vector<8xi32>
}

// CHECK-LABEL: func.func @dot2(
// CHECK-NEXT:    %[[P:.*]] = loop.instruction "vpmaddwd.256" %a, %b
// CHECK-NEXT:    arith.addi %c, %[[P]]
func.func @dot2(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot2 %c, %a, %b : vector<8xi32>
  func.return %0 : vector<8xi32>
}

// The op states that 16 bits suffice: two steps are added before they are widened.
// CHECK-LABEL: func.func @chain(
// CHECK-NEXT:    %[[A:.*]] = loop.instruction "vpmaddubsw.256" %a, %v
// CHECK-NEXT:    %[[B:.*]] = loop.instruction "vpmaddubsw.256" %b, %w
// CHECK-NEXT:    %[[S:.*]] = arith.addi %[[A]], %[[B]] : vector<16xi16>
// CHECK:         %[[D:.*]] = loop.instruction "vpmaddwd.256" %[[S]],
// CHECK-NEXT:    arith.addi %c, %[[D]] : vector<8xi32>
func.func @chain(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>, %v: vector<8xi32>, %w: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4_chain %c, (%a, %b), (%v, %w) : vector<8xi32>
  func.return %0 : vector<8xi32>
}

// CHECK-LABEL: func.func @chain_with_offset(
// CHECK:         %[[S:.*]] = arith.addi
// CHECK-NEXT:    %[[O:.*]] = vector.bitcast %o : vector<8xi32> to vector<16xi16>
// CHECK-NEXT:    %[[T:.*]] = arith.addi %[[S]], %[[O]] : vector<16xi16>
// CHECK:         loop.instruction "vpmaddwd.256" %[[T]],
func.func @chain_with_offset(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>, %v: vector<8xi32>, %w: vector<8xi32>, %o: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4_chain %c, (%a, %b), (%v, %w) offset %o : vector<8xi32>
  func.return %0 : vector<8xi32>
}

// Sign and magnitude of a − 128 are computed once for both uses of %a.
// CHECK-LABEL: func.func @centred(
// CHECK:         arith.xori
// CHECK:         loop.instruction "vpsignb.256" %v
// CHECK:         loop.instruction "vpmaddubsw.256"
// CHECK-NOT:     arith.xori
// CHECK:         loop.instruction "vpsignb.256" %w
// CHECK:         loop.instruction "vpmaddubsw.256"
func.func @centred(%c: vector<8xi32>, %a: vector<8xi32>, %v: vector<8xi32>, %w: vector<8xi32>) -> (vector<8xi32>, vector<8xi32>) {
  %0 = loop.dot4_chain %c, (%a), (%v) {centred} : vector<8xi32>
  %1 = loop.dot4_chain %c, (%a), (%w) {centred} : vector<8xi32>
  func.return %0, %1 : vector<8xi32>, vector<8xi32>
}
