"""Kernels that move elements, alone and between int8 convolutions (padded layouts, halos)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from support import EXAMPLES, FEW_EXAMPLES, SEEDS, Bench, extreme_codes, pick
from xdsl.ir import SSAValue

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 33)


def draw_shape(g: np.random.Generator, rank: int | None = None) -> tuple[int, ...]:
    rank = rank or int(g.integers(1, 5))
    return (*(int(n) for n in g.integers(1, 7, rank - 1)), int(pick(g, LENGTHS)))


def draw_array(g: np.random.Generator, shape: tuple[int, ...]) -> Array:
    dtype = pick(g, (np.uint8, np.int8, np.float32, np.int32, np.int64))
    if dtype is np.float32:
        return g.standard_normal(shape).astype(np.float32)
    return g.integers(*((0, 256) if dtype is np.uint8 else (-128, 128)), shape).astype(dtype)


def factors(g: np.random.Generator, size: int, count: int) -> tuple[int, ...]:
    """`count` factors whose product is `size`."""
    result = []
    for _ in range(count - 1):
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        result.append(int(pick(g, divisors)))
        size //= result[-1]
    return (*result, size)


def transpose(g: np.random.Generator, x: SSAValue) -> Any:
    return graph.TransposeOp(x, [int(i) for i in g.permutation(len(shape_of(x)))])


def slice_(g: np.random.Generator, x: SSAValue) -> Any:
    starts, limits, steps = [], [], []
    for d in shape_of(x):
        start = int(g.integers(0, d))
        starts.append(start)
        limits.append(int(g.integers(start + 1, d + 1)))
        steps.append(int(pick(g, (1, 1, 2, 3))))
    return graph.SliceOp(x, starts, limits, steps)


def pad(g: np.random.Generator, x: SSAValue) -> Any:
    low, high = (
        [int(n) for n in g.integers(0, 4, len(shape_of(x))) * (g.random() < 0.7)] for _ in range(2)
    )
    return graph.PadOp(x, low, high, float(g.integers(0, 100)))


def broadcast(g: np.random.Generator, x: SSAValue) -> Any:
    shape = [int(g.integers(1, 4)) if d == 1 else d for d in shape_of(x)]
    if len(shape) < 4 and g.random() < 0.5:
        shape = [int(g.integers(1, 4)), *shape]
    return graph.BroadcastOp(x, shape)


def gather(g: np.random.Generator, bench: Bench, x: SSAValue) -> Any:
    axis = int(g.integers(len(shape_of(x))))
    rank = int(g.integers(0, 3)) if len(shape_of(x)) < 4 else 1
    size = shape_of(x)[axis]
    indices = g.integers(-size, size, tuple(int(n) for n in g.integers(1, 6, rank)))
    return graph.GatherOp(x, bench.constant(np.asarray(indices, np.int64)), axis)


def reshape(g: np.random.Generator, x: SSAValue) -> Any:
    size = int(np.prod(shape_of(x)))
    return graph.ReshapeOp(x, factors(g, size, int(g.integers(1, 5))))


def resize(g: np.random.Generator, x: SSAValue) -> Any:
    return graph.ResizeNearestOp(x, (int(g.integers(1, 4)), int(g.integers(1, 4))), "nhwc")


def moved(bench: Bench, g: np.random.Generator, x: SSAValue) -> tuple[SSAValue, str]:
    """A random movement of x."""
    kinds: list[Any] = [transpose, slice_, pad, broadcast, gather, reshape]
    if len(shape_of(x)) == 4:
        kinds.append(resize)
    kind = pick(g, kinds)
    op = kind(g, bench, x) if kind is gather else kind(g, x)
    return bench(op), f"{op.name} {shape_of(x)} → {shape_of(op.results[0])} {op.properties}"


def add_move(bench: Bench, g: np.random.Generator) -> None:
    x = bench.input(draw_array(g, draw_shape(g)))
    value, label = moved(bench, g, x)
    if g.random() < 0.3:
        value, more = moved(bench, g, value)
        label += f", {more}"
    if not shape_of(value):
        value = bench(graph.ReshapeOp(value, (1,)))
    bench.output(value, label[:400])


def add_concat(bench: Bench, g: np.random.Generator) -> None:
    shape = list(draw_shape(g))
    axis = int(g.integers(len(shape)))
    dtype = pick(g, (np.uint8, np.float32))
    parts, shapes = [], []
    for _ in range(int(g.integers(1, 4))):
        shape[axis] = int(pick(g, LENGTHS))
        shapes.append(tuple(shape))
        parts.append(bench.input(g.integers(0, 256, shape).astype(dtype)))
    bench.output(bench(graph.ConcatOp(parts, axis)), f"concat {shapes} along {axis}")


def add_shuffle(bench: Bench, g: np.random.Generator) -> None:
    """Channels as a matrix, transposed: planes that interleave, or elements one by one."""
    rows, columns = int(pick(g, (1, 2, 3, 4, 5))), int(pick(g, LENGTHS))
    x = bench.input(draw_array(g, (1, 2, 3, rows * columns)))
    order = np.arange(rows * columns).reshape(rows, columns).T.reshape(-1)
    order = order[: len(order) // int(pick(g, (1, 2))) or 1]
    if g.random() < 0.2:
        order = order[::-1]
    op = graph.GatherOp(x, bench.constant(np.ascontiguousarray(order)), 3)
    bench.output(bench(op), f"shuffle of {rows} rows of {columns}, {len(order)} of them")


def convolution(bench: Bench, g: np.random.Generator, x: SSAValue, outputs: int) -> SSAValue:
    """3×3 with padding, to codes: its input needs a halo of a code that varies."""
    weight = g.integers(-20, 21, (outputs, shape_of(x)[-1], 3, 3)).astype(np.int8)
    zero_point = int(pick(g, (0, 7, 128)))
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        input_zero_point=zero_point,
        pads=(1, 1, 1, 1),
        layout="nhwc",
    )
    return bench(graph.RequantizeOp(bench(op), 0.002, 120, ui8, 3))


def add_between_convolutions(bench: Bench, g: np.random.Generator) -> None:
    """Movement reads and writes tensors with padded channels and halos."""
    shape = (int(pick(g, (1, 2))), *(int(n) for n in g.integers(1, 7, 2)), int(pick(g, LENGTHS)))
    x = convolution(bench, g, bench.input(extreme_codes(g, shape, np.uint8)), shape[3])
    if g.random() < 0.3:
        other = convolution(bench, g, bench.input(extreme_codes(g, shape, np.uint8)), 5)
        value = bench(graph.ConcatOp([x, other, x], 3))
        label = f"concat {shape}"
    else:
        value, label = moved(bench, g, x)
    if len(shape_of(value)) != 4:
        size = int(np.prod(shape_of(value)))
        value = bench(graph.ReshapeOp(value, factors(g, size, 4)))
    bench.output(convolution(bench, g, value, 3), f"{label[:300]} between convolutions of {shape}")
    if g.random() < 0.4:  # a second reader with other demands, and a model output in between
        bench.output(convolution(bench, g, value, 17), "second reader")
    if g.random() < 0.3:
        bench.output(value, "between")


def add_channel_gather(bench: Bench, g: np.random.Generator) -> None:
    """Channels in any order, of one tensor or of several, read by convolutions or returned."""
    shape = (int(pick(g, (1, 2))), *(int(n) for n in g.integers(1, 5, 2)))
    parts = []
    for _ in range(int(pick(g, (1, 1, 2, 3)))):
        x = bench.input(extreme_codes(g, (*shape, int(pick(g, LENGTHS))), np.uint8))
        parts.append(convolution(bench, g, x, int(pick(g, LENGTHS))) if g.random() < 0.5 else x)
    x = bench(graph.ConcatOp(parts, 3)) if len(parts) > 1 else parts[0]
    size, readers = shape_of(x)[-1], int(g.integers(1, 3))
    label = f"channels of {[shape_of(part) for part in parts]}"
    for _ in range(readers):
        order = g.permutation(size) if g.random() < 0.5 else np.arange(size).reshape(-1, 1)
        if g.random() < 0.3:
            order = g.integers(-size, size, int(pick(g, LENGTHS)))
        elif size % 2 == 0 and g.random() < 0.5:
            order = np.arange(size).reshape(2, -1).T
        indices = bench.constant(order.reshape(-1).astype(np.int64))
        value = bench(graph.GatherOp(x, indices, 3))
        value = convolution(bench, g, value, 17) if g.random() < 0.5 else value
        bench.output(value, label)
    if g.random() < 0.2:
        bench.output(x, f"all of the {label}")


def add_transpose(bench: Bench, g: np.random.Generator) -> None:
    """Two axes change places, with others before, between or behind them."""
    rows, columns = (int(pick(g, (7, 8, 15, 16, 17, 20, 32, 33, 48, 61))) for _ in range(2))
    order = pick(g, ((0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1), (2, 1, 3, 0), (1, 3, 0, 2)))
    shape = [int(n) for n in g.integers(1, 4, 4)]
    shape[order[3]], shape[3] = rows, columns
    values = draw_array(g, tuple(shape))
    bench.output(bench(graph.TransposeOp(bench.input(values), order)), f"{order} of {shape}")


CASES = (add_move, add_move, add_move, add_concat, add_shuffle)


@given(SEEDS)
@EXAMPLES
def test_movement(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for add in CASES * 3:
        add(bench, g)
    bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_transposes(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(18):
        add_transpose(bench, g)
    bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_movement_between_convolutions(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(4):
        add_between_convolutions(bench, g)
    bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_channel_gathers(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(8):
        add_channel_gather(bench, g)
    bench.check()
