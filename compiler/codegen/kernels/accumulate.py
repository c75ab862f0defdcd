"""The inner loops of the contraction microkernel: m pixels × n vectors of sums over a block.

Natural order (VNNI, fp32): runs, and within a run contiguous steps.

    for run: for step: w[n] = load; for m: a = broadcast(x[m]); sum[m][n] += a · w[n]

With few tiles to a group of blocks (gemm.py), the first of them would wait for its weights: each
tile prefetches its share of the next group's, a little with every step. (All of it in front of the
first step would keep the tile's own weights waiting: a core waits for a few dozen lines at a time.)

Halves (no VNNI, contractions/halves.py): one run of codes that were widened to 16 bits before.
Chains of steps (no VNNI): chains.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...contractions.geometry import Contraction, Runs
from ...contractions.halves import WIDENED
from ...contractions.packing import PackedGemm
from ...contractions.tile import LINE
from ...dialects.loop import Dot2Op, Dot4Op, vector_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import Parameters, TensorBuffer

#: Sums to add to in turn, so that none is waited for: two a cycle, each ready after four or five.
_ENOUGH_SUMS = 10


@dataclass(frozen=True)
class Ahead:
    """What to prefetch while a tile computes: `bytes` a step, from `address` on."""

    address: SSAValue
    bytes: int


@dataclass(frozen=True)
class Panel:
    """A panel of weights, and what a table says of it: values of the table's columns."""

    number: Index
    entries: Mapping[int, SSAValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """`m` pixels × `n` vectors of a block in a panel: the address of the first pixel's window, that
    of the block's weights, and what to prefetch meanwhile.

    `stride`: bytes of a step in the panel; `within`: where among them the block's begin."""

    x: SSAValue
    w: SSAValue
    panel: Panel
    m: int
    n: int
    stride: int
    within: Index = 0
    ahead: Ahead | None = None


class Accumulator(ABC):
    """Adds a block's products to the sums of a tile."""

    def __init__(
        self,
        b: KernelBuilder,
        c: Contraction,
        runs: Runs,
        packed: PackedGemm,
        source: TensorBuffer,
        tables: Parameters,
        table_base: SSAValue,
        target: Target,
    ):
        self.b, self.c, self.packed, self.target = b, c, packed, target
        self.table_base, self.lanes = table_base, packed.tile.lanes
        self.item, self.run_length = source.item, runs.length
        self.pixel_bytes = source.layout.channel_stride * c.strides[1] * source.item
        self.run_offsets = [o * source.item for o in runs.offsets] * packed.terms
        self.element = i32 if c.quantized else f32
        self.kind = vector_of(self.element, self.lanes)
        self.prepare(tables)

    @abstractmethod
    def prepare(self, tables: Parameters) -> None:
        """Puts what the loops read, beside codes and weights, into the blob at `table_base`."""

    def open_panel(self, number: Index) -> Panel:
        """Reads what all tiles want to know of it."""
        return Panel(number)

    def panel_start(self, panel: Panel, stride: int) -> Index:
        """Where a panel begins among the weights, of which a step has `stride` bytes."""
        return self.b.mul(panel.number, self.packed.natural_steps * stride)

    @abstractmethod
    def run(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        """The sums [m·n], pixel by pixel, after all steps of the block."""

    def weight(self, w: SSAValue, offset: int, j: int) -> SSAValue:
        """One step's weights of vector `j` of a pixel's sums."""
        size = self.lanes * 4
        return self.b.load(w, offset + j * size, self.kind, align=size)

    def inputs(self, x: SSAValue, offset: int, pixel: int) -> SSAValue:
        """One step's inputs of a pixel, in every lane."""
        scalar = self.b.load(x, offset + pixel * self.pixel_bytes, self.element)
        return self.b.splat(scalar, self.lanes)


def _unrolled(steps: int, dots: int) -> int:
    """Up to four steps, without a rest, in a loop that is not too long."""
    return next(u for u in (4, 2, 1) if steps % u == 0 and (u * dots <= 64 or u == 1))


class NaturalAccumulator(Accumulator):
    def prepare(self, tables: Parameters) -> None:
        self.table = tables.add(np.asarray(self.run_offsets, np.int32))

    def run(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        b, steps = self.b, self.packed.steps
        if len(self.run_offsets) == 1:
            return self._steps(replace(work, x=b.address(work.x, self.run_offsets[0])), sums)
        with b.loop(0, len(self.run_offsets), carried=sums) as runs:
            entry = b.add(b.mul(runs.variable, 4), self.table)
            jump = b.to_index(b.load(self.table_base, entry, i32))
            w_run = b.address(work.w, b.mul(runs.variable, steps * work.stride))
            ahead = work.ahead
            if ahead is not None:
                skipped = b.mul(runs.variable, steps * ahead.bytes)
                ahead = replace(ahead, address=b.address(ahead.address, skipped))
            own = replace(work, x=b.address(work.x, jump), w=w_run, ahead=ahead)
            runs.next = self._steps(own, list(runs.carried))
        return list(runs.results)

    def _steps(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        """One run: contiguous inputs, four bytes a step."""
        b, steps, m, n = self.b, self.packed.steps, work.m, work.n
        step_bytes, unroll = work.stride, self._unroll(steps, m, n)
        if steps == unroll:
            for u in range(unroll):
                sums = self._step(work.x, work.w, 4 * u, step_bytes * u, sums, m, n)
            return sums
        sets = self._sets(unroll, m, n)
        zero = b.constant(0, self.element, self.lanes)
        with b.loop(0, steps, unroll, carried=sums + [zero] * (len(sums) * (sets - 1))) as k:
            x_k = b.address(work.x, b.mul(k.variable, 4))
            w_k = b.address(work.w, b.mul(k.variable, step_bytes))
            if work.ahead is not None:
                line = b.address(work.ahead.address, b.mul(k.variable, work.ahead.bytes))
                for offset in range(0, unroll * work.ahead.bytes, LINE):
                    b.prefetch(line, offset)
            inner = [list(k.carried[i * m * n : (i + 1) * m * n]) for i in range(sets)]
            for u in range(unroll):
                own = inner[u % sets]
                inner[u % sets] = self._step(x_k, w_k, 4 * u, step_bytes * u, own, m, n)
            k.next = [total for own in inner for total in own]
        return self._added(list(k.results), m * n)

    def _added(self, sums: list[SSAValue], count: int) -> list[SSAValue]:
        """One set of `count` sums from all."""
        kind = arith.AddiOp if self.c.quantized else arith.AddfOp
        while len(sums) > count:
            half = len(sums) // 2
            pairs = zip(sums[:half], sums[half:], strict=True)
            sums = [self.b.binary(kind, a, other) for a, other in pairs]
        return sums

    def _sets(self, unroll: int, m: int, n: int) -> int:
        """How many sets of sums the unrolled steps take turns with."""
        operands = 1 if self._in_memory(m) else n + 1
        room = (self.target.registers - operands - 1) // (m * n)
        wanted = max(1, min(unroll, room, -(-_ENOUGH_SUMS // (m * n))))
        return next(sets for sets in (4, 2, 1) if sets <= wanted)

    def _unroll(self, steps: int, m: int, n: int) -> int:
        """Steps per iteration. LLVM loads the next step's operands before it needs them: where they
        have no registers, sums would be spilled."""
        scratch = 0 if self.target.fma else 2
        operands = 0 if self._in_memory(m) else 2 * n
        if m * n + operands + 2 + scratch > self.target.registers:
            return 1
        return _unrolled(steps, m * n)

    def _in_memory(self, m: int) -> bool:
        """Whether weights are operands of their only multiplication, and need no registers."""
        return m == 1 and (self.c.quantized or self.target.fma)

    def _step(
        self,
        x: SSAValue,
        w: SSAValue,
        x_offset: int,
        w_offset: int,
        sums: list[SSAValue],
        m: int,
        n: int,
    ) -> list[SSAValue]:
        weights, result = [self.weight(w, w_offset, j) for j in range(n)], []
        for i in range(m):
            a = self.inputs(x, x_offset, i)
            result += [self._multiply(sums[i * n + j], a, weights[j]) for j in range(n)]
        return result

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        if self.c.quantized:
            return self.b.emit(Dot4Op(total, a, w))
        if self.target.fma:
            return self.b.fma(a, w, total)
        return self.b.binary(arith.AddfOp, total, self.b.binary(arith.MulfOp, a, w))


class HalvesAccumulator(NaturalAccumulator):
    """Reads widened codes [pixel][step][2], which `widen` puts into the call's own memory. Behind a
    pixel's last code is anything, against weights of zero."""

    def prepare(self, tables: Parameters) -> None:
        self.source_bytes, self.source_offsets = self.pixel_bytes, self.run_offsets
        self.pixel_bytes, self.run_offsets = 4 * self.packed.steps, [0]
        self.widened = self.b.scratch(self.packed.tile.m * self.pixel_bytes)

    def widen(self, x: SSAValue, m: int) -> None:
        """The windows of m pixels, the first at address `x`."""
        b, length = self.b, self.run_length
        size = next(size for size in (WIDENED, 8, 4) if size <= max(4, length))
        # The last piece of a run ends with it, and repeats what the one before has. It is stored
        # first: what is loaded soon after by two should have been stored by one, as a store cannot
        # pass on what others share with it.
        for k in reversed(range(0, length, size)):
            piece = max(0, min(k, length - size))
            for i in range(m):
                for run, offset in enumerate(self.source_offsets):
                    place = i * self.source_bytes + offset + piece
                    codes = b.load_part(x, place, vector_of(i8, size), length)
                    start = i * self.pixel_bytes + 2 * (run * length + piece)
                    b.store(b.convert("zext", codes, i16), self.widened, start)

    def _unroll(self, steps: int, m: int, n: int) -> int:
        return _unrolled(steps, m * n)

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        # Else LLVM adds products to one another first, and runs out of registers.
        return self.b.pin(self.b.emit(Dot2Op(total, a, w)))
