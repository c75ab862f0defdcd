"""The loop dialect: kernels as loop nests over byte buffers, with vectors in registers.

A kernel is a `func.func` whose arguments are `!loop.buffer`s (base addresses) and, last, the range
[begin, end) of its parallel units. Loops, index and vector arithmetic are `scf`, `arith`, `math`
and `vector`; this dialect adds what they cannot say:

- typed loads and stores at *byte* offsets, because one arena holds tensors of many types
  (`memref` fixes one element type per buffer);
- `dot4`, `dot2`: the abstract multiply-accumulate that the `isa` level turns into instruction rows;
- lane-wise conversions and selects on vectors (xDSL's `arith` casts and `arith.select` are scalar).

Vector lengths are semantic, not physical: a `vector<16xf32>` is one zmm, two ymm or four xmm.

    %a = loop.load %x[%o] : i32                       // 4 codes
    %v = vector.broadcast %a : i32 to vector<16xi32>
    %d = loop.dot4 %acc, %v, %w : vector<16xi32>      // u8 × s8
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DictionaryAttr,
    IndexType,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    VectorType,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.ir import (
    Attribute,
    Dialect,
    Operation,
    ParametrizedAttribute,
    SSAValue,
    TypeAttribute,
)
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    BaseAttr,
    IRDLOperation,
    ParsePropInAttrDict,
    VarConstraint,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, Pure
from xdsl.utils.exceptions import VerifyException


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """The address of a byte buffer."""

    name = "loop.buffer"


buffer = BufferType()
NO_PROPERTIES: Mapping[str, Attribute] = {}


@cache
def vector_of(element: Attribute, lanes: int) -> VectorType[Any]:
    return VectorType(cast(Any, element), [lanes])


def lanes_of(value: SSAValue) -> int:
    """Number of lanes; 1 for a scalar."""
    return value.type.get_shape()[0] if isinstance(value.type, VectorType) else 1


def element_of(value: SSAValue) -> Attribute:
    return value.type.get_element_type() if isinstance(value.type, VectorType) else value.type


@cache
def _i64(value: int) -> IntegerAttr[Any]:
    return IntegerAttr(value, i64)


@cache
def _sizes(*counts: int) -> DenseArrayBase[Any]:
    return DenseArrayBase.from_list(i32, list(counts))


_string = cache(StringAttr)
_UNIT = UnitAttr()


def create(
    kind: type[Operation],
    operands: Sequence[SSAValue],
    result_type: Attribute,
    properties: Mapping[str, Attribute] = NO_PROPERTIES,
) -> Operation:
    """An op of another dialect, as its own constructor would build it.

    Kernels have many thousands of ops, and IRDL's constructors take four times as long; what they
    check is checked again by verify()."""
    return kind.create(
        operands=operands,
        result_types=[result_type],
        properties={**_default_properties(kind), **properties},
    )


@cache
def _default_properties(kind: type[Operation]) -> Mapping[str, Attribute]:
    assert issubclass(kind, IRDLOperation)
    definitions = kind.get_irdl_definition().properties.items()
    return {n: d.default_value for n, d in definitions if d.default_value is not None}


class _PlainOp(IRDLOperation, ABC):
    def __init__(
        self,
        operands: Sequence[SSAValue] = (),
        properties: Mapping[str, Attribute] = NO_PROPERTIES,
        result_types: Sequence[Attribute] = (),
    ):
        # Past IRDL's constructor, as in `create`.
        Operation.__init__(
            self, operands=operands, properties=properties, result_types=result_types
        )


class LoopOp(_PlainOp, ABC):
    irdl_options = (ParsePropInAttrDict(),)


# --- memory ---------------------------------------------------------------------------------------


@irdl_op_definition
class AddressOp(LoopOp):
    """The buffer that starts `offset` bytes into `base`."""

    name = "loop.address"
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    result = result_def(BufferType)
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = "$base `[` $offset `]` attr-dict"

    def __init__(self, base: SSAValue, offset: SSAValue):
        super().__init__(operands=[base, offset], result_types=[buffer])


@irdl_op_definition
class ScratchOp(LoopOp):
    """`size` bytes of this call's own, 64-byte aligned, with anything in them; on the stack, and at
    the kernel's top level only."""

    name = "loop.scratch"
    size = prop_def(IntegerAttr)
    result = result_def(BufferType)
    traits = traits_def(MemoryWriteEffect())  # no two are the same
    assembly_format: ClassVar[str] = "$size attr-dict"

    def __init__(self, size: int):
        super().__init__(properties={"size": _i64(size)}, result_types=[buffer])

    def verify_(self) -> None:
        if self.size.value.data < 1:
            raise VerifyException(f"scratch of {self.size.value.data} bytes")


