"""Resize (nearest, whole factors), DepthToSpace and SpaceToDepth.

DepthToSpace DCR  [n, b·b·c, h, w] ⇒ reshape [n, b, b, c, h, w] → transpose (0,3,4,1,5,2)
                                       → reshape [n, c, h·b, w·b]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import Array, shape_of
from .context import Converter, Node, NodeError


def _convert_resize(node: Node) -> SSAValue:
    x = node.tensor(0)
    shape = shape_of(x)
    mode = node.attribute("mode", "nearest")
    if mode != "nearest":
        raise NodeError(f"mode '{mode}' is not supported; only nearest is")
    if len(shape) != 4:
        raise NodeError(f"input {shape} has rank {len(shape)}; only rank 4 is supported")
    scales = _scales(node, shape)
    factors = [round(s) for s in scales]
    if any(abs(s - f) > 1e-6 or f < 1 for s, f in zip(scales, factors, strict=True)) or any(
        f != 1 for f in factors[:2]
    ):
        raise NodeError(
            f"scales {[round(s, 4) for s in scales]} are not supported; "
            "only whole up-sampling factors of the two spatial axes are"
        )
    for size, factor in zip(shape[2:], factors[2:], strict=True):
        if not np.array_equal(
            _source_indices(node, size, factor), np.arange(size * factor) // factor
        ):
            raise NodeError(
                f"coordinate_transformation_mode '{_transformation(node)}' with nearest_mode "
                f"'{_rounding(node)}' is not supported for factor {factor}; use asymmetric, floor"
            )
    if factors == [1, 1, 1, 1]:
        return x
    return node.emit(graph.ResizeNearestOp(x, factors[2:]))


def _scales(node: Node, shape: Sequence[int]) -> list[float]:
    """One scale per axis, from input `scales` (2) or `sizes` (3), for attribute `axes`."""
    axes = [int(a) % len(shape) for a in node.attribute("axes", list(range(len(shape))))]
    if node.has(2) and node.known(2, "scales").size:
        given = [float(s) for s in node.known(2, "scales").reshape(-1)]
    else:
        if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise NodeError("keep_aspect_ratio_policy is not supported; use scales")
        sizes = node.known_ints(3, "sizes")
        given = [size / shape[axis] for size, axis in zip(sizes, axes, strict=True)]
    scales = [1.0] * len(shape)
    for axis, scale in zip(axes, given, strict=True):
        scales[axis] = scale
    return scales


def _transformation(node: Node) -> str:
    return node.attribute("coordinate_transformation_mode", "half_pixel")


def _rounding(node: Node) -> str:
    return node.attribute("nearest_mode", "round_prefer_floor")


def _source_indices(node: Node, size: int, factor: int) -> Array:
    """The input index that ONNX assigns to each output index."""
    i = np.arange(size * factor, dtype=np.float64)
    transformation = _transformation(node)
    if transformation == "asymmetric":
        x = i / factor
    elif transformation in ("half_pixel", "half_pixel_symmetric"):
        x = (i + 0.5) / factor - 0.5
    elif transformation == "pytorch_half_pixel":
        x = (i + 0.5) / factor - 0.5 if size * factor > 1 else 0 * i
    elif transformation == "align_corners":
        x = i * (size - 1) / max(size * factor - 1, 1)
    else:
        raise NodeError(
            f"coordinate_transformation_mode '{transformation}' is not supported; use asymmetric"
        )
    roundings: dict[str, Callable[[Array], Array]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    }
    rounding = roundings.get(_rounding(node))
    if rounding is None:
        raise NodeError(f"nearest_mode '{_rounding(node)}' is unknown; use floor")
    return np.clip(rounding(x), 0, size - 1).astype(np.int64)


def _convert_depth_to_space(node: Node) -> SSAValue:
    x = node.tensor(0)
    n, c, h, w = _image_shape(x)
    block = node.attribute("blocksize", 0)
    if block < 1 or c % (block * block):
        raise NodeError(f"shape mismatch: blocksize {block} for {c} channels; correct the model")
    depth = c // (block * block)
    if node.attribute("mode", "DCR") == "DCR":
        split, order = (n, block, block, depth, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, depth, block, block, h, w), (0, 1, 4, 2, 5, 3)
    apart = node.emit(graph.TransposeOp(node.reshape(x, split), order))
    return node.reshape(apart, (n, depth, h * block, w * block))


def _convert_space_to_depth(node: Node) -> SSAValue:
    x = node.tensor(0)
    n, c, h, w = _image_shape(x)
    block = node.attribute("blocksize", 0)
    if block < 1 or h % block or w % block:
        raise NodeError(f"shape mismatch: blocksize {block} for image {h}x{w}; correct the model")
    split = node.reshape(x, (n, c, h // block, block, w // block, block))
    together = node.emit(graph.TransposeOp(split, (0, 3, 5, 1, 2, 4)))
    return node.reshape(together, (n, c * block * block, h // block, w // block))


def _image_shape(x: SSAValue) -> tuple[int, int, int, int]:
    shape = shape_of(x)
    if len(shape) != 4:
        raise NodeError(f"input {shape} has rank {len(shape)}; only rank 4 is supported")
    n, c, h, w = shape
    return n, c, h, w


CONVERTERS: dict[str, Converter] = {
    "Resize": _convert_resize,
    "DepthToSpace": _convert_depth_to_space,
    "SpaceToDepth": _convert_space_to_depth,
}
