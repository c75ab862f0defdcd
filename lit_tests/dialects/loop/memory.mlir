// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @memory(
// CHECK-NEXT:  %b = loop.address %x[%o]
// CHECK-NEXT:  %s = loop.load %b[%o] : i32
// CHECK-NEXT:  %v = loop.load %b[%o] {align = 64 : i64} : vector<16xf32>
// CHECK-NEXT:  %p = loop.load_part %x[%o] {count = 3 : i64} : vector<16xi8>
// CHECK-NEXT:  loop.store %s, %b[%o] : i32
// CHECK-NEXT:  loop.store %v, %b[%o] : vector<16xf32>
// CHECK-NEXT:  loop.store_part %p, %x[%o] {count = 3 : i64} : vector<16xi8>
// CHECK-NEXT:  loop.prefetch %b[%o]
// CHECK-NEXT:  %n = loop.renew %b
// CHECK-NEXT:  loop.store %s, %n[%o] : i32
func.func @memory(%x: !loop.buffer, %o: index) {
  %b = loop.address %x[%o]
  %s = loop.load %b[%o] : i32
  %v = loop.load %b[%o] {align = 64 : i64} : vector<16xf32>
  %p = loop.load_part %x[%o] {count = 3 : i64} : vector<16xi8>
  loop.store %s, %b[%o] : i32
  loop.store %v, %b[%o] : vector<16xf32>
  loop.store_part %p, %x[%o] {count = 3 : i64} : vector<16xi8>
  loop.prefetch %b[%o]
  %n = loop.renew %b
  loop.store %s, %n[%o] : i32
  func.return
}

// CHECK-LABEL: func.func @lookup(
// CHECK-NEXT:  %r = loop.lookup %t, %i : (vector<16xi8>) -> vector<16xi8>
func.func @lookup(%t: !loop.buffer, %i: vector<16xi8>) -> vector<16xi8> {
  %r = loop.lookup %t, %i : (vector<16xi8>) -> vector<16xi8>
  func.return %r : vector<16xi8>
}

// CHECK-LABEL: func.func @pin(
// CHECK-NEXT:  %p = loop.pin %v : vector<8xi32>
func.func @pin(%v: vector<8xi32>) -> vector<8xi32> {
  %p = loop.pin %v : vector<8xi32>
  func.return %p : vector<8xi32>
}

// Two of one size are two buffers.
// CHECK-LABEL: func.func @scratch(
// CHECK-NEXT:  %a = loop.scratch 64 : i64
// CHECK-NEXT:  %b = loop.scratch 64 : i64
// CHECK-NEXT:  loop.store %v, %a[%o] : i32
// CHECK-NEXT:  %s = loop.load %b[%o] : i32
func.func @scratch(%v: i32, %o: index) -> i32 {
  %a = loop.scratch 64
  %b = loop.scratch 64
  loop.store %v, %a[%o] : i32
  %s = loop.load %b[%o] : i32
  func.return %s : i32
}
