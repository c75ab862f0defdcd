// RUN: lpc opt %s -p 'select-instructions{target=avx10}' | filecheck %s

// Bytes of equal sign have instructions of their own; s8 × u8 is u8 × s8 with its operands exchanged.
// CHECK-LABEL: func.func @signs(
// CHECK-NEXT:    %0 = loop.instruction "vpdpbusd.256" %c, %a, %b
// CHECK-NEXT:    %1 = loop.instruction "vpdpbusd.256" %0, %b, %a
// CHECK-NEXT:    %2 = loop.instruction "vpdpbssd.256" %1, %a, %b
// CHECK-NEXT:    %3 = loop.instruction "vpdpbuud.256" %2, %a, %b
func.func @signs(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<8xi32>
  %1 = loop.dot4 %0, %a, %b {signs = "su"} : vector<8xi32>
  %2 = loop.dot4 %1, %a, %b {signs = "ss"} : vector<8xi32>
  %3 = loop.dot4 %2, %a, %b {signs = "uu"} : vector<8xi32>
  func.return %3 : vector<8xi32>
}
