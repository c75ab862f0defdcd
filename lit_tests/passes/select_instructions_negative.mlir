// RUN: lpc opt %s -p 'select-instructions{target=sse42}' | filecheck %s

// Without the proof that dot4_chain states, nothing that saturates at 16 bits.
// CHECK-LABEL: func.func @no_proof(
// CHECK-NOT:     vpmaddubsw
// CHECK:         func.return
func.func @no_proof(%c: vector<4xi32>, %a: vector<4xi32>, %b: vector<4xi32>) -> vector<4xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<4xi32>
  func.return %0 : vector<4xi32>
}

// Products that are no dot products stay what they are.
// CHECK-LABEL: func.func @others(
// CHECK-NEXT:    %0 = arith.muli %a, %b : vector<4xi32>
// CHECK-NEXT:    func.return %0
func.func @others(%a: vector<4xi32>, %b: vector<4xi32>) -> vector<4xi32> {
  %0 = arith.muli %a, %b : vector<4xi32>
  func.return %0 : vector<4xi32>
}
