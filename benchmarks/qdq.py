"""Quantize a float ONNX model to Q/DQ form, in the pattern that ONNX Runtime's quantizer writes.

    x ──Q──DQ──▶ Conv ──▶ Relu ──Q──DQ──▶ …          w_s8 ──DQ(axis 0)──▶ Conv,  b_s32 ──DQ──▶ Conv

- activations u8, asymmetric, per tensor; the range always contains zero;
- weights of Conv and Gemm s8, symmetric, one scale per output channel; bias s32 with s_x·s_w;
- no Q/DQ between a Conv, Gemm or Add and the Relu or Clip that alone consumes it;
- MaxPool and Flatten keep the parameters of their input, so that they stay free of rounding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .builder import FloatNetwork

CONTRACTIONS = {"Conv", "Gemm"}
ABSORBING = {"Conv", "Gemm", "Add"}
ACTIVATIONS = {"Relu", "Clip"}
RANGE_KEEPING = {"MaxPool", "Flatten"}


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
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.consumer = {name: node for node in graph.node for name in node.input}

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
        source, output = node.input[0], node.output[0]
        weighted = node.op_type in CONTRACTIONS
        for index, name in enumerate(node.input):
            if name in self.floats and not weighted:
                self.constants[name] = numpy_helper.from_array(self.floats[name], name)
            else:
                result.input[index] = self.replaced.get(name, name)
        if weighted:
            self._quantize_parameters(result, self.codes[source])
        rounded = not self._is_absorbed(node)
        if rounded and output in self.outputs:
            result.output[0] = f"{output}.float"
        self.nodes.append(result)
        if rounded:
            shared = self.codes[source] if node.op_type in RANGE_KEEPING else None
            self._quantize_activation(output, shared)

    def _is_absorbed(self, node: onnx.NodeProto) -> bool:
        """Whether the only consumer is the activation that rides in this node's epilogue."""
        output = node.output[0]
        return (
            node.op_type in ABSORBING
            and self.uses[output] == 1
            and self.consumer[output].op_type in ACTIVATIONS
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
        """Replace weight and bias of a Conv or Gemm by dequantized integer constants."""
        weight, bias = node.input[1], node.input[2]
        quantized, scales = weight_codes(self.floats[weight])
        node.input[1] = self._dequantized(weight, quantized, scales)
        bias_scales = codes.scale * scales
        bias_codes = np.rint(self.floats[bias] / bias_scales).astype(np.int32)
        node.input[2] = self._dequantized(bias, bias_codes, bias_scales)

    def _dequantized(
        self, name: str, codes: NDArray[np.int8] | NDArray[np.int32], scales: NDArray[np.float32]
    ) -> str:
        inputs = [
            self._constant(f"{name}.codes", codes),
            self._constant(f"{name}.scale", scales),
            self._constant(f"{name}.zero_point", np.zeros(len(scales), codes.dtype)),
        ]
        return self._append("DequantizeLinear", inputs, f"{name}.dequantized", axis=0)

    def _append(self, op: str, inputs: list[str], output: str, axis: int | None = None) -> str:
        node = helper.make_node(op, inputs, [output], name=f"{output}.{op}")
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.nodes.append(node)
        return output

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name