@irdl_op_definition
class LoadOp(LoopOp):
    """A scalar or vector from `base + offset` bytes, aligned to `align` bytes (1 if absent)."""

    name = "loop.load"
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    align = opt_prop_def(IntegerAttr)
    result = result_def(AnyAttr())
    traits = traits_def(MemoryReadEffect())
    assembly_format: ClassVar[str] = "$base `[` $offset `]` attr-dict `:` type($result)"

    def __init__(self, base: SSAValue, offset: SSAValue, result_type: Attribute, align: int = 1):
        super().__init__(
            operands=[base, offset],
            properties={"align": _i64(align)} if align > 1 else {},
            result_types=[result_type],
        )


@irdl_op_definition
class StoreOp(LoopOp):
    """Writes a scalar or vector to `base + offset` bytes."""

    name = "loop.store"
    value = operand_def(AnyAttr())
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    traits = traits_def(MemoryWriteEffect())
    assembly_format: ClassVar[str] = "$value `,` $base `[` $offset `]` attr-dict `:` type($value)"

    def __init__(self, value: SSAValue, base: SSAValue, offset: SSAValue):
        super().__init__(operands=[value, base, offset])


@irdl_op_definition
class LoadPartOp(LoopOp):
    """The first `count` lanes from memory, zeros in the others; bytes past them are not touched."""

    name = "loop.load_part"
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    count = prop_def(IntegerAttr)
    result = result_def(VectorType)
    traits = traits_def(MemoryReadEffect())
    assembly_format: ClassVar[str] = "$base `[` $offset `]` attr-dict `:` type($result)"

    def __init__(self, base: SSAValue, offset: SSAValue, count: int, result_type: VectorType[Any]):
        super().__init__(
            operands=[base, offset],
            properties={"count": _i64(count)},
            result_types=[result_type],
        )


@irdl_op_definition
class StorePartOp(LoopOp):
    """Writes the first `count` lanes and nothing else."""

    name = "loop.store_part"
    value = operand_def(VectorType)
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    count = prop_def(IntegerAttr)
    traits = traits_def(MemoryWriteEffect())
    assembly_format: ClassVar[str] = "$value `,` $base `[` $offset `]` attr-dict `:` type($value)"

    def __init__(self, value: SSAValue, base: SSAValue, offset: SSAValue, count: int):
        super().__init__(operands=[value, base, offset], properties={"count": _i64(count)})


@irdl_op_definition
class PrefetchOp(LoopOp):
    """Brings the line at `base + offset` bytes into the second-level cache; reads nothing, so the
    address may lie outside the buffer."""

    name = "loop.prefetch"
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    traits = traits_def(MemoryWriteEffect())  # on the cache: the op must not vanish as unused
    assembly_format: ClassVar[str] = "$base `[` $offset `]` attr-dict"

    def __init__(self, base: SSAValue, offset: SSAValue):
        super().__init__(operands=[base, offset])


