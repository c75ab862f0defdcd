"""Executable semantics of the tile dialect, for the interpreter of kernels (loop.py).

A tile is an array of bytes, [rows, bytes]; memory operands are an `Address`, an offset and a
stride. Instructions run on a `TileUnit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from xdsl.interpreter import PythonValues
from xdsl.ir import Operation

from ..dialects import tile
from ..dialects.tensors import Array
from .tiles import TileUnit

Evaluate: TypeAlias = Callable[[Any, PythonValues], Any]


def _tile_rows(memory: PythonValues, shape: tile.Shape) -> Array:
    (base, offset, stride), (rows, size) = memory, shape
    starts = (base.offset + offset + row * stride for row in range(rows))
    return np.stack([base.memory.at(start, size) for start in starts])


def _write_tile_rows(rows: Array, memory: PythonValues) -> None:
    base, offset, stride = memory
    for number, row in enumerate(rows):
        base.memory.write(base.offset + offset + number * stride, row)


def _tile_dot4(op: tile.Dot4Op, args: PythonValues) -> Array:
    """As a product of matrices of codes; the unit does it byte by byte."""
    accumulator, a, b = args
    weights = b.view(np.int8).reshape(len(b), -1, 4).transpose(0, 2, 1).reshape(a.shape[1], -1)
    # Exact: at most 64 products of at most 2¹⁵.
    products = a.astype(np.float64) @ weights.astype(np.float64)
    sums: Array = accumulator.view(np.int32) + products.astype(np.int64)
    return sums.astype(np.int32).view(np.uint8)


def tile_evaluators(unit: TileUnit) -> dict[type[Operation], Evaluate]:
    def instruction(op: tile.InstructionOp, args: PythonValues) -> None:
        name, numbers = op.row.data, op.numbers
        if name == "tileloadd":
            unit.tileloadd(numbers[0], _tile_rows(args, unit.shape(numbers[0])))
        elif name == "tilestored":
            _write_tile_rows(unit.tilestored(numbers[0]), args)
        else:
            getattr(unit, name)(*numbers)

    return {
        tile.LoadOp: lambda op, args: _tile_rows(args, tile.shape_of(op.result)),
        tile.StoreOp: lambda op, args: _write_tile_rows(args[0], args[1:]),
        tile.Dot4Op: _tile_dot4,
        tile.ConfigureOp: lambda op, args: unit.ldtilecfg(np.frombuffer(op.content, np.uint8)),
        tile.InstructionOp: instruction,
    }
