"""Build ONNX networks with random but realistic weights, calibrated while they are built.

Every method of `NetworkBuilder` appends the ONNX node *and* evaluates it on a few seeded images.
So the statistics of a batch normalization are those of its real input, activations keep a sane
size at any depth, and the range of every tensor is known at the end, ready for `qdq.quantize`.
No framework, no download: numpy and onnx only.

Weights are He-initialised Gaussians. Measured statistics are rounded to half-precision before use:
the summation order of another BLAS then changes the written bytes only by rare accident.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .reference import average_pool, convolve, max_pool, pooled_size

BatchNormMode = Literal["fold", "keep"]
FloatArray = NDArray[np.float32]

OPSET = 17
IR_VERSION = 8
EPSILON = 1e-5


@dataclass(frozen=True)
class Tensor:
    """A value of the network: its ONNX name, and its value on the calibration images (N, ...)."""

    name: str
    value: FloatArray

    @property
    def channels(self) -> int:
        return int(self.value.shape[1])


@dataclass(frozen=True)
class FloatNetwork:
    """A float model, with the (minimum, maximum) of each activation over the calibration images."""

    model: onnx.ModelProto
    ranges: dict[str, tuple[float, float]]


def calibration_images(count: int, shape: tuple[int, int, int], seed: int) -> FloatArray:
    """Seeded images (count, C, H, W): blobs plus grain, in the range of normalised photographs."""
    rng = np.random.default_rng([seed, 1])
    channels, height, width = shape
    blobs = rng.standard_normal((count, channels, 8, 8))
    blobs = np.repeat(np.repeat(blobs, -(-height // 8), axis=2), -(-width // 8), axis=3)
    grain = rng.standard_normal((count, *shape))
    images = blobs[:, :, :height, :width] + 0.4 * grain
    return np.clip(images, -2.1, 2.6).astype(np.float32)


def _rounded(statistics: NDArray[Any]) -> FloatArray:
    return statistics.astype(np.float16).astype(np.float32)


@dataclass
class NetworkBuilder:
    """Appends layers; names them as torchvision names its modules."""

    name: str
    input_shape: tuple[int, int, int]
    seed: int = 0
    batch_norm: BatchNormMode = "fold"
    images: int = 2
    macs: int = 0
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        images = calibration_images(self.images, self.input_shape, self.seed)
        self.input = self._measured("input", images)

    # -- layers with weights ----------------------------------------------------------------

    def conv_bn(
        self,
        x: Tensor,
        name: str,
        channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        gain: float = 1.0,
        bn_name: str | None = None,
    ) -> Tensor:
        """Convolution without bias, then batch normalization whose output has deviation `gain`."""
        weight = self._he_weight(channels, x.channels // groups, kernel)
        y = self._convolved(x, weight, stride, groups)
        mean = _rounded(y.mean(axis=(0, 2, 3), dtype=np.float64))
        variance = _rounded(y.var(axis=(0, 2, 3), dtype=np.float64) + 1e-3)
        gamma = (gain * self._rng.uniform(0.6, 1.4, channels)).astype(np.float32)
        beta = (0.2 * gain * self._rng.standard_normal(channels)).astype(np.float32)
        factor = (gamma / np.sqrt(variance + np.float32(EPSILON))).astype(np.float32)
        offset = beta - mean * factor
        y = y * factor.reshape(-1, 1, 1) + offset.reshape(-1, 1, 1)
        attributes = _window(kernel, stride, kernel // 2) | {"group": groups}
        if self.batch_norm == "fold":
            weight = weight * factor.reshape(-1, 1, 1, 1)
            inputs = [x.name, self._weight(name, weight), self._bias(name, offset)]
            return self._append("Conv", name, inputs, y, **attributes)
        raw = self._append("Conv", name, [x.name, self._weight(name, weight)], y, **attributes)
        bn = bn_name or f"{name}.bn"
        statistics = {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance}
        inputs = [raw.name] + [self._constant(f"{bn}.{k}", v) for k, v in statistics.items()]
        return self._append("BatchNormalization", bn, inputs, y, epsilon=EPSILON)

    def conv(self, x: Tensor, name: str, channels: int, kernel: int = 1) -> Tensor:
        """Convolution with bias, stride 1, same size."""
        weight = self._he_weight(channels, x.channels, kernel)
        bias = (0.1 * self._rng.standard_normal(channels)).astype(np.float32)
        y = self._convolved(x, weight, 1, 1) + bias.reshape(-1, 1, 1)
        inputs = [x.name, self._weight(name, weight), self._bias(name, bias)]
        return self._append("Conv", name, inputs, y, **_window(kernel, 1, kernel // 2), group=1)

    def linear(self, x: Tensor, name: str, features: int) -> Tensor:
        """Fully connected layer on (N, features)."""
        deviation = 1.0 / np.sqrt(x.channels)
        weight = self._rng.standard_normal((features, x.channels)) * deviation
        weight32 = weight.astype(np.float32)
        bias = (0.1 * self._rng.standard_normal(features)).astype(np.float32)
        self.macs += features * x.channels
        y = x.value @ weight32.T + bias
        inputs = [x.name, self._weight(name, weight32), self._bias(name, bias)]
        return self._append("Gemm", name, inputs, y, transB=1)

    # -- layers without weights -------------------------------------------------------------

    def relu(self, x: Tensor, name: str) -> Tensor:
        return self._append("Relu", name, [x.name], np.maximum(x.value, 0))

    def relu6(self, x: Tensor, name: str) -> Tensor:
        limits = [self._constant("relu6.min", 0.0), self._constant("relu6.max", 6.0)]
        return self._append("Clip", name, [x.name, *limits], np.clip(x.value, 0, 6))

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        return self._append("Sigmoid", name, [x.name], 1 / (1 + np.exp(-x.value)))

    def swish(self, x: Tensor, name: str) -> Tensor:
        return self.multiply(x, self.sigmoid(x, f"{name}.sigmoid"), f"{name}.mul")

    def multiply(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        return self._append("Mul", name, [x.name, y.name], x.value * y.value)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        return self._append("Add", name, [x.name, y.name], x.value + y.value)

    def concat(self, tensors: list[Tensor], name: str) -> Tensor:
        value = np.concatenate([t.value for t in tensors], axis=1)
        return self._append("Concat", name, [t.name for t in tensors], value, axis=1)

    def max_pool(self, x: Tensor, name: str, kernel: int, stride: int, padding: int) -> Tensor:
        value = max_pool(x.value, kernel, stride, padding)
        return self._append("MaxPool", name, [x.name], value, **_window(kernel, stride, padding))

    def average_pool(self, x: Tensor, name: str, kernel: int, stride: int) -> Tensor:
        value = average_pool(x.value, kernel, stride)
        return self._append("AveragePool", name, [x.name], value, **_window(kernel, stride, 0))

    def global_average_pool(self, x: Tensor, name: str) -> Tensor:
        value = x.value.mean(axis=(2, 3), keepdims=True)
        return self._append("GlobalAveragePool", name, [x.name], value)

    def flatten(self, x: Tensor, name: str) -> Tensor:
        return self._append("Flatten", name, [x.name], x.value.reshape(len(x.value), -1), axis=1)

    # -- the end ----------------------------------------------------------------------------

    def finish(self, output: Tensor) -> FloatNetwork:
        """The checked model with batch 1; `output` becomes the graph output "logits"."""
        last = self._nodes[-1]
        last.output[0] = "logits"
        self._ranges["logits"] = self._ranges.pop(output.name)
        shape = [1, *output.value.shape[1:]]
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *self.input_shape])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
            initializer=list(self._constants.values()),
        )
        return FloatNetwork(_packaged(graph, {"macs": str(self.macs)}), self._ranges)

    # -- details ----------------------------------------------------------------------------

    def _he_weight(self, channels: int, inputs: int, kernel: int) -> FloatArray:
        deviation = np.sqrt(2.0 / (inputs * kernel * kernel))
        shape = (channels, inputs, kernel, kernel)
        return np.asarray(self._rng.standard_normal(shape) * deviation, np.float32)

    def _convolved(self, x: Tensor, weight: FloatArray, stride: int, groups: int) -> FloatArray:
        kernel = weight.shape[-1]
        size = [pooled_size(n, kernel, stride, kernel // 2) for n in x.value.shape[2:]]
        self.macs += int(weight.size) * size[0] * size[1]
        return convolve(x.value, weight, stride, kernel // 2, groups)

    def _measured(self, name: str, value: FloatArray) -> Tensor:
        self._ranges[name] = (float(value.min()), float(value.max()))
        return Tensor(name, value.astype(np.float32))

    def _append(
        self, op: str, name: str, inputs: list[str], value: NDArray[Any], **attributes: Any
    ) -> Tensor:
        output = f"{name}.output"
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return self._measured(output, value)

    def _constant(self, name: str, value: NDArray[Any] | float) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(value, np.float32), name)
        return name

    def _weight(self, layer: str, value: FloatArray) -> str:
        return self._constant(f"{layer}.weight", value)

    def _bias(self, layer: str, value: FloatArray) -> str:
        return self._constant(f"{layer}.bias", value)


def _window(kernel: int, stride: int, padding: int) -> dict[str, Any]:
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def _packaged(graph: onnx.GraphProto, metadata: dict[str, str]) -> onnx.ModelProto:
    """The graph as a model with the zoo's versions; checked."""
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="lpc zoo", opset_imports=opsets)
    model.ir_version = IR_VERSION
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model
