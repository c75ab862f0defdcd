"""Kernels as functions of the compiler's own."""

from __future__ import annotations

import numpy as np
import pytest
from lpc.compiler.codegen.builder import KernelBuilder, index_type
from lpc.compiler.codegen.native import compile_functions
from xdsl.dialects.func import FuncOp


def adds(name: str, number: int) -> FuncOp:
    """Adds a number to each of the numbers, of which the first says how many there are."""
    b = KernelBuilder(name, 2)
    numbers, results = b.buffers
    with b.loop(0, b.load(numbers, 0, index_type)) as each:
        place = b.mul(each.variable, 8)
        value = b.add(b.load(numbers, place, index_type), number)
        b.store(b.index(value), results, place)
    return b.finish()


def test_functions_of_one_module_are_told_apart() -> None:
    one, two = compile_functions([adds("one", 1), adds("two", 2)])
    numbers, results = np.arange(5, 0, -1), np.zeros(5, np.int64)
    one(numbers, results)
    np.testing.assert_array_equal(results, [6, 5, 4, 3, 2])
    two(numbers, results)
    np.testing.assert_array_equal(results, [7, 6, 5, 4, 3])


def test_arrays_have_to_be_contiguous() -> None:
    (one,) = compile_functions([adds("one", 1)])
    with pytest.raises(AssertionError):
        one(np.arange(10)[::2], np.zeros(5, np.int64))
