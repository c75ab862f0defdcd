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

// Four registers of i32 are one of bytes. The pack instructions work within 128-bit lanes.
// CHECK-LABEL: func.func @narrow(
// CHECK-NEXT:    %[[L:.*]] = loop.instruction "vpackssdw.256" %a, %b
// CHECK-NEXT:    %[[H:.*]] = loop.instruction "vpackssdw.256" %c, %d
// CHECK-NEXT:    %[[P:.*]] = loop.instruction "vpackuswb.256" %[[L]], %[[H]]
// CHECK-NEXT:    vector.shuffle %[[P]], %[[P]] [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20,
// CHECK-NEXT:    func.return
func.func @narrow(%a: vector<8xi32>, %b: vector<8xi32>, %c: vector<8xi32>, %d: vector<8xi32>) -> vector<32xi8> {
  %0 = loop.narrow %a, %b, %c, %d : (vector<8xi32>, vector<8xi32>, vector<8xi32>, vector<8xi32>) -> vector<32xi8>
  func.return %0 : vector<32xi8>
}

// A zero point is added to 16-bit halves, which are half as many as lanes, and saturate as well.
// CHECK-LABEL: func.func @narrow_with_zero_point(
// CHECK:         %[[Z:.*]] = vector.broadcast %z : i16 to vector<16xi16>
// CHECK:         %[[H:.*]] = loop.instruction "vpackssdw.256"
// CHECK-NEXT:    loop.instruction "vpaddsw.256" %[[H]], %[[Z]]
func.func @narrow_with_zero_point(%a: vector<8xi32>, %b: vector<8xi32>, %z: i16) -> vector<16xi8> {
  %0 = loop.narrow %a, %b plus %z : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>
  func.return %0 : vector<16xi8>
}

// What only takes sixteen of the bytes does not wait for a shuffle of all.
// CHECK-LABEL: func.func @sixteen_of_narrow(
// CHECK:         %[[P:.*]] = loop.instruction "vpackuswb.256"
// CHECK-NEXT:    vector.shuffle %[[P]], %[[P]] [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23] :
// CHECK-NEXT:    %[[R:.*]] = vector.shuffle %[[P]], %[[P]] [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31] :
// CHECK-NOT:     loop.pin
// CHECK:         func.return %[[R]]
func.func @sixteen_of_narrow(%a: vector<8xi32>, %b: vector<8xi32>) -> vector<16xi8> {
  %0 = loop.narrow %a, %b, %a, %b : (vector<8xi32>, vector<8xi32>, vector<8xi32>, vector<8xi32>) -> vector<32xi8>
  %1 = vector.shuffle %0, %0 [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] : vector<32xi8>, vector<32xi8>
  func.return %1 : vector<16xi8>
}

// CHECK-LABEL: func.func @eight_of_narrow(
// CHECK:         %[[P:.*]] = loop.pin
// CHECK:         %[[R:.*]] = vector.shuffle %[[P]], %[[P]] [8, 9, 10, 11, 12, 13, 14, 15] :
// CHECK:         func.return %[[R]]
func.func @eight_of_narrow(%a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi8> {
  %0 = loop.narrow %a, %b, %a, %b : (vector<8xi32>, vector<8xi32>, vector<8xi32>, vector<8xi32>) -> vector<32xi8>
  %1 = vector.shuffle %0, %0 [8, 9, 10, 11, 12, 13, 14, 15] : vector<32xi8>, vector<32xi8>
  func.return %1 : vector<8xi8>
}

// Wider vectors are cut into registers; s8 has a pack instruction of its own.
// CHECK-LABEL: func.func @narrow_signed(
// CHECK-COUNT-2: vector.shuffle %a, %a
// CHECK:         loop.instruction "vpackssdw.256"
// CHECK:         loop.instruction "vpacksswb.256"
func.func @narrow_signed(%a: vector<16xi32>) -> vector<16xi8> {
  %0 = loop.narrow %a {signed} : (vector<16xi32>) -> vector<16xi8>
  func.return %0 : vector<16xi8>
}

// Both vectors advance from row to row, which is loaded once.
// CHECK-LABEL: func.func @lookup(
// CHECK:         loop.load %t[
// CHECK:         vector.shuffle
// CHECK-COUNT-2: loop.instruction "vpshufb.256"
// CHECK:         arith.addi
// CHECK:         arith.addi
// CHECK:         loop.load %t[
// CHECK-COUNT-2: loop.instruction "vpshufb.256"
// CHECK-COUNT-2: arith.xori
// CHECK:         arith.maxsi
// CHECK-NOT:     loop.lookup
func.func @lookup(%t: !loop.buffer, %i: vector<32xi8>, %j: vector<32xi8>) -> (vector<32xi8>, vector<32xi8>) {
  %0, %1 = loop.lookup %t, %i, %j : (vector<32xi8>, vector<32xi8>) -> (vector<32xi8>, vector<32xi8>)
  func.return %0, %1 : vector<32xi8>, vector<32xi8>
}

// Fewer bytes than a register has are looked up in a smaller one.
// CHECK-LABEL: func.func @lookup_of_few(
// CHECK-COUNT-16: loop.instruction "vpshufb.128"
func.func @lookup_of_few(%t: !loop.buffer, %i: vector<4xi8>) -> vector<4xi8> {
  %0 = loop.lookup %t, %i : (vector<4xi8>) -> vector<4xi8>
  func.return %0 : vector<4xi8>
}
