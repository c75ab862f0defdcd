// RUN: lpc opt %s -p 'pack-weights{target="avx512_vnni"}' --split-input-file | filecheck %s
// RUN: lpc opt %s -p 'pack-weights{target="avx2"}' --split-input-file | filecheck %s --check-prefix=AVX2

// Two channels in one vector of 16, four inputs in one step: one panel of 64 bytes. Without VNNI a
// layer of so few inputs has halves, two inputs in a step.
func.func @gemm(%x: tensor<1x4xui8>) -> tensor<1x2xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4xui8>):
    %w = graph.constant {value = dense<[[1, 2], [3, 4], [5, 6], [7, 8]]> : tensor<4x2xsi8>} : tensor<4x2xsi8>
    %y = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x4xui8>, tensor<4x2xsi8>) -> tensor<1x2xi32>
    graph.yield %y : tensor<1x2xi32>
  }) : (tensor<1x4xui8>) -> tensor<1x2xi32>
  func.return %k : tensor<1x2xi32>
}
// CHECK-LABEL: func.func @gemm
// CHECK-NOT:     tensor<4x2xsi8>}
// CHECK:         %[[D:.*]] = graph.constant {{.*}}tensor<64xui8>
// CHECK-NEXT:    %[[W:.*]] = graph.packed_weights %[[D]] {{.*}}scheme = "gemm"{{.*}}tile = array<i64: 1, 1, 16>{{.*}}groups = 1 : i64{{.*}}terms = 1 : i64{{.*}} -> tensor<4x2xsi8>
// CHECK-NEXT:    graph.qmatmul %{{.*}}, %[[W]]

// AVX2-LABEL: func.func @gemm
// AVX2:         %[[D:.*]] = graph.constant {value = dense<[1, 0, 3, 0, 2, 0, 4, 0, 0{{.*}}, 5, 0, 7, 0, 6, 0, 8, 0, 0{{.*}}tensor<64xui8>
// AVX2-NEXT:    graph.packed_weights %[[D]] {{.*}}tile = array<i64: 1, 1, 8>{{.*}}form = "halves"

// -----

// Zero points of weights go into the weights: 255 above the zero point takes three s8 terms. Without
// VNNI the block has an order of steps, and says how many chains of every form there are.
func.func @terms(%x: tensor<1x4xui8>) -> tensor<1x1xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x4xui8>):
    %w = graph.constant {value = dense<[[255], [0], [1], [2]]> : tensor<4x1xui8>} : tensor<4x1xui8>
    %y = graph.qmatmul %a, %w {a_zero_point = 0 : i64, b_zero_point = array<i32: 0>} : (tensor<1x4xui8>, tensor<4x1xui8>) -> tensor<1x1xi32>
    graph.yield %y : tensor<1x1xi32>
  }) : (tensor<1x4xui8>) -> tensor<1x1xi32>
  func.return %k : tensor<1x1xi32>
}
// CHECK-LABEL: func.func @terms
// CHECK:         graph.packed_weights {{.*}}terms = 3 : i64{{.*}} -> tensor<4x1xi32>
// CHECK-NEXT:    graph.qmatmul {{.*}}b_zero_point = array<i32: 0>

// AVX2-LABEL: func.func @terms
// AVX2:         %[[D:.*]] = graph.constant {{.*}}tensor<96xui8>
// AVX2-NEXT:    %[[S:.*]] = graph.constant {{.*}}tensor<1x3xi32>
// AVX2-NEXT:    %[[C:.*]] = graph.constant {{.*}}tensor<1x{{[0-9]+}}xi32>
// AVX2-NEXT:    graph.packed_weights %[[D]], %[[S]], %[[C]] {{.*}}tile = array<i64: 1, 1, 8>

// -----

func.func @depthwise(%x: tensor<1x3x3x2xui8>) -> tensor<1x1x1x2xi32> {
  %k = "graph.kernel"(%x) ({
  ^bb0(%a: tensor<1x3x3x2xui8>):
    %w = graph.constant {value = dense<1> : tensor<2x1x3x3xsi8>} : tensor<2x1x3x3xsi8>
    %y = graph.qconv2d %a, %w {layout = "nhwc", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64, input_zero_point = array<i32: 0>, weight_zero_point = array<i32: 0>} : (tensor<1x3x3x2xui8>, tensor<2x1x3x3xsi8>) -> tensor<1x1x1x2xi32>
    graph.yield %y : tensor<1x1x1x2xi32>
  }) : (tensor<1x3x3x2xui8>) -> tensor<1x1x1x2xi32>
  func.return %k : tensor<1x1x1x2xi32>
}
// CHECK-LABEL: func.func @depthwise
// CHECK:         graph.packed_weights {{.*}}scheme = "depthwise"{{.*}}form = ""
// AVX2-LABEL: func.func @depthwise
// AVX2:         graph.packed_weights {{.*}}scheme = "depthwise"{{.*}}form = "bytes"
