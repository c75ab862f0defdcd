"""The inner loops of the contraction microkernel: m pixels × n vectors of sums over a block.

Natural order (VNNI, fp32): runs, and within a run contiguous steps.

    for run: for step: w[n] = load; for m: a = broadcast(x[m]); sum[m][n] += a · w[n]

With few tiles to a group of blocks (gemm.py), the first of them would wait for its weights: each
tile prefetches its share of the next group's, a little with every step. (All of it in front of the
first step would keep the tile's own weights waiting: a core waits for a few dozen lines at a time.)

Ordered steps (no VNNI): one loop per form of dot product (contractions/forms.py); a table gives the
input offset of every step, so the order is free.

Halves (no VNNI, contractions/halves.py): one run of codes that were widened to 16 bits before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...contractions.cost import is_crowded
from ...contractions.forms import FORMS, HAS_OFFSET, OFFSET_UNIT, Form, chain_offsets
from ...contractions.geometry import Contraction, Runs
from ...contractions.halves import WIDENED
from ...contractions.packing import PackedGemm, alike_panels, counts_of, steps_of_blocks
from ...contractions.tile import LINE
from ...dialects.loop import Dot2Op, Dot4Op, DotChainOp, vector_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import Parameters, TensorBuffer, padded_size

#: Sums to add to in turn, so that none is waited for: two a cycle, each ready after four or five.
_ENOUGH_SUMS = 10
#: A row of a panel's table: the number of chains of each form, where the constants that chains with
#: an offset start from begin, and how many steps the panels before have.
_STARTS, _FIRST_STEP, _COLUMNS = len(FORMS), len(FORMS) + 1, len(FORMS) + 2
#: How far ahead of what is read once, in bytes: 1 to 2 KiB do 20 GB/s from memory on Zen 3, more or
#: none 18.
_STREAM_AHEAD = 2048
#: Chains of fewer sums than this are unrolled: the loop's own instructions would take as long.
_FEW_SUMS = 4


@dataclass(frozen=True)
class Ahead:
    """What to prefetch while a tile computes: `bytes` a step, from `address` on."""

    address: SSAValue
    bytes: int


@dataclass(frozen=True)
class Work:
    """`m` pixels × `n` vectors of a block in panel number `panel`: the address of the first pixel's
    window, that of the block's weights, and what to prefetch meanwhile.

    `stride`: bytes of a step in the panel; `within`: where among them the block's begin."""

    x: SSAValue
    w: SSAValue
    panel: Index
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

    def panel_start(self, panel: Index, stride: int) -> Index:
        """Where a panel begins among the weights, of which a step has `stride` bytes."""
        return self.b.mul(panel, self.packed.natural_steps * stride)

    @abstractmethod
    def run(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        """The sums [m·n], pixel by pixel, after all steps of the block."""

    def weights(self, w: SSAValue, offset: int, n: int) -> list[SSAValue]:
        size = self.lanes * 4
        return [self.b.load(w, offset + j * size, self.kind, align=size) for j in range(n)]

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
        weights, result = self.weights(w, w_offset, n), []
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
        # The last piece of a run ends with it, and repeats what the one before has.
        pieces = [max(0, min(k, length - size)) for k in range(0, length, size)]
        for i in range(m):
            for run, offset in enumerate(self.source_offsets):
                start = i * self.pixel_bytes + 2 * run * length
                for k in pieces:
                    place = i * self.source_bytes + offset + k
                    codes = b.load_part(x, place, vector_of(i8, size), length)
                    b.store(b.convert("zext", codes, i16), self.widened, start + 2 * k)

    def _unroll(self, steps: int, m: int, n: int) -> int:
        return _unrolled(steps, m * n)

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        # Else LLVM adds products to one another first, and runs out of registers.
        return self.b.pin(self.b.emit(Dot2Op(total, a, w)))


class OrderedAccumulator(Accumulator):
    """Its tables are as long as the weights at hand want them: nothing lies behind them, and what
    differs between layers of one shape is read from them, so that such layers share one kernel."""

    def prepare(self, tables: Parameters) -> None:
        orders = self.packed.orders
        assert orders is not None
        run = 4 * self.packed.steps
        # Mostly 16 bits suffice, which saves 6 % of the weights.
        fits = min(self.run_offsets) >= 0 and max(self.run_offsets) + run < 1 << 16
        self.jump_kind, self.jump_bytes = (i16, 2) if fits else (i32, 4)
        _, starts = steps_of_blocks(orders)
        jumps = np.asarray(self.run_offsets)[starts // run] + starts % run
        jumps = jumps.astype(np.uint16 if fits else np.int32)
        # The last block may have fewer channels, but it is the last.
        chains = np.concatenate(
            [
                chain_offsets(panel, counts_of(alike)).reshape(-1)
                for panel, alike in alike_panels(self.c, self.packed)
            ]
        )
        counts, lanes = counts_of(orders), 2 * self.packed.tile.n * self.lanes
        first_chains = np.cumsum([0, *(counts @ HAS_OFFSET)[:-1]])
        first_steps = np.cumsum([0, *[order.executed for order in orders][:-1]])
        table = np.column_stack([counts, first_chains * lanes, first_steps]).astype(np.int32)
        table[:, _STARTS] += padded_size(table) + padded_size(jumps)
        self.table, self.jumps = tables.add(table), tables.add(jumps)
        tables.add(chains)
        #: Forms that no block has chains of.
        self.unused = [not any(column) for column in counts.T]

    def _first_step(self, panel: Index) -> Index:
        """How many steps the panels before this one have."""
        return self._entry(panel, _FIRST_STEP)

    def panel_start(self, panel: Index, stride: int) -> Index:
        return self.b.mul(self._first_step(panel), stride)

    def run(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        b, step_bytes, panel = self.b, work.stride, work.panel
        # Addresses of what the next chain reads: step offsets, weights, starts.
        jumps = b.add(b.mul(self._first_step(panel), self.jump_bytes), self.jumps)
        jumps = b.address(self.table_base, jumps)
        starts = self._starts(work)
        for number, form in enumerate(FORMS):
            if self.unused[number]:
                continue
            count = self._entry(panel, number)
            sums = self._chains(form, count, jumps, starts, work, sums)
            steps = b.mul(count, form.chain)
            jumps = b.address(jumps, b.mul(steps, self.jump_bytes))
            work = replace(work, w=b.address(work.w, b.mul(steps, step_bytes)))
            if work.ahead is not None:
                ahead = b.address(work.ahead.address, b.mul(steps, work.ahead.bytes))
                work = replace(work, ahead=replace(work.ahead, address=ahead))
            if form.offset:
                starts = b.address(starts, b.mul(count, step_bytes // 2))
        return sums

    def _starts(self, work: Work) -> SSAValue:
        """Where the block's chains with an offset find what they start from."""
        if all(unused for unused, form in zip(self.unused, FORMS, strict=True) if form.offset):
            return self.table_base
        place = self.b.add(self._entry(work.panel, _STARTS), self.b.div(work.within, 2))
        return self.b.address(self.table_base, place)

    def _entry(self, panel: Index, column: int) -> Index:
        """Of the panel's row of the table."""
        b = self.b
        entry = b.add(b.mul(panel, 4 * _COLUMNS), self.table + 4 * column)
        return b.to_index(b.load(self.table_base, entry, i32))

    def _jump(self, table: SSAValue, place: Index) -> SSAValue:
        """Where a step's inputs are, as bytes from the window's first."""
        jump = self.b.load(table, place, self.jump_kind)
        if self.jump_kind == i16:
            jump = self.b.convert("zext", jump, i32)
        return self.b.to_index(jump)

    def _chains(
        self,
        form: Form,
        count: Index,
        jumps: SSAValue,
        starts: SSAValue,
        work: Work,
        sums: list[SSAValue],
    ) -> list[SSAValue]:
        """All chains of one form."""
        b, dots = self.b, work.m * work.n
        unroll = 1 if dots >= _FEW_SUMS else 4 // dots
        whole = b.sub(count, b.rem(count, unroll)) if unroll > 1 else 0
        for first, last, step in ((0, whole, unroll), (whole, count, 1)):
            if first == last:
                continue
            with b.loop(first, last, step, carried=sums) as chains:
                inner = list(chains.carried)
                for i in range(step):
                    chain = b.add(chains.variable, i)
                    inner = self._chain(form, chain, jumps, starts, work, inner)
                chains.next = inner
            sums = list(chains.results)
        return sums

    def _chain(
        self,
        form: Form,
        chain: Index,
        jumps: SSAValue,
        starts: SSAValue,
        work: Work,
        sums: list[SSAValue],
    ) -> list[SSAValue]:
        """One chain of every sum."""
        b, n = self.b, work.n
        step_bytes = work.stride
        first = b.mul(chain, form.chain)
        entry, w_chain = b.mul(first, self.jump_bytes), b.address(work.w, b.mul(first, step_bytes))
        sources = []
        for i in range(form.chain):
            jump = self._jump(jumps, b.add(entry, self.jump_bytes * i))
            sources.append(b.address(work.x, jump))
        weights = [self.weights(w_chain, i * step_bytes, n) for i in range(form.chain)]
        if work.m == 1:
            # Weights are read once, from memory. Prefetchers of the CPU stop at the end of a page.
            for offset in range(0, form.chain * step_bytes, LINE):
                b.prefetch(w_chain, offset + _STREAM_AHEAD)
        if work.ahead is not None:
            line = b.address(work.ahead.address, b.mul(first, work.ahead.bytes))
            for offset in range(0, form.chain * work.ahead.bytes, LINE):
                b.prefetch(line, offset)
        offsets: list[SSAValue | None] = [None] * n
        if form.offset:
            start = b.address(starts, b.mul(chain, step_bytes // 2))
            offsets = [self._offset(start, j) for j in range(n)]
        crowded, result = is_crowded(form, work.m, n, self.target), []
        for i in range(work.m):
            a = [self.inputs(source, 0, i) for source in sources]
            for j in range(n):
                own = [v[j] for v in weights]
                total = b.emit(DotChainOp(sums[i * n + j], a, own, offset=offsets[j]))
                result.append(b.pin(total) if crowded else total)
        return result

    def _offset(self, start: SSAValue, j: int) -> SSAValue:
        """The halves that vector `j` of a chain's sums starts from, which are bytes in memory."""
        b, lanes = self.b, 2 * self.lanes
        units = b.convert("sext", b.load(start, j * lanes, vector_of(i8, lanes)), i16)
        shift = b.constant(OFFSET_UNIT.bit_length() - 1, i16, lanes)
        return b.bitcast(b.binary(arith.ShLIOp, units, shift), i32, self.lanes)
