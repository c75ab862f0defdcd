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

from .reference import average_pool, convolve, erf, max_pool, softmax

BatchNormMode = Literal["fold", "keep"]
FloatArray = NDArray[np.float32]
Shape = tuple[int, ...]

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
    """A float model, with the (minimum, maximum) of each activation over the calibration images.

    `float_nodes` names nodes that stay float when the model is quantized: the insides of GELU."""

    model: onnx.ModelProto
    ranges: dict[str, tuple[float, float]]
    float_nodes: frozenset[str] = frozenset()


def calibration_inputs(count: int, shape: Shape, seed: int) -> FloatArray:
    """Seeded images for shape (C, H, W), seeded embeddings for shape (tokens, features)."""
    if len(shape) == 3:
        return calibration_images(count, shape, seed)
    rng = np.random.default_rng([seed, 1])
    return rng.standard_normal((count, *shape)).astype(np.float32)


def calibration_images(count: int, shape: Shape, seed: int) -> FloatArray:
    """Seeded images (count, C, H, W): blobs plus grain, in the range of normalised photographs."""
    rng = np.random.default_rng([seed, 1])
    channels, height, width = shape
    blobs = rng.standard_normal((count, channels, 8, 8))
    blobs = np.repeat(np.repeat(blobs, -(-height // 8), axis=2), -(-width // 8), axis=3)
    grain = rng.standard_normal((count, *shape))
    images = blobs[:, :, :height, :width] + 0.4 * grain
    return np.clip(images, -2.1, 2.6).astype(np.float32)


@dataclass(frozen=True)
class Normalization:
    """Parameters of a batch normalization, one value per channel."""

    gamma: FloatArray
    beta: FloatArray
    mean: FloatArray
    variance: FloatArray

    @property
    def factor(self) -> FloatArray:
        deviation = np.sqrt(self.variance + np.float32(EPSILON))
        return np.asarray(self.gamma / deviation, np.float32)

    @property
    def offset(self) -> FloatArray:
        return self.beta - self.mean * self.factor

    def apply(self, y: FloatArray) -> FloatArray:
        return y * self.factor.reshape(-1, 1, 1) + self.offset.reshape(-1, 1, 1)


def _rounded(statistics: NDArray[Any]) -> FloatArray:
    return statistics.astype(np.float16).astype(np.float32)


@dataclass
class NetworkBuilder:
    """Appends layers; names them as torchvision names its modules."""

    name: str
    input_shape: Shape  # without the batch
    seed: int = 0
    batch_norm: BatchNormMode = "fold"
    images: int = 2
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    _float_nodes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        images = calibration_inputs(self.images, self.input_shape, self.seed)
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
        norm = self._normalization(y, gain)
        factor, offset = norm.factor, norm.offset
        y = norm.apply(y)
        attributes = _window(kernel, stride, kernel // 2) | {"group": groups}
        if self.batch_norm == "fold":
            weight = weight * factor.reshape(-1, 1, 1, 1)
            inputs = [x.name, self._weight(name, weight), self._bias(name, offset)]
            return self._append("Conv", name, inputs, y, **attributes)
        raw = self._append("Conv", name, [x.name, self._weight(name, weight)], y, **attributes)
        return self._batch_norm(raw, bn_name or f"{name}.bn", norm, y)

    def normalize(self, x: Tensor, name: str) -> Tensor:
        """A normalization that no convolution before it can absorb."""
        norm = self._normalization(x.value, 1.0)
        return self._batch_norm(x, name, norm, norm.apply(x.value))

    def conv(
        self, x: Tensor, name: str, channels: int, kernel: int = 1, *, bias: bool = True
    ) -> Tensor:
        """Convolution, stride 1, same size."""
        weight = self._he_weight(channels, x.channels, kernel)
        y = self._convolved(x, weight, 1, 1)
        inputs = [x.name, self._weight(name, weight)]
        if bias:
            offset = self._small(channels)
            y = y + offset.reshape(-1, 1, 1)
            inputs.append(self._bias(name, offset))
        return self._append("Conv", name, inputs, y, **_window(kernel, 1, kernel // 2), group=1)

    def patches(self, x: Tensor, name: str, channels: int, size: int) -> Tensor:
        """Convolution with bias whose windows of size × size do not overlap."""
        weight = self._he_weight(channels, x.channels, size)
        bias = self._small(channels)
        y = self._convolved(x, weight, size, 1, padding=0) + bias.reshape(-1, 1, 1)
        inputs = [x.name, self._weight(name, weight), self._bias(name, bias)]
        return self._append("Conv", name, inputs, y, **_window(size, size, 0), group=1)

    def linear(self, x: Tensor, name: str, features: int) -> Tensor:
        """Fully connected layer on (N, features)."""
        deviation = 1.0 / np.sqrt(x.channels)
        weight = self._rng.standard_normal((features, x.channels)) * deviation
        weight32 = weight.astype(np.float32)
        bias = self._small(features)
        y = x.value @ weight32.T + bias
        inputs = [x.name, self._weight(name, weight32), self._bias(name, bias)]
        return self._append("Gemm", name, inputs, y, transB=1)

    def token_linear(self, x: Tensor, name: str, features: int, gain: float = 1.0) -> Tensor:
        """Fully connected layer on (N, tokens, features): MatMul, then Add of the bias."""
        inputs = x.value.shape[-1]
        deviation = gain / np.sqrt(inputs)
        weight = self._rng.standard_normal((inputs, features), np.float32) * np.float32(deviation)
        parameters = [x.name, self._weight(name, weight)]
        y = self._append("MatMul", f"{name}.matmul", parameters, x.value @ weight)
        return self.add_constant(y, name, self._small(features))

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        """Over the last axis."""
        features = x.value.shape[-1]
        gamma = self._rng.uniform(0.6, 1.4, (features,)).astype(np.float32)
        beta = self._small(features)
        centred = x.value - x.value.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
        inputs = [x.name, self._weight(name, gamma), self._bias(name, beta)]
        y = centred / deviation * gamma + beta
        return self._append("LayerNormalization", name, inputs, y, axis=-1, epsilon=EPSILON)

    def learned(self, name: str, shape: Shape) -> Tensor:
        """A constant tensor of the model, such as an embedding of positions."""
        value = (0.5 * self._rng.standard_normal(shape)).astype(np.float32)
        return self._constant_tensor(name, value)

    def add_constant(self, x: Tensor, name: str, value: FloatArray) -> Tensor:
        return self.add(self._constant_tensor(f"{name}.bias", value), x, name)

    def multiply_constant(self, x: Tensor, name: str, value: float) -> Tensor:
        return self.multiply(x, self._constant_tensor(f"{name}.factor", value), name)

    # -- layers without weights -------------------------------------------------------------

    def relu(self, x: Tensor, name: str) -> Tensor:
        return self._append("Relu", name, [x.name], np.maximum(x.value, 0))

    def relu6(self, x: Tensor, name: str) -> Tensor:
        limits = [self._constant("relu6.min", 0.0), self._constant("relu6.max", 6.0)]
        return self._append("Clip", name, [x.name, *limits], np.clip(x.value, 0, 6))

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        return self._append("Sigmoid", name, [x.name], 1 / (1 + np.exp(-x.value)))

    def hard_sigmoid(self, x: Tensor, name: str) -> Tensor:
        value = np.clip(x.value / 6 + 0.5, 0, 1)
        return self._append("HardSigmoid", name, [x.name], value, alpha=1 / 6)

    def hard_swish(self, x: Tensor, name: str) -> Tensor:
        value = x.value * np.clip(x.value / 6 + 0.5, 0, 1)
        return self._append("HardSwish", name, [x.name], value)

    def gelu(self, x: Tensor, name: str) -> Tensor:
        """x·(1 + erf(x / √2)) / 2 step by step, as torch writes it before opset 20."""
        scaled = self.divide_constant(x, f"{name}.div", float(np.sqrt(2)))
        error = self._append("Erf", f"{name}.erf", [scaled.name], erf(scaled.value))
        one = self._constant_tensor(f"{name}.one", 1.0)
        product = self.multiply(x, self.add(error, one, f"{name}.add"), f"{name}.mul")
        result = self.multiply_constant(product, name, 0.5)
        self._float_nodes |= {f"{name}{part}" for part in (".div", ".erf", ".add", ".mul", "")}
        return result

    def divide_constant(self, x: Tensor, name: str, divisor: float) -> Tensor:
        inputs = [x.name, self._constant(f"{name}.divisor", divisor)]
        return self._append("Div", name, inputs, x.value / np.float32(divisor))

    def softmax(self, x: Tensor, name: str) -> Tensor:
        return self._append("Softmax", name, [x.name], softmax(x.value), axis=-1)

    def matmul(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """Product of two activations."""
        return self._append("MatMul", name, [x.name, y.name], x.value @ y.value)

    def swish(self, x: Tensor, name: str) -> Tensor:
        return self.multiply(x, self.sigmoid(x, f"{name}.sigmoid"), f"{name}.mul")

    def multiply(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        return self._append("Mul", name, [x.name, y.name], x.value * y.value)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        return self._append("Add", name, [x.name, y.name], x.value + y.value)

    def concat(self, tensors: list[Tensor], name: str) -> Tensor:
        value = np.concatenate([t.value for t in tensors], axis=1)
        return self._append("Concat", name, [t.name for t in tensors], value, axis=1)

    def max_pool(
        self, x: Tensor, name: str, kernel: int, stride: int, padding: int, *, ceil: bool = False
    ) -> Tensor:
        """With `ceil` also windows that hang over the lower and right border."""
        value = max_pool(x.value, kernel, stride, padding, ceil)
        attributes = _window(kernel, stride, padding) | ({"ceil_mode": 1} if ceil else {})
        return self._append("MaxPool", name, [x.name], value, **attributes)

    def average_pool(self, x: Tensor, name: str, kernel: int, stride: int) -> Tensor:
        value = average_pool(x.value, kernel, stride)
        return self._append("AveragePool", name, [x.name], value, **_window(kernel, stride, 0))

    def global_average_pool(self, x: Tensor, name: str) -> Tensor:
        value = x.value.mean(axis=(2, 3), keepdims=True)
        return self._append("GlobalAveragePool", name, [x.name], value)

    def spatial_mean(self, x: Tensor, name: str) -> Tensor:
        """(N, C, H, W) to (N, C): what torch writes for `x.mean([2, 3])`."""
        value = x.value.mean(axis=(2, 3))
        return self._append("ReduceMean", name, [x.name], value, axes=[2, 3], keepdims=0)

    def flatten(self, x: Tensor, name: str) -> Tensor:
        return self._append("Flatten", name, [x.name], x.value.reshape(len(x.value), -1), axis=1)

    def reshape(self, x: Tensor, name: str, shape: Shape) -> Tensor:
        """`shape` is without the batch."""
        target = self._integers(f"{name}.shape", [1, *shape])
        value = x.value.reshape(len(x.value), *shape)
        return self._append("Reshape", name, [x.name, target], value)

    def transpose(self, x: Tensor, name: str, axes: Shape) -> Tensor:
        return self._append("Transpose", name, [x.name], x.value.transpose(axes), perm=axes)

    def split(self, x: Tensor, name: str, parts: int) -> list[Tensor]:
        """Equal parts along the channels."""
        size = x.channels // parts
        sizes = self._integers(f"{name}.sizes", [size] * parts)
        outputs = [f"{name}.output{i}" for i in range(parts)]
        self._nodes.append(helper.make_node("Split", [x.name, sizes], outputs, name=name, axis=1))
        values = np.split(x.value, parts, axis=1)
        return [self._measured(o, v) for o, v in zip(outputs, values, strict=True)]

    def select(self, x: Tensor, name: str, axis: int, index: int) -> Tensor:
        """One index of an axis, which is not the batch; the axis vanishes."""
        inputs = [x.name, self._integers(f"{name}.index", index)]
        return self._append("Gather", name, inputs, np.take(x.value, index, axis), axis=axis)

    def prepend(self, token: Tensor, x: Tensor, name: str) -> Tensor:
        """`token` (1, 1, features) before the tokens of x."""
        first = np.broadcast_to(token.value, (len(x.value), *token.value.shape[1:]))
        value = np.concatenate([first, x.value], axis=1)
        return self._append("Concat", name, [token.name, x.name], value, axis=1)

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
        return FloatNetwork(_packaged(graph), self._ranges, frozenset(self._float_nodes))

    # -- details ----------------------------------------------------------------------------

    def _small(self, size: int) -> FloatArray:
        return (0.1 * self._rng.standard_normal(size)).astype(np.float32)

    def _normalization(self, y: FloatArray, gain: float) -> Normalization:
        mean = _rounded(y.mean(axis=(0, 2, 3), dtype=np.float64))
        variance = _rounded(y.var(axis=(0, 2, 3), dtype=np.float64) + 1e-3)
        gamma = (gain * self._rng.uniform(0.6, 1.4, (y.shape[1],))).astype(np.float32)
        beta = (0.2 * gain * self._rng.standard_normal((y.shape[1],))).astype(np.float32)
        return Normalization(gamma, beta, mean, variance)

    def _batch_norm(self, x: Tensor, name: str, norm: Normalization, y: FloatArray) -> Tensor:
        parameters = {
            "weight": norm.gamma,
            "bias": norm.beta,
            "running_mean": norm.mean,
            "running_var": norm.variance,
        }
        inputs = [x.name] + [self._constant(f"{name}.{k}", v) for k, v in parameters.items()]
        return self._append("BatchNormalization", name, inputs, y, epsilon=EPSILON)

    def _he_weight(self, channels: int, inputs: int, kernel: int) -> FloatArray:
        deviation = np.sqrt(2.0 / (inputs * kernel * kernel))
        shape = (channels, inputs, kernel, kernel)
        return np.asarray(self._rng.standard_normal(shape) * deviation, np.float32)

    def _convolved(
        self, x: Tensor, weight: FloatArray, stride: int, groups: int, padding: int | None = None
    ) -> FloatArray:
        """Padded to the same size by default."""
        kernel = weight.shape[-1]
        padding = kernel // 2 if padding is None else padding
        return convolve(x.value, weight, stride, padding, groups)

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

    def _constant_tensor(self, name: str, value: NDArray[Any] | float) -> Tensor:
        return Tensor(self._constant(name, value), np.asarray(value, np.float32))

    def _integers(self, name: str, value: int | list[int]) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(value, np.int64), name)
        return name

    def _weight(self, layer: str, value: FloatArray) -> str:
        return self._constant(f"{layer}.weight", value)

    def _bias(self, layer: str, value: FloatArray) -> str:
        return self._constant(f"{layer}.bias", value)


def _window(kernel: int, stride: int, padding: int) -> dict[str, Any]:
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def _packaged(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The graph as a model with the zoo's versions; checked."""
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="lpc zoo", opset_imports=opsets)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
