// RUN: lpc opt %s -p 'pack-weights{target="amx_int8"}' --split-input-file | filecheck %s

// 64 pixels × 64 inputs × 32 channels: one chunk, two vectors of channels, 2048 bytes.
func.func @chunk(%x: tensor<64x64xui8>) -> tensor<64x32xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x32xsi8>} : tensor<64x32xsi8>
    %y = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<64x64xui8>, tensor<64x32xsi8>) -> tensor<64x32xi32>
    graph.yield %y : tensor<64x32xi32>
  }) : (tensor<64x64xui8>) -> tensor<64x32xi32>
  func.return %k : tensor<64x32xi32>
}
// CHECK-LABEL: func.func @chunk
// CHECK:         %[[D:.*]] = graph.constant {{.*}}tensor<2048xui8>
// CHECK-NEXT:    graph.packed_weights %[[D]] {path = "tile registers: 1x1 chunks of 64 inputs, {{.*}}scheme = "chunks", tile = array<i64: 32, 2, 16>

// -----

// 66 inputs are 17 steps: two chunks of 9, of which the second repeats a step.
func.func @overlap(%x: tensor<64x68xui8>) -> tensor<64x96xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<64x68xui8>):
    %w = graph.constant {value = dense<1> : tensor<68x96xsi8>} : tensor<68x96xsi8>
    %y = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<64x68xui8>, tensor<68x96xsi8>) -> tensor<64x96xi32>
    graph.yield %y : tensor<64x96xi32>
  }) : (tensor<64x68xui8>) -> tensor<64x96xi32>
  func.return %k : tensor<64x96xi32>
}
// CHECK-LABEL: func.func @overlap
// CHECK:         graph.constant {{.*}}tensor<6912xui8>
// CHECK-NEXT:    graph.packed_weights {{.*}}path = "tile registers: 1x2 chunks of 36 inputs, {{.*}}scheme = "chunks"

// -----

// One pixel fills a sixteenth of a register; four inputs, too.
func.func @vectors(%x: tensor<1x64xui8>) -> tensor<1x32xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x32xsi8>} : tensor<64x32xsi8>
    %y = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x64xui8>, tensor<64x32xsi8>) -> tensor<1x32xi32>
    graph.yield %y : tensor<1x32xi32>
  }) : (tensor<1x64xui8>) -> tensor<1x32xi32>
  func.return %k : tensor<1x32xi32>
}
// CHECK-LABEL: func.func @vectors
// CHECK:         graph.packed_weights {{.*}}path = "vectors: 1x1 chunks of 64 inputs, {{.*}}scheme = "gemm"

// -----

// Groups read few inputs each.
func.func @grouped(%x: tensor<1x64x64x64xui8>) -> tensor<1x64x64x64xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x64x64x64xui8>):
    %w = graph.constant {value = dense<1> : tensor<64x32x1x1xsi8>} : tensor<64x32x1x1xsi8>
    %y = graph.qconv2d %a, %w {input_zero_point = array<i32: 0>, weight_zero_point = array<i32: 0>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64, layout = "nhwc"} : (tensor<1x64x64x64xui8>, tensor<64x32x1x1xsi8>) -> tensor<1x64x64x64xi32>
    graph.yield %y : tensor<1x64x64x64xi32>
  }) : (tensor<1x64x64x64xui8>) -> tensor<1x64x64x64xi32>
  func.return %k : tensor<1x64x64x64xi32>
}
// CHECK-LABEL: func.func @grouped
// CHECK:         graph.packed_weights {{.*}}path = "vectors: its inputs are in groups"{{.*}}scheme = "gemm"
