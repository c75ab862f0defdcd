"""Builds kernels of the loop dialect: index expressions that fold, and loops as context managers.

An `Index` is an SSA value or a Python int; arithmetic on two ints stays an int, so generators write
`b.add(b.mul(y, row_stride), x)` whether y is a loop variable or known now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from xdsl.dialects import arith, math, scf, vector
from xdsl.dialects.arith import CMPF_COMPARISON_OPERATIONS
from xdsl.dialects.builtin import (
    DenseArrayBase,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
    VectorType,
    f32,
    i1,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ..dialects import loop
from ..dialects.loop import lanes_of, vector_of

Index: TypeAlias = SSAValue | int
index_type = IndexType()
i8 = IntegerType(8)
i16 = IntegerType(16)


@dataclass
class Loop:
    """The inside of a loop: its variable, the carried values, and (after it) the results."""

    variable: SSAValue
    carried: Sequence[SSAValue]
    next: Sequence[SSAValue] | None = None
    results: Sequence[SSAValue] = field(default_factory=tuple)


@dataclass(frozen=True)
class Units:
    """One visit of the innermost of nested loops: the numbers in those around it, of which of its
    own numbers the call's units are, [`low`, `high`), and whether it is the call's first visit."""

    places: Sequence[Index]
    low: Index
    high: Index
    is_first: SSAValue


@cache
def _integer(value: int, kind: IntegerType | IndexType) -> IntegerAttr[Any]:
    return IntegerAttr(value, kind)


@cache
def _lanes(mask: tuple[int, ...]) -> DenseArrayBase[Any]:
    return DenseArrayBase.from_list(i64, list(mask))


def _content(attribute: Attribute) -> object:
    """Something that hashes fast and is equal for equal attributes."""
    if isinstance(attribute, IntegerAttr):
        return attribute.value.data, _content(attribute.type)
    if isinstance(attribute, StringAttr):
        return attribute.data
    if isinstance(attribute, DenseArrayBase):
        return attribute.data.data
    if isinstance(attribute, VectorType):
        return "vector", attribute.get_shape(), _content(attribute.get_element_type())
    if isinstance(attribute, IntegerType):
        return attribute.width.data
    return attribute


class KernelBuilder:
    """One kernel: `buffers` (base addresses) and the unit range [`begin`, `end`)."""

    def __init__(self, name: str, buffer_count: int):
        types = [loop.buffer] * buffer_count + [index_type, index_type]
        self.func = FuncOp(name, (types, []))
        self._entry = self._block = self.func.body.block
        *self.buffers, self.begin, self.end = self._entry.args
        self._constants: dict[tuple[float | str, object], SSAValue] = {}
        self._last_constant: Operation | None = None
        self._numbers = {id(value): i for i, value in enumerate(self._entry.args)}
        self._contents: dict[int, tuple[Attribute, object]] = {}
        self._trace: list[tuple[object, ...]] = []

    def finish(self) -> FuncOp:
        self.emit(ReturnOp())
        return self.func

    @property
    def fingerprint(self) -> tuple[tuple[object, ...], ...]:
        """Equal for two kernels exactly if their code is (much cheaper than printing both)."""
        return tuple(self._trace)

    def emit(self, op: Operation) -> SSAValue:
        self._block.add_op(op)
        self._record(op)
        return op.results[0] if op.results else self.begin

    def _record(self, op: Operation) -> None:
        properties = tuple(map(self._content, op.properties.values()))
        types = tuple(self._content(result.type) for result in op.results)
        self._trace.append((op.name, self._numbers_of(op.operands), properties, types))
        self._number(op.results)

    def _content(self, attribute: Attribute) -> object:
        """`_content`, worked out once per object (which is kept, so that its id stays its own)."""
        known = self._contents.get(id(attribute))
        if known is None:
            known = self._contents[id(attribute)] = attribute, _content(attribute)
        return known[1]

    def _number(self, values: Iterable[SSAValue]) -> None:
        for value in values:
            self._numbers[id(value)] = len(self._numbers)

    def _numbers_of(self, values: Iterable[SSAValue]) -> tuple[int, ...]:
        return tuple(self._numbers[id(value)] for value in values)

    def _mark(self, *what: object) -> None:
        self._trace.append(what)

    def op(
        self,
        kind: type[Operation],
        operands: Sequence[SSAValue],
        result_type: Attribute,
        properties: Mapping[str, Attribute] = loop.NO_PROPERTIES,
    ) -> SSAValue:
        """Emits an op of another dialect."""
        return self.emit(loop.create(kind, operands, result_type, properties))

    # --- constants --------------------------------------------------------------------------------

    def _constant(self, value: float, kind: Attribute) -> SSAValue:
        # 0.0 and -0.0 are equal, and are two constants; types may be equal, and two objects.
        key = (str(float(value)) if kind == f32 else value, self._content(kind))
        if key not in self._constants:
            if isinstance(kind, IntegerType | IndexType):
                attribute: Attribute = _integer(int(value), kind)
            else:
                attribute = FloatAttr(value, f32)
            op = loop.create(arith.ConstantOp, (), kind, {"value": attribute})
            # Constants stand at the top of the entry block, where every loop sees them.
            if self._last_constant is None:
                if self._entry.first_op is None:
                    self._entry.add_op(op)
                else:
                    self._entry.insert_op_before(op, self._entry.first_op)
            else:
                self._entry.insert_op_after(op, self._last_constant)
            self._last_constant = op
            self._constants[key] = op.results[0]
            self._record(op)
        return self._constants[key]

    def index(self, value: Index) -> SSAValue:
        return self._constant(value, index_type) if isinstance(value, int) else value

    def constant(self, value: float, element: Attribute, lanes: int = 1) -> SSAValue:
        """A scalar constant, or a vector with it in every lane."""
        scalar = self._constant(value, element)
        return scalar if lanes == 1 else self.splat(scalar, lanes)

    # --- index arithmetic -------------------------------------------------------------------------

    def add(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0:
            return b
        if b == 0:
            return a
        return self.binary(arith.AddiOp, self.index(a), self.index(b))

    def sub(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if b == 0 else self.binary(arith.SubiOp, self.index(a), self.index(b))

    def mul(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1:
            return b
        if b == 1:
            return a
        return self.binary(arith.MuliOp, self.index(a), self.index(b))

    def div(self, a: Index, b: int) -> Index:
        """Quotient of non-negative indices."""
        if isinstance(a, int):
            return a // b
        return a if b == 1 else self.binary(arith.DivUIOp, a, self.index(b))

    def rem(self, a: Index, b: int) -> Index:
        if isinstance(a, int):
            return a % b
        return 0 if b == 1 else self.binary(arith.RemUIOp, a, self.index(b))

    def minimum(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.binary(arith.MinSIOp, self.index(a), self.index(b))

    def maximum(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.binary(arith.MaxSIOp, self.index(a), self.index(b))

    def clamp(self, a: Index, low: Index, high: Index) -> Index:
        return self.minimum(self.maximum(a, low), high)

    def to_index(self, value: SSAValue) -> SSAValue:
        """An i32 scalar, sign-extended."""
        return self.op(arith.IndexCastOp, [value], index_type)

    def from_index(self, value: Index) -> SSAValue:
        """An index as i32."""
        return self.op(arith.IndexCastOp, [self.index(value)], i32)

    # --- control flow -----------------------------------------------------------------------------

    @contextmanager
    def loop(
        self,
        low: Index,
        high: Index,
        step: int = 1,
        carried: Sequence[SSAValue] = (),
        parallel: bool = False,
    ) -> Iterator[Loop]:
        """`for i in range(low, high, step)`; set `.next` inside, read `.results` after."""
        body = Block(arg_types=[index_type, *(v.type for v in carried)])
        inside = Loop(body.args[0], body.args[1:])
        bounds = (self.index(low), self.index(high), self.index(step))
        self._mark("for", parallel, *self._numbers_of((*bounds, *carried)))
        self._number(body.args)
        outer, self._block = self._block, body
        yield inside
        following = list(inside.next or ())
        assert len(following) == len(carried)
        body.add_op(scf.YieldOp(*following))
        self._mark("next", *self._numbers_of(following))
        self._block = outer
        op = scf.ForOp(*bounds, list(carried), Region(body))
        self._number(op.results)
        if parallel:
            op.attributes["parallel"] = UnitAttr()
        outer.add_op(op)
        inside.results = op.results

    @contextmanager
    def unit_loop(self) -> Iterator[SSAValue]:
        """The parallel loop over this call's units."""
        with self.loop(self.begin, self.end, parallel=True) as units:
            yield units.variable

    @contextmanager
    def nested_unit_loop(self, *sizes: int) -> Iterator[Units]:
        """The same, for units that are numbered as nested loops of these sizes would visit them:
        a loop over visits of the innermost one, which belongs inside. Divides once, and counts
        from there on."""
        *outer, inner = sizes
        first, end = self.div(self.begin, inner), self.div(self.add(self.end, inner - 1), inner)
        rest, start = first, list[Index]()
        for size in reversed(outer):
            start.append(self.rem(rest, size))
            rest = self.div(rest, size)
        start.reverse()
        counted = [i for i, size in enumerate(outer) if size > 1]
        carried = [self.index(start[i]) for i in counted]
        with self.loop(first, end, carried=carried, parallel=True) as visits:
            places: list[Index] = [0] * len(outer)
            for i, place in zip(counted, visits.carried, strict=True):
                places[i] = place
            before = self.mul(visits.variable, inner)
            low = self.sub(self.maximum(self.begin, before), before)
            high = self.minimum(self.sub(self.end, before), inner)
            yield Units(places, low, high, self.compare("eq", visits.variable, first))
            following, carry = list[SSAValue](), None
            for i, place in reversed([*zip(counted, visits.carried, strict=True)]):
                one_more = self.index(self.add(place, 1))
                if carry is not None:
                    one_more = self.select(carry, one_more, place)
                is_past = self.compare("eq", one_more, outer[i])
                following.append(self.select(is_past, self.index(0), one_more))
                carry = is_past
            visits.next = following[::-1]

    @contextmanager
    def branch(self, condition: SSAValue) -> Iterator[list[Block]]:
        """`if condition:`; the else block follows by `with b.otherwise(blocks)`."""
        then, other = Block(), Block()
        self._mark("if", *self._numbers_of([condition]))
        outer, self._block = self._block, then
        blocks = [other]
        yield blocks
        self._mark("end")
        then.add_op(scf.YieldOp())
        self._block = outer
        op = scf.IfOp(condition, [], Region(then), Region(other))
        outer.add_op(op)
        other.add_op(scf.YieldOp())

    @contextmanager
    def otherwise(self, blocks: list[Block]) -> Iterator[None]:
        """The else block of a finished `branch`."""
        outer, self._block = self._block, blocks[0]
        terminator = blocks[0].last_op
        assert terminator is not None
        blocks[0].detach_op(terminator)
        self._mark("else")
        yield
        self._mark("end")
        blocks[0].add_op(terminator)
        self._block = outer

    def compare(self, predicate: str, a: Index, b: Index) -> SSAValue:
        return self.emit(arith.CmpiOp(self.index(a), self.index(b), predicate))

    # --- memory -----------------------------------------------------------------------------------

    def address(self, base: SSAValue, offset: Index) -> SSAValue:
        if offset == 0:
            return base
        return self.emit(loop.AddressOp(base, self.index(offset)))

    def scratch(self, size: int) -> SSAValue:
        """Memory of this call's own; ask for it outside all loops."""
        assert self._block is self._entry
        return self.emit(loop.ScratchOp(size))

    def load(self, base: SSAValue, offset: Index, kind: Attribute, align: int = 1) -> SSAValue:
        return self.emit(loop.LoadOp(base, self.index(offset), kind, align))

    def load_part(
        self, base: SSAValue, offset: Index, kind: VectorType[Any], count: int
    ) -> SSAValue:
        if count >= kind.get_shape()[0]:
            return self.load(base, offset, kind)
        return self.emit(loop.LoadPartOp(base, self.index(offset), count, kind))

    def store(
        self, value: SSAValue, base: SSAValue, offset: Index, count: int | None = None
    ) -> None:
        """Stores all lanes, or the first `count`."""
        if count is None or count >= lanes_of(value):
            self.emit(loop.StoreOp(value, base, self.index(offset)))
        else:
            self.emit(loop.StorePartOp(value, base, self.index(offset), count))

    def prefetch(self, base: SSAValue, offset: Index) -> None:
        self.emit(loop.PrefetchOp(base, self.index(offset)))

    def renew(self, base: SSAValue) -> SSAValue:
        return self.emit(loop.RenewOp(base))

    def pin(self, value: SSAValue) -> SSAValue:
        return self.emit(loop.PinOp(value))

    # --- vectors ----------------------------------------------------------------------------------

    def splat(self, scalar: SSAValue, lanes: int) -> SSAValue:
        return self.op(vector.BroadcastOp, [scalar], vector_of(scalar.type, lanes))

    def convert(self, kind: str, value: SSAValue, element: Attribute) -> SSAValue:
        return self.emit(loop.ConvertOp(kind, value, element))

    def narrow(
        self, values: Sequence[SSAValue], signed: bool, zero_point: SSAValue | None = None
    ) -> SSAValue:
        """Codes in i32 lanes, or anything that saturates to them, as bytes. An i16 zero point, if
        there is one, is added first."""
        return self.emit(loop.NarrowOp(values, signed, zero_point))

    def bitcast(self, value: SSAValue, element: Attribute, lanes: int) -> SSAValue:
        if value.type == (kind := vector_of(element, lanes)):
            return value
        return self.op(vector.BitcastOp, [value], kind)

    def shuffle(self, a: SSAValue, b: SSAValue, mask: Sequence[int]) -> SSAValue:
        result = vector_of(loop.element_of(a), len(mask))
        return self.op(vector.ShuffleOp, [a, b], result, {"mask": _lanes(tuple(mask))})

    def joined(self, vectors: Sequence[SSAValue]) -> SSAValue:
        """The lanes of all, in one vector; their number is a power of two."""
        while len(vectors) > 1:
            mask = range(2 * lanes_of(vectors[0]))
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.shuffle(a, b, mask) for a, b in pairs]
        return vectors[0]

    def extract(self, value: SSAValue, lane: int) -> SSAValue:
        element = loop.element_of(value)
        return self.emit(vector.ExtractOp(value, [lane], element))

    def select(self, condition: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.emit(loop.SelectOp(condition, a, b))

    def any(self, truths: SSAValue) -> SSAValue:
        """Whether a lane's truth value is true."""
        return self.emit(loop.AnyOp(truths))

    def fma(self, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
        return self.op(math.FmaOp, [a, b, c], a.type)

    def binary(self, kind: type[Operation], a: SSAValue, b: SSAValue) -> SSAValue:
        """An op on two values of one type, which is also the result's."""
        return self.op(kind, [a, b], a.type)

    def compare_floats(self, predicate: str, a: SSAValue, b: SSAValue) -> SSAValue:
        """Truth values per lane, which xDSL types as one i1; `predicate` as arith.cmpf names it."""
        number = _integer(CMPF_COMPARISON_OPERATIONS.index(predicate), i64)
        return self.op(arith.CmpfOp, [a, b], i1, {"predicate": number})
