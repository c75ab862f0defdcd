"""The inner loops of the contraction microkernel on targets without VNNI: chains of steps.

    for each form (contractions/forms.py): for each chain of it:
      w[k][n] = load; for m: a[k] = broadcast(step k of x[m]); sum[m][n] += chain of a[k] · w[k][n]

Where a step finds its inputs is told by an entry of its own: windows (contractions/windows.py) read
their place from a table, so that the order of steps is free; gathered inputs (gathered.py) lie in
the order of the steps.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.cost import is_crowded, kept_vectors
from ...contractions.forms import FORMS, HAS_OFFSET, Form, StepOrder, chain_offsets
from ...contractions.packing import alike_panels, counts_of, steps_of_blocks
from ...contractions.tile import LINE
from ...dialects.loop import DotChainOp
from ...dialects.tensors import Array
from ..builder import Index, i16
from .accumulate import Accumulator, Panel, Work
from .common import Parameters, padded_size

#: A row of a panel's table: the number of chains of each form, where the constants that chains with
#: an offset start from begin, how many steps the panels before have, and where its list begins.
_STARTS, _FIRST_STEP, LIST = range(len(FORMS), len(FORMS) + 3)
_COLUMNS = len(FORMS) + 3
#: How far ahead of what is read once, in bytes: 1 to 2 KiB do 20 GB/s from memory on Zen 3, more or
#: none 18.
_STREAM_AHEAD = 2048
#: Chains of fewer sums than this are unrolled: the loop's own instructions would take as long.
_FEW_SUMS = 4


def _first_steps(orders: Sequence[StepOrder]) -> Array:
    """How many steps the panels before each have."""
    steps = np.array([order.executed for order in orders])
    return np.asarray(np.cumsum(steps) - steps)


class OrderedAccumulator(Accumulator):
    """Chains of steps, whose inputs a subclass finds.

    Its tables are as long as the weights at hand want them: nothing lies behind them, and what
    differs between layers of one shape is read from them, so that such layers share one kernel."""

    #: Bytes of a step's entry: its inputs, or where they are.
    entry_bytes: int

    def prepare(self, tables: Parameters) -> None:
        orders = self.packed.orders
        assert orders is not None
        lists, begins = self.lists(orders)
        # The last block may have fewer channels, but it is the last.
        chains = np.concatenate(
            [
                chain_offsets(panel, counts_of(alike)).reshape(-1)
                for panel, alike in alike_panels(self.c, self.packed)
            ]
        )
        counts, step_bytes = counts_of(orders), 4 * self.packed.tile.n * self.lanes
        first_chains = np.cumsum([0, *(counts @ HAS_OFFSET)[:-1]])
        columns = [counts, first_chains * step_bytes, _first_steps(orders), begins]
        table = np.column_stack(columns).astype(np.int32)
        table[:, LIST] += tables.size + padded_size(table)
        table[:, _STARTS] += tables.size + padded_size(table) + padded_size(lists)
        # Of different owners, so that none is found to be there already.
        self.table, _ = tables.add(table, owner="table"), tables.add(lists, owner="lists")
        tables.add(chains, owner="chains")
        #: Forms that no block has chains of.
        self.unused = [not any(column) for column in counts.T]

    @abstractmethod
    def lists(self, orders: Sequence[StepOrder]) -> tuple[Array, Array]:
        """What tells where steps find their inputs, and where in it each panel's begin, in
        bytes."""

    @abstractmethod
    def first_entry(self, work: Work) -> SSAValue:
        """The address of what the block's first step reads to find its inputs."""

    @abstractmethod
    def source(self, entries: SSAValue, place: Index, work: Work) -> SSAValue:
        """The address of a step's inputs of the first pixel, by its entry."""

    def open_panel(self, number: Index) -> Panel:
        used = [i for i, unused in enumerate(self.unused) if not unused]
        if any(FORMS[i].offset for i in used):
            used.append(_STARTS)
        return Panel(number, {i: self._entry(number, i) for i in (*used, _FIRST_STEP, LIST)})

    def _entry(self, panel: Index, column: int) -> SSAValue:
        """Of the panel's row of the table."""
        b = self.b
        entry = b.add(b.mul(panel, 4 * _COLUMNS), self.table + 4 * column)
        return b.to_index(b.load(self.table_base, entry, i32))

    def panel_start(self, panel: Panel, stride: int) -> Index:
        return self.b.mul(panel.entries[_FIRST_STEP], stride)

    def steps(self, panel: Panel) -> Index:
        """Of all chains of a panel."""
        total: Index = 0
        for number, form in enumerate(FORMS):
            if not self.unused[number]:
                total = self.b.add(total, self.b.mul(panel.entries[number], form.chain))
        return total

    def run(self, work: Work, sums: list[SSAValue]) -> list[SSAValue]:
        b, step_bytes, panel = self.b, work.stride, work.panel
        # Addresses of what the next chain reads: entries, weights, starts.
        entries = self.first_entry(work)
        starts = self._starts(work)
        for number, form in enumerate(FORMS):
            if self.unused[number]:
                continue
            count = panel.entries[number]
            sums = self._chains(form, count, entries, starts, work, sums)
            steps = b.mul(count, form.chain)
            entries = b.address(entries, b.mul(steps, self.entry_bytes))
            work = replace(work, w=b.address(work.w, b.mul(steps, step_bytes)))
            if work.ahead is not None:
                ahead = b.address(work.ahead.address, b.mul(steps, work.ahead.bytes))
                work = replace(work, ahead=replace(work.ahead, address=ahead))
            if form.offset:
                starts = b.address(starts, b.mul(count, step_bytes))
        return sums

    def _starts(self, work: Work) -> SSAValue:
        """Where the block's chains with an offset find what they start from."""
        if _STARTS not in work.panel.entries:
            return self.table_base
        return self.b.address(self.table_base, self.b.add(work.panel.entries[_STARTS], work.within))

    def _chains(
        self,
        form: Form,
        count: Index,
        entries: SSAValue,
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
                    inner = self._chain(form, chain, entries, starts, work, inner)
                chains.next = inner
            sums = list(chains.results)
        return sums

    def _chain(
        self,
        form: Form,
        chain: Index,
        entries: SSAValue,
        starts: SSAValue,
        work: Work,
        sums: list[SSAValue],
    ) -> list[SSAValue]:
        """One chain of every sum."""
        b, n = self.b, work.n
        step_bytes = work.stride
        first = b.mul(chain, form.chain)
        entry, w_chain = b.mul(first, self.entry_bytes), b.address(work.w, b.mul(first, step_bytes))
        places = [b.add(entry, self.entry_bytes * i) for i in range(form.chain)]
        sources = [self.source(entries, place, work) for place in places]
        kept = kept_vectors(form, work.m, n, self.target)
        in_registers = self._vectors(w_chain, range(kept), form, step_bytes)
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
            start = b.address(starts, b.mul(chain, step_bytes))
            offsets = [self.weight(start, 0, j) for j in range(n)]
        crowded, result = is_crowded(form, work.m, n, self.target), []
        for i in range(work.m):
            a = [self.inputs(source, 0, i) for source in sources]
            # Without `renew`, LLVM reads them once for all pixels, and keeps them on the stack.
            again = b.renew(w_chain) if kept < n else w_chain
            operands = self._vectors(again, range(kept, n), form, step_bytes)
            for j, weights in enumerate(in_registers + operands):
                total = b.emit(DotChainOp(sums[i * n + j], a, weights, offset=offsets[j]))
                result.append(b.pin(total) if crowded else total)
        return result

    def _vectors(
        self, w_chain: SSAValue, vectors: range, form: Form, step_bytes: int
    ) -> list[list[SSAValue]]:
        """The weights of a chain's steps, of some of its vectors of sums."""
        return [
            [self.weight(w_chain, step * step_bytes, j) for step in range(form.chain)]
            for j in vectors
        ]


class WindowsAccumulator(OrderedAccumulator):
    """Steps read windows of the inputs as they are, at an offset from the tile's own."""

    def lists(self, orders: Sequence[StepOrder]) -> tuple[Array, Array]:
        run = 4 * self.packed.steps
        # Mostly 16 bits suffice, which saves 6 % of the weights.
        fits = min(self.run_offsets) >= 0 and max(self.run_offsets) + run < 1 << 16
        self.jump_kind, self.entry_bytes = (i16, 2) if fits else (i32, 4)
        _, starts = steps_of_blocks(orders)
        jumps = np.asarray(self.run_offsets)[starts // run] + starts % run
        begins = _first_steps(orders) * self.entry_bytes
        return jumps.astype(np.uint16 if fits else np.int32), begins

    def first_entry(self, work: Work) -> SSAValue:
        return self.b.address(self.table_base, work.panel.entries[LIST])

    def source(self, entries: SSAValue, place: Index, work: Work) -> SSAValue:
        jump = self.b.load(entries, place, self.jump_kind)
        if self.jump_kind == i16:
            jump = self.b.convert("zext", jump, i32)
        return self.b.address(work.x, self.b.to_index(jump))