@irdl_op_definition
class RenewOp(LoopOp):
    """The same address, which LLVM takes for one that it has not seen before.

    What is read through it is read where it stands. Without that, LLVM reads constants in front of
    a loop, or keeps them from their first use, and where it has no registers for them it stores
    them on the stack, only to read them there."""

    name = "loop.renew"
    base = operand_def(BufferType)
    result = result_def(BufferType)
    # Not pure: two of them are not one, and none leaves its loop.
    traits = traits_def(MemoryWriteEffect())
    assembly_format: ClassVar[str] = "$base attr-dict"

    def __init__(self, base: SSAValue):
        super().__init__(operands=[base], result_types=[buffer])


@irdl_op_definition
class PinOp(LoopOp):
    """The same vector, of which LLVM does not see how it came about.

    Sums that are pinned are added up in the order in which they stand. Without that, LLVM adds
    products to one another first, to shorten chains of additions, and where it has no registers for
    so many products it stores them on the stack."""

    name = "loop.pin"
    T: ClassVar = VarConstraint("T", BaseAttr(VectorType))

    value = operand_def(T)
    result = result_def(T)
    traits = traits_def(MemoryWriteEffect())  # as of RenewOp
    assembly_format: ClassVar[str] = "$value attr-dict `:` type($result)"

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value], result_types=[value.type])


# --- arithmetic -----------------------------------------------------------------------------------


class _Dot(LoopOp, ABC):
    """accumulator[i] + Σ_j a[n·i + j]·b[n·i + j], wrapping in i32; a and b are seen as bytes."""

    T: ClassVar = VarConstraint("T", BaseAttr(VectorType))

    accumulator = operand_def(T)
    a = operand_def(T)
    b = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())

    def __init__(self, accumulator: SSAValue, a: SSAValue, b: SSAValue):
        super().__init__(operands=[accumulator, a, b], result_types=[accumulator.type])

    def verify_(self) -> None:
        if element_of(self.accumulator) != i32:
            raise VerifyException("operands are packed into i32 lanes")


