// RUN: lpc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: operands are packed into i32 lanes
func.func @dot_of_bytes(%a: vector<16xi8>) {
  %0 = loop.dot4 %a, %a, %a : vector<16xi8>
  func.return
}

// -----

// CHECK: a chain has as many inputs as weights, and at least one
func.func @uneven_chain(%a: vector<8xi32>) {
  %0 = loop.dot4_chain %a, (%a, %a), (%a) : vector<8xi32>
  func.return
}

// -----

// CHECK: a chain has as many inputs as weights, and at least one
func.func @empty_chain(%a: vector<8xi32>) {
  %0 = loop.dot4_chain %a, (), () : vector<8xi32>
  func.return
}

// -----

// CHECK: unknown conversion 'widen'
func.func @conversion_by_another_name(%a: vector<8xi8>) {
  %0 = loop.convert "widen" %a : vector<8xi8> to vector<8xi32>
  func.return
}

// -----

// CHECK: conversion keeps the number of lanes
func.func @conversion_of_lanes(%a: vector<8xi8>) {
  %0 = loop.convert "zext" %a : vector<8xi8> to vector<4xi32>
  func.return
}

// -----

// CHECK: operand 'base' at position 0 does not verify
func.func @load_from_an_integer(%a: i32, %o: index) {
  %0 = "loop.load"(%a, %o) : (i32, index) -> i32
  func.return
}

// -----

// CHECK: narrowing keeps the number of lanes
func.func @narrow_to_fewer_lanes(%a: vector<8xi32>) {
  %0 = loop.narrow %a, %a : (vector<8xi32>, vector<8xi32>) -> vector<8xi8>
  func.return
}

// -----

// CHECK: i32 lanes become i8 lanes
func.func @narrow_halves(%a: vector<8xi16>) {
  %0 = loop.narrow %a : (vector<8xi16>) -> vector<8xi8>
  func.return
}

// -----

// CHECK: results have the types of the indices
func.func @lookup_of_other_lanes(%t: !loop.buffer, %i: vector<16xi8>) {
  %0 = loop.lookup %t, %i : (vector<16xi8>) -> vector<32xi8>
  func.return
}

// -----

// CHECK: scratch of 0 bytes
func.func @scratch_of_nothing() {
  %0 = loop.scratch 0
  func.return
}
