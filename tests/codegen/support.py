"""Many small graphs in one module: compiled for every target, run, compared with the interpreter.

Starting LLVM per case would make these tests slow, so a `Bench` collects cases, each with inputs
and outputs of its own, and compiles them together. Memory is hostile: inputs, outputs and the
workspace end (or start) at unmapped pages, and the workspace is full of garbage. Emulated runs are
watched (tests/watched.py) for accesses that such pages do not stop, and for what they execute.

LPC_TEST_CASES=N   N times as many generated cases (10, or 0.5)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import lpc.runtime as lpr
import numpy as np
import numpy.typing as npt
import pytest
from emulation import (
    Invoke,
    invoke_for,
    only_target,
    targets_tested,
    thread_counts,
)
from hostile import run
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from lpc.compiler import driver
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.program import TargetProgram
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.collector import collector_paused
from lpc.compiler.contractions import gathered_tile, layer
from lpc.compiler.contractions.ordered_tile import Choice
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, tensor_type
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.signature import library_info
from lpc.runtime import Model
from watched import RECORD
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

#: Without shrinking: an example is a whole module of cases, and the message names the case.
EXAMPLES = settings(
    max_examples=max(1, round(2 * float(os.environ.get("LPC_TEST_CASES", "1")))),
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
#: For the slowest tests: one, unless LPC_TEST_CASES says how many.
FEW_EXAMPLES = settings(
    EXAMPLES, max_examples=EXAMPLES.max_examples if "LPC_TEST_CASES" in os.environ else 1
)
SEEDS = st.integers(0, 2**32 - 1)


def pick(generator: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(generator.integers(len(choices)))]


def extreme_codes(generator: np.random.Generator, shape: Sequence[int], dtype: Any) -> Array:
    """Random codes, a third of which are one of the ends of the type."""
    info = np.iinfo(dtype)
    codes = generator.integers(info.min, info.max + 1, tuple(shape))
    ends = generator.choice([info.min, info.max], tuple(shape))
    return np.where(generator.random(tuple(shape)) < 1 / 3, ends, codes).astype(dtype)


@contextmanager
def in_some_form(generator: np.random.Generator) -> Iterator[None]:
    """A third of the time as small layers like it best; without the halves that they mostly choose,
    so that they try chains; or with gathered inputs where that is possible."""
    kind = generator.integers(3)
    if kind == 0:
        yield
    elif kind == 1:
        with mock.patch.object(layer, "choices_in_halves", return_value=[]):
            yield
    else:
        with with_gathered_inputs():
            yield


@contextmanager
def with_gathered_inputs(fewest: int = 1, vectors: int = 0) -> Iterator[None]:
    """Wherever there are so many inputs; in tiles of so many vectors of channels, if it is said and
    possible."""
    others = layer.choices_in_forms

    def chosen(own: layer.Layer) -> list[tuple[float, Choice]]:
        found = layer.choices_of_teams(own)
        return [(cost, c) for cost, c in found if c.tile.n == vectors] or found or others(own)

    with (
        mock.patch.object(gathered_tile, "FEWEST", fewest),
        mock.patch.object(layer, "choices_in_forms", chosen),
    ):
        yield


@dataclass(frozen=True)
class Check:
    """How one output is compared: bit for bit, or with an absolute bound per element.

    `exact`: what the interpreter has to give, where the test knows."""

    label: str
    bound: Array | None = None
    exact: Array | None = None

    def compare(self, actual: Array, expected: Array, where: str) -> None:
        message = f"{self.label} on {where}"
        assert actual.dtype == expected.dtype, message
        assert actual.shape == expected.shape, message
        if self.bound is not None:
            difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
            past = ~(difference <= self.bound)
            assert not past.any(), f"{message}: off by {difference[past].max()}"
            return
        same = (actual == expected) | ((actual != actual) & (expected != expected))
        if actual.dtype == np.float32:
            same &= (np.signbit(actual) == np.signbit(expected)) | (actual != actual)
        if not same.all():
            wrong = np.argwhere(~same)
            first = tuple(wrong[0])
            raise AssertionError(
                f"{message}: {len(wrong)} of {same.size} wrong, first at {list(map(int, first))}: "
                f"{actual[first]} instead of {expected[first]}"
            )


class Bench:
    """@main under construction: `input`, `constant` and calls add to it; `output` adds a check."""

    def __init__(self) -> None:
        self.block = Block()
        self.arrays: list[Array] = []
        self.results: list[SSAValue] = []
        self.checks: list[Check] = []

    def __call__(self, op: Operation) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def input(self, array: Array) -> SSAValue:
        self.arrays.append(np.array(array, order="C"))
        return self.block.insert_arg(tensor_type(array.shape, array.dtype), len(self.block.args))

    def constant(self, array: npt.ArrayLike) -> SSAValue:
        return self(graph.ConstantOp(np.asarray(array)))

    def output(
        self,
        value: SSAValue,
        label: str,
        bound: Array | None = None,
        exact: Array | None = None,
    ) -> None:
        self.results.append(value)
        self.checks.append(Check(label, bound, exact))

    def module(self) -> ModuleOp:
        self.block.add_op(ReturnOp(*self.results))
        types = FunctionType.from_lists(
            [v.type for v in self.block.args], [v.type for v in self.results]
        )
        func = FuncOp("main", types, Region(self.block))
        func.attributes["model_name"] = StringAttr("bench")
        func.attributes["layers"] = ArrayAttr([])
        for side, count in (("input", len(self.arrays)), ("output", len(self.results))):
            names = [StringAttr(f"{side}{i}") for i in range(count)]
            func.attributes[f"{side}_names"] = ArrayAttr(names)
        module = ModuleOp([func])
        module.verify()
        return module

    def check(self, targets: Sequence[Target] = TARGETS) -> None:
        """Compiles for every target; every output of every run equals the interpreter's."""
        targets = targets_tested(targets)
        if not targets:
            pytest.skip("another target is tested")
        module = self.module()
        expected = run_graph(module, self.arrays)
        for check, wanted in zip(self.checks, expected, strict=True):
            if check.exact is not None:
                check.compare(wanted, check.exact, "the interpreter")
        for target in targets:
            own = module.clone()
            model = load(own, target)
            for threads in thread_counts(target.name):
                # The side of the unmapped pages alternates.
                actual = run(model, self.arrays, threads, at_end=threads == 1)
                for check, value, wanted in zip(self.checks, actual, expected, strict=True):
                    check.compare(value, wanted, f"{target.name}, {threads} threads")
            RECORD.add_cases(target.name, len(self.checks))


def levels_of(module: ModuleOp, target: Target) -> dict[str, driver.Level]:
    """The levels from packed on; changes the module."""
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    levels = driver.target_levels(module, target, context, lambda level, name: None)
    result = {}
    with collector_paused():
        for level in levels:
            # A third of all time, and the same IR is verified where all targets are tested.
            if isinstance(level.content, ModuleOp) and only_target() is None:
                level.content.verify()
            result[level.name] = level
    return result


def load(module: ModuleOp, target: Target, invoke: Invoke | None = None) -> Model:
    """Compiles a graph module, which changes, and loads it into this process as a library, run by
    `invoke` or as `invoke_for` has it."""
    info = library_info(module)
    program = levels_of(module, target)["obj"].content
    assert isinstance(program, TargetProgram)
    invoke = invoke or invoke_for(target.name)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bench.so"
        write_library(path, [program], info)
        return lpr.load(path, num_threads=1, target=target.name, invoke=invoke)
