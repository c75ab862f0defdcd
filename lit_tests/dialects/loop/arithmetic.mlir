// RUN: lpc opt %s | lpc opt | filecheck %s

// CHECK-LABEL: func.func @dots(
// CHECK-NEXT:  %0 = loop.dot4 %c, %a, %b : vector<8xi32>
// CHECK-NEXT:  %1 = loop.dot2 %0, %a, %b : vector<8xi32>
// CHECK-NEXT:  %2 = loop.dot4_chain %1, (%a), (%b) : vector<8xi32>
// CHECK-NEXT:  %3 = loop.dot4_chain %2, (%a, %b), (%b, %a) : vector<8xi32>
// CHECK-NEXT:  %4 = loop.dot4_chain %3, (%a, %b), (%b, %a) offset %c : vector<8xi32>
func.func @dots(%c: vector<8xi32>, %a: vector<8xi32>, %b: vector<8xi32>) -> vector<8xi32> {
  %0 = loop.dot4 %c, %a, %b : vector<8xi32>
  %1 = loop.dot2 %0, %a, %b : vector<8xi32>
  %2 = loop.dot4_chain %1, (%a), (%b) : vector<8xi32>
  %3 = loop.dot4_chain %2, (%a, %b), (%b, %a) : vector<8xi32>
  %4 = loop.dot4_chain %3, (%a, %b), (%b, %a) offset %c : vector<8xi32>
  func.return %4 : vector<8xi32>
}

// CHECK-LABEL: func.func @conversions(
// CHECK-NEXT:  %0 = loop.convert "zext" %b : vector<4xi8> to vector<4xi32>
// CHECK-NEXT:  %1 = loop.convert "sext" %b : vector<4xi8> to vector<4xi32>
// CHECK-NEXT:  %2 = loop.convert "trunc" %0 : vector<4xi32> to vector<4xi8>
// CHECK-NEXT:  %3 = loop.convert "int_to_float" %1 : vector<4xi32> to vector<4xf32>
// CHECK-NEXT:  %4 = loop.convert "float_to_int" %3 : vector<4xf32> to vector<4xi32>
// CHECK-NEXT:  %5 = loop.convert "round_to_int" %3 : vector<4xf32> to vector<4xi32>
// CHECK-NEXT:  %6 = loop.convert "int_to_float" %i : i32 to f32
func.func @conversions(%b: vector<4xi8>, %i: i32) {
  %0 = loop.convert "zext" %b : vector<4xi8> to vector<4xi32>
  %1 = loop.convert "sext" %b : vector<4xi8> to vector<4xi32>
  %2 = loop.convert "trunc" %0 : vector<4xi32> to vector<4xi8>
  %3 = loop.convert "int_to_float" %1 : vector<4xi32> to vector<4xf32>
  %4 = loop.convert "float_to_int" %3 : vector<4xf32> to vector<4xi32>
  %5 = loop.convert "round_to_int" %3 : vector<4xf32> to vector<4xi32>
  %6 = loop.convert "int_to_float" %i : i32 to f32
  func.return
}

// CHECK-LABEL: func.func @select(
// CHECK-NEXT:  %0 = arith.cmpf ogt, %a, %b : vector<4xf32>
// CHECK-NEXT:  %1 = loop.select %0, %a, %b :
func.func @select(%a: vector<4xf32>, %b: vector<4xf32>) -> vector<4xf32> {
  %0 = arith.cmpf ogt, %a, %b : vector<4xf32>
  %1 = loop.select %0, %a, %b : (i1, vector<4xf32>, vector<4xf32>) -> vector<4xf32>
  func.return %1 : vector<4xf32>
}

// CHECK-LABEL: func.func @any(
// CHECK-NEXT:  %0 = arith.cmpi sgt, %a, %b : vector<4xi32>
// CHECK-NEXT:  %1 = loop.any %0
func.func @any(%a: vector<4xi32>, %b: vector<4xi32>) -> i1 {
  %0 = arith.cmpi sgt, %a, %b : vector<4xi32>
  %1 = loop.any %0
  func.return %1 : i1
}

// CHECK-LABEL: func.func @narrow(
// CHECK-NEXT:  %0 = loop.narrow %a, %b : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>
// CHECK-NEXT:  %1 = loop.narrow %a {signed} : (vector<8xi32>) -> vector<8xi8>
// CHECK-NEXT:  %2 = loop.narrow %a, %b plus %z : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>
func.func @narrow(%a: vector<8xi32>, %b: vector<8xi32>, %z: i16) {
  %0 = loop.narrow %a, %b : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>
  %1 = loop.narrow %a {signed} : (vector<8xi32>) -> vector<8xi8>
  %2 = loop.narrow %a, %b plus %z : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>
  func.return
}