@irdl_op_definition
class Dot4Op(_Dot):
    """Four products per i32 lane: bytes of `a` are u8, bytes of `b` are s8, or as `signs` says
    ("us", "su", "ss", "uu"). Always exact."""

    name = "loop.dot4"
    signs = opt_prop_def(StringAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format: ClassVar[str] = "$accumulator `,` $a `,` $b attr-dict `:` type($result)"

    def __init__(self, accumulator: SSAValue, a: SSAValue, b: SSAValue, signs: str = "us"):
        super().__init__(accumulator, a, b)
        if signs != "us":
            self.properties["signs"] = StringAttr(signs)

    @property
    def sign_of_each(self) -> str:
        return "us" if self.signs is None else self.signs.data

    def verify_(self) -> None:
        super().verify_()
        if self.sign_of_each not in ("us", "su", "ss", "uu"):
            raise VerifyException(f"unknown signs '{self.sign_of_each}'")


@irdl_op_definition
class DotChainOp(_PlainOp):
    """accumulator + Σ over the chain of `dot4`, with the sums of a chain made in 16 bits.

    The op states a proof (contractions/forms.py): no pair sum of products, and no 16-bit sum of
    byte pairs (0, 1) and (2, 3) over the whole chain, can leave [−32768, 32767], whatever the u8
    bytes of the `inputs` are. With `offset`, its s16 halves
    are added to the 16-bit sums (and to the result): the sums of the chain may be anywhere as long
    as they are in range with it."""

    name = "loop.dot4_chain"
    T: ClassVar = VarConstraint("T", BaseAttr(VectorType))

    accumulator = operand_def(T)
    inputs = var_operand_def(T)
    weights = var_operand_def(T)
    offset = opt_operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format: ClassVar[str] = (
        "$accumulator `,` `(` $inputs `)` `,` `(` $weights `)` (`offset` $offset^)? "
        "attr-dict `:` type($result)"
    )

    def __init__(
        self,
        accumulator: SSAValue,
        inputs: Sequence[SSAValue],
        weights: Sequence[SSAValue],
        offset: SSAValue | None = None,
    ):
        sizes = {
            AttrSizedOperandSegments.attribute_name: _sizes(
                1, len(inputs), len(weights), int(offset is not None)
            )
        }
        super().__init__(
            operands=[accumulator, *inputs, *weights, *([] if offset is None else [offset])],
            properties=sizes,
            result_types=[accumulator.type],
        )

    def verify_(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.weights):
            raise VerifyException("a chain has as many inputs as weights, and at least one")
        if element_of(self.accumulator) != i32:
            raise VerifyException("operands are packed into i32 lanes")


@irdl_op_definition
class Dot2Op(_Dot):
    """Two products of s16 halves per i32 lane: always exact."""

    name = "loop.dot2"
    assembly_format: ClassVar[str] = "$accumulator `,` $a `,` $b attr-dict `:` type($result)"


@irdl_op_definition
class ConvertOp(LoopOp):
    """Lane-wise conversion: zext, sext, trunc, int_to_float, float_to_int or round_to_int.

    `float_to_int` truncates, `round_to_int` rounds half to even (cvtps2dq: −2³¹ if out of
    range)."""

    name = "loop.convert"
    input = operand_def(AnyAttr())
    kind = prop_def(StringAttr)
    result = result_def(AnyAttr())
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = "$kind $input attr-dict `:` type($input) `to` type($result)"

    KINDS: ClassVar[tuple[str, ...]] = (
        "zext", "sext", "trunc", "int_to_float", "float_to_int", "round_to_int",
    )  # fmt: skip

    def __init__(self, kind: str, value: SSAValue, element: Attribute):
        vector = isinstance(value.type, VectorType)
        result = vector_of(element, lanes_of(value)) if vector else element
        super().__init__(
            operands=[value], properties={"kind": _string(kind)}, result_types=[result]
        )

    def verify_(self) -> None:
        if self.kind.data not in self.KINDS:
            raise VerifyException(f"unknown conversion '{self.kind.data}'")
        if lanes_of(self.input) != lanes_of(self.result):
            raise VerifyException("conversion keeps the number of lanes")


@irdl_op_definition
class SelectOp(LoopOp):
    """Lane-wise `condition ? lhs : rhs`."""

    name = "loop.select"
    condition = operand_def(AnyAttr())
    lhs = operand_def(AnyAttr())
    rhs = operand_def(AnyAttr())
    result = result_def(AnyAttr())
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = "operands attr-dict `:` functional-type(operands, results)"

    def __init__(self, condition: SSAValue, lhs: SSAValue, rhs: SSAValue):
        super().__init__(operands=[condition, lhs, rhs], result_types=[lhs.type])


@irdl_op_definition
class AnyOp(LoopOp):
    """Whether any lane's truth value is true."""

    name = "loop.any"
    input = operand_def(i1)
    result = result_def(i1)
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = "$input attr-dict"

    def __init__(self, truths: SSAValue):
        super().__init__(operands=[truths], result_types=[i1])


@irdl_op_definition
class NarrowOp(_PlainOp):
    """The i32 lanes of all inputs, one input after the other, saturated to u8 (or s8) bytes.

    With a zero point, that is added to every lane before, as if lanes had no end.

    %codes = loop.narrow %a, %b plus %z : (vector<8xi32>, vector<8xi32>) -> vector<16xi8>"""

    name = "loop.narrow"
    T: ClassVar = VarConstraint("T", BaseAttr(VectorType))

    inputs = var_operand_def(T)
    zero_point = opt_operand_def(i16)
    signed = opt_prop_def(UnitAttr)
    result = result_def(VectorType)
    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format: ClassVar[str] = (
        "$inputs (`plus` $zero_point^)? attr-dict `:` functional-type($inputs, $result)"
    )

    def __init__(
        self, inputs: Sequence[SSAValue], signed: bool, zero_point: SSAValue | None = None
    ):
        segments = _sizes(len(inputs), int(zero_point is not None))
        sizes: dict[str, Attribute] = {AttrSizedOperandSegments.attribute_name: segments}
        super().__init__(
            operands=[*inputs, *([] if zero_point is None else [zero_point])],
            properties=sizes | ({"signed": _UNIT} if signed else {}),
            result_types=[vector_of(i8, sum(map(lanes_of, inputs)))],
        )

    def verify_(self) -> None:
        if not self.inputs or element_of(self.inputs[0]) != i32 or element_of(self.result) != i8:
            raise VerifyException("i32 lanes become i8 lanes")
        if sum(map(lanes_of, self.inputs)) != lanes_of(self.result):
            raise VerifyException("narrowing keeps the number of lanes")
        if lanes_of(self.inputs[0]).bit_count() != 1:
            raise VerifyException("the number of lanes of an input is a power of two")


@irdl_op_definition
class LookupOp(LoopOp):
    """table[index] per lane of every index vector, a byte for each u8 index.

    The table of 256 bytes lies at `table` as chained rows (codegen/byte_tables.py). Vectors that
    are looked up together share the loads of its rows.

    %a, %b = loop.lookup %t, %i, %j : (vector<32xi8>, vector<16xi8>) -> (vector<32xi8>, …)"""

    name = "loop.lookup"

    table = operand_def(BufferType)
    indices = var_operand_def(VectorType)
    outputs = var_result_def(VectorType)
    traits = traits_def(MemoryReadEffect())
    assembly_format: ClassVar[str] = (
        "$table `,` $indices attr-dict `:` functional-type($indices, $outputs)"
    )

    def __init__(self, table: SSAValue, indices: Sequence[SSAValue]):
        super().__init__(operands=[table, *indices], result_types=[index.type for index in indices])

    def verify_(self) -> None:
        if [v.type for v in self.indices] != [v.type for v in self.outputs]:
            raise VerifyException("results have the types of the indices")


# --- the isa level --------------------------------------------------------------------------------


@irdl_op_definition
class InstructionOp(LoopOp):
    """One machine instruction, by the name of its row in `codegen/instructions.py`."""

    name = "loop.instruction"
    row = prop_def(StringAttr)
    arguments = var_operand_def(VectorType)
    result = result_def(VectorType)
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = (
        "$row $arguments attr-dict `:` functional-type($arguments, $result)"
    )

    def __init__(self, row: str, arguments: Sequence[SSAValue], result_type: Attribute):
        super().__init__(
            operands=arguments,
            properties={"row": _string(row)},
            result_types=[result_type],
        )


@irdl_op_definition
class StepOp(LoopOp):
    """One step of the program: runs `kernel` on `units` independent units with the given buffers.

    `buffers` names each kernel argument as `kind[index] + offset` (kinds: input, output, workspace,
    weights). Steps stand in execution order at the top of the module."""

    name = "loop.step"
    kernel = prop_def(StringAttr)
    properties_ = prop_def(DictionaryAttr, prop_name="step")
    assembly_format: ClassVar[str] = "$kernel $step attr-dict"

    def __init__(self, kernel: str, step: dict[str, Attribute]):
        super().__init__(properties={"kernel": StringAttr(kernel), "step": DictionaryAttr(step)})


Loop = Dialect(
    "loop",
    [
        # memory
        AddressOp, ScratchOp, LoadOp, StoreOp, LoadPartOp, StorePartOp, PrefetchOp,
        RenewOp, PinOp,
        # arithmetic
        Dot4Op, DotChainOp, Dot2Op, ConvertOp, SelectOp, AnyOp, NarrowOp, LookupOp,
        # isa level
        InstructionOp,
        # program
        StepOp,
    ],
    [BufferType],
)  # fmt: skip
