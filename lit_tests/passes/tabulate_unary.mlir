// RUN: lpc opt %s -p 'tabulate-unary' --split-input-file | filecheck %s

// Codes 0 to 255 of scale 1 to codes of scale 2: 0, 0 (0.5), 1, 2 (1.5), 2, 2 (2.5), …
func.func @other_grid(%q: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %r = graph.quantize %x {layer = "q", scale = array<f32: 2.0>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %r : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @other_grid
// CHECK-NEXT:    graph.lut %q {layer = "q", table = dense<"0x000001020202030404040506{{.*}}"> : tensor<256xui8>} : (tensor<2x3xui8>) -> tensor<2x3xui8>
// CHECK-NEXT:    func.return

// -----

// The table is indexed by bit pattern: entry 0 is code 0, entry 255 is code −1.
func.func @signed_relu(%q: tensor<2xsi8>) -> tensor<2xsi8> {
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<2xsi8>) -> tensor<2xf32>
  %y = graph.unary %x {kind = "relu"} : (tensor<2xf32>) -> tensor<2xf32>
  %r = graph.quantize %y {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64, qmin = -128 : i64, qmax = 127 : i64} : (tensor<2xf32>) -> tensor<2xsi8>
  func.return %r : tensor<2xsi8>
}
// CHECK-LABEL: func.func @signed_relu
// CHECK-NEXT:    graph.lut %q {table = dense<"0x00010203{{.*}}7D7E7F000000{{0+}}">

// -----

// Swish with a rounded sigmoid: one table of x.
func.func @swish(%q: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %x = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 128>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %s = graph.unary %x {kind = "sigmoid"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sq = graph.quantize %s {scale = array<f32: 0.0039>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  %sd = graph.dequantize %sq {scale = array<f32: 0.0039>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %m = graph.mul %x, %sd : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %r = graph.quantize %m {scale = array<f32: 0.05>, zero_point = array<i32: 6>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %r : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @swish
// CHECK-NEXT:    graph.lut %q
// CHECK-NEXT:    func.return

// -----

func.func @scalar_constants(%q: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %half = graph.constant {value = dense<0.5> : tensor<1xf32>} : tensor<1xf32>
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %m = graph.mul %x, %half : (tensor<2x3xf32>, tensor<1xf32>) -> tensor<2x3xf32>
  %a = graph.add %half, %m : (tensor<1xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %r = graph.quantize %a {scale = array<f32: 0.5>, zero_point = array<i32: 0>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %r : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @scalar_constants
// CHECK-NEXT:    graph.lut %q {table = dense<"0x01020304{{.*}}FEFFFF">

// -----

// A scalar that was quantized, 5 · 0.1.
func.func @quantized_scalar(%q: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %c = graph.constant {value = dense<5> : tensor<1xui8>} : tensor<1xui8>
  %half = graph.dequantize %c {scale = array<f32: 0.1>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<1xui8>) -> tensor<1xf32>
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %m = graph.mul %half, %x : (tensor<1xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %r = graph.quantize %m {scale = array<f32: 0.5>, zero_point = array<i32: 1>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %r : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @quantized_scalar
// CHECK-NEXT:    graph.lut %q {table = dense<"0x01020304{{.*}}FEFFFF">
// CHECK-NEXT:    func.return

// -----

// The source of the function is the nearest 8-bit tensor; its own quantize of a float stays.
func.func @behind_a_float(%x: tensor<2x3xf32>) -> tensor<2x3xui8> {
  %q = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  %d = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %y = graph.unary %d {kind = "tanh"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %r = graph.quantize %y {scale = array<f32: 0.01>, zero_point = array<i32: 100>, axis = 1 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<2x3xf32>) -> tensor<2x3xui8>
  func.return %r : tensor<2x3xui8>
}
// CHECK-LABEL: func.func @behind_a_float
// CHECK-NEXT:    [[Q:%.*]] = graph.quantize %x
// CHECK-NEXT:    graph.lut [[Q]]

// -----

// Two tables in a row are one, also through a change of type.
func.func @chain(%q: tensor<4xsi8>) -> tensor<4xui8> {
  %x = graph.dequantize %q {scale = array<f32: 1.0>, zero_point = array<i32: 0>, axis = 0 : i64} : (tensor<4xsi8>) -> tensor<4xf32>
  %p = graph.quantize %x {scale = array<f32: 1.0>, zero_point = array<i32: 128>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  %y = graph.dequantize %p {scale = array<f32: 1.0>, zero_point = array<i32: 128>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %r = graph.quantize %y {scale = array<f32: 1.0>, zero_point = array<i32: 129>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %r : tensor<4xui8>
}
// CHECK-LABEL: func.func @chain
// CHECK-NEXT:    graph.lut %q {table = dense<"0x81828384{{.*}}7F80"> : tensor<256xui8>} : (tensor<4xsi8>) -> tensor<4xui8>
// CHECK-NEXT:    func.return

// -----

// A relu that the codes obey already is nothing.
func.func @implied_relu(%x: tensor<4xf32>) -> tensor<4xui8> {
  %q = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 0 : i64, qmin = 5 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  %d = graph.dequantize %q {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 0 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %y = graph.unary %d {kind = "relu"} : (tensor<4xf32>) -> tensor<4xf32>
  %r = graph.quantize %y {scale = array<f32: 0.1>, zero_point = array<i32: 5>, axis = 0 : i64, qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  func.return %r : tensor<4xui8>
}
// CHECK-LABEL: func.func @implied_relu
// CHECK-NEXT:    [[Q:%.*]] = graph.quantize %x
// CHECK-NEXT:    func.return [[Q]]
