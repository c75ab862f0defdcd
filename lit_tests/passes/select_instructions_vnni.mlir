// RUN: lpc opt %s -p 'select-instructions{target=avx512_vnni}' | filecheck %s

// Four exact products per lane in one instruction.
// CHECK-LABEL: func.func @dot4(
// CHECK-NEXT:    %0 = loop.instruction "vpdpbusd.512" %c, %a, %b : (vector<16xi32>, vector<16xi32>, vector<16xi32>) -> vector<16xi32>
// CHECK-NEXT:    func.return %0
func.func @dot4(%c: vector<16xi32>, %a: vector<16xi32>, %b: vector<16xi32>) -> vector<16xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<16xi32>
  func.return %0 : vector<16xi32>
}

// Narrower vectors have a row of their own.
// CHECK-LABEL: func.func @narrow(
// CHECK-NEXT:    %0 = loop.instruction "vpdpbusd.256" %c, %a, %b : (vector<8xi32>, vector<8xi32>, vector<8xi32>) -> vector<8xi32>
// CHECK-NEXT:    func.return %0
func.func @narrow(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<8xi32>
  func.return %0 : vector<8xi32>
}

// Halves, too.
// CHECK-LABEL: func.func @dot2(
// CHECK-NEXT:    %0 = loop.instruction "vpdpwssd.512" %c, %a, %b : (vector<16xi32>, vector<16xi32>, vector<16xi32>) -> vector<16xi32>
// CHECK-NEXT:    func.return %0
func.func @dot2(%c: vector<16xi32>, %a: vector<16xi32>, %b: vector<16xi32>) -> vector<16xi32> {
  %0 = loop.dot2 %c, %a, %b : vector<16xi32>
  func.return %0 : vector<16xi32>
}
