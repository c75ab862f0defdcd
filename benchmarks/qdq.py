"""Quantize a float ONNX model to Q/DQ form, in the pattern that ONNX Runtime's quantizer writes.

    x ──Q──DQ──▶ Conv ──▶ Relu ──Q──DQ──▶ …          w_s8 ──DQ(axis 0)──▶ Conv,  b_s32 ──DQ──▶ Conv

- activations u8, asymmetric, per tensor; the range always contains zero;
- weights of Conv, Gemm and MatMul s8, symmetric, one scale per output channel; bias s32 with
  s_x·s_w; constants that are added, multiplied or joined u8, like activations;
- inputs and outputs of the ops in QUANTIZED, hence of others only where those are neighbours
  (the softmax of divided scores, the convolution behind a HardSwish);
- no Q/DQ between a contraction, Add or BatchNormalization and the Relu or Clip that alone consumes
  it;
- what only moves or selects elements keeps the parameters of its input: no rounding there.

Parameters of normalizations stay float, and so do the nodes that the network says so of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .builder import FloatNetwork

CONTRACTIONS = {"Conv", "Gemm", "MatMul"}
ABSORBING = {"Conv", "Gemm", "Add", "BatchNormalization"}
ACTIVATIONS = {"Relu", "Clip"}
RANGE_KEEPING = {
    "MaxPool", "AveragePool", "Flatten", "Reshape", "Transpose", "Split", "Gather",
}  # fmt: skip
WITH_CONSTANTS = {"Add", "Mul", "Concat"}
QUANTIZED = {
    *CONTRACTIONS, *ABSORBING, *ACTIVATIONS, *RANGE_KEEPING, *WITH_CONSTANTS,
    "Sigmoid", "Softmax", "LayerNormalization", "GlobalAveragePool",
}  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """Quantization parameters of an activation: u8 code q stands for (q - zero_point)·scale."""

    scale: np.float32
    zero_point: np.uint8


def activation_codes(minimum: float, maximum: float) -> Codes:
    """The u8 parameters that cover [minimum, maximum] and zero."""
    low, high = min(minimum, 0.0), max(maximum, 0.0)
    # 12 significant bits: stable against the last bits of the measured range (see builder).
    mantissa, exponent = np.frexp((high - low) / 255 or 1.0)
    scale = np.float32(np.ldexp(np.ceil(mantissa * 4096) / 4096, exponent))
    return Codes(scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255)))


def weight_codes(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """s8 codes in [-127, 127] and one scale per output channel (axis 0)."""
    rows = weight.reshape(len(weight), -1)
    largest = np.abs(rows).max(axis=1)
    scales = (np.where(largest > 0, largest, 127.0) / 127.0).astype(np.float32)
    codes = np.clip(np.rint(rows / scales[:, None]), -127, 127).astype(np.int8)
    return codes.reshape(weight.shape), scales


def quantize(network: FloatNetwork) -> onnx.ModelProto:
    """The Q/DQ model of a float network whose batch normalizations are folded."""
    return _Quantizer(network).run()


@dataclass
class _Quantizer:
    network: FloatNetwork
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)  # by name of the float tensor
    replaced: dict[str, str] = field(default_factory=dict)  # float tensor → its DQ output

    def __post_init__(self) -> None:
        graph = self.network.model.graph
        self.floats = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.outputs = {o.name for o in graph.output}
        self.consumers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.consumers[name].append(node)

    def run(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.network.model)
        for value in model.graph.input:
            self._quantize_activation(value.name)
        for node in self.network.model.graph.node:
            self._convert(node)
        model.graph.ClearField("node")
        model.graph.ClearField("initializer")
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.constants.values())
        onnx.checker.check_model(model)
        return model

    def _convert(self, node: onnx.NodeProto) -> None:
        result = onnx.NodeProto()
        result.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name not in self.floats:
                result.input[index] = self.replaced.get(name, name)
            elif node.op_type in WITH_CONSTANTS and self._is_quantized(node):
                result.input[index] = self._quantized_constant(name)
            elif node.op_type not in CONTRACTIONS:
                self.constants[name] = numpy_helper.from_array(self.floats[name], name)
        if node.op_type in CONTRACTIONS and node.input[1] in self.floats:
            self._quantize_parameters(result, self.codes[node.input[0]])
        rounded = [name for name in node.output if self._is_rounded(node, name)]
        for index, name in enumerate(node.output):
            if name in rounded and name in self.outputs:
                result.output[index] = f"{name}.float"
        self.nodes.append(result)
        shared = self.codes[node.input[0]] if node.op_type in RANGE_KEEPING else None
        for name in rounded:
            self._quantize_activation(name, shared)

    def _is_quantized(self, node: onnx.NodeProto) -> bool:
        return node.op_type in QUANTIZED and node.name not in self.network.float_nodes

    def _is_rounded(self, node: onnx.NodeProto, output: str) -> bool:
        if self._is_quantized(node):
            return not self._is_absorbed(node)
        return any(map(self._is_quantized, self.consumers[output]))

    def _is_absorbed(self, node: onnx.NodeProto) -> bool:
        """Whether the only consumer is the activation that rides in this node's epilogue."""
        consumers = self.consumers[node.output[0]]
        return (
            node.op_type in ABSORBING
            and len(consumers) == 1
            and consumers[0].op_type in ACTIVATIONS
        )

    def _quantize_activation(self, name: str, codes: Codes | None = None) -> None:
        codes = codes or activation_codes(*self.network.ranges[name])
        parameters = [
            self._constant(f"{name}.scale", codes.scale),
            self._constant(f"{name}.zero_point", codes.zero_point),
        ]
        source, target = name, f"{name}.dequantized"
        if name in self.outputs:
            source, target = f"{name}.float", name
        self._append("QuantizeLinear", [source, *parameters], f"{name}.codes")
        self._append("DequantizeLinear", [f"{name}.codes", *parameters], target)
        self.codes[name] = codes
        self.replaced[name] = target

    def _quantize_parameters(self, node: onnx.NodeProto, codes: Codes) -> None:
        """Replace weight and bias of a contraction by dequantized integer constants."""
        weight = self.floats[node.input[1]]
        axis = 1 if node.op_type == "MatMul" else 0  # of the output channels
        quantized, scales = weight_codes(np.moveaxis(weight, axis, 0))
        in_place = np.ascontiguousarray(np.moveaxis(quantized, 0, axis))
        node.input[1] = self._dequantized(node.input[1], in_place, scales, axis)
        if len(node.input) > 2:
            bias_scales = codes.scale * scales
            bias_codes = np.rint(self.floats[node.input[2]] / bias_scales).astype(np.int32)
            node.input[2] = self._dequantized(node.input[2], bias_codes, bias_scales, 0)

    def _quantized_constant(self, name: str) -> str:
        value = self.floats[name]
        codes = activation_codes(float(value.min()), float(value.max()))
        rounded = np.rint(value / codes.scale) + codes.zero_point
        parameters = [
            self._constant(f"{name}.codes", np.clip(rounded, 0, 255).astype(np.uint8)),
            self._constant(f"{name}.scale", codes.scale),
            self._constant(f"{name}.zero_point", codes.zero_point),
        ]
        self.codes[name] = codes
        return self._append("DequantizeLinear", parameters, f"{name}.dequantized")

    def _dequantized(
        self,
        name: str,
        codes: NDArray[np.int8] | NDArray[np.int32],
        scales: NDArray[np.float32],
        axis: int,
    ) -> str:
        inputs = [
            self._constant(f"{name}.codes", codes),
            self._constant(f"{name}.scale", scales),
            self._constant(f"{name}.zero_point", np.zeros(len(scales), codes.dtype)),
        ]
        return self._append("DequantizeLinear", inputs, f"{name}.dequantized", axis=axis)

    def _append(self, op: str, inputs: list[str], output: str, axis: int | None = None) -> str:
        node = helper.make_node(op, inputs, [output], name=f"{output}.{op}")
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.nodes.append(node)
        return output

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name
