"""The tile dialect: small matrices in registers, and the product that sums codes into them.

    %c = tile.load %s[%z] stride %0 : !tile.register<16, 64>     // 16 × 16 sums (i32)
    %a = tile.load %x[%o] stride %p : !tile.register<16, 64>     // 16 pixels × 64 codes
    %b = tile.load %w[%q] stride %r : !tile.register<16, 64>     // 16 steps × 16 channels × 4
    %d = tile.dot4 %c, %a, %b : !tile.register<16, 64>, …        // what vpdpbusd does, 256 times
    tile.store %d, %s[%z] stride %t : !tile.register<16, 64>

These ops are abstract: values in any number of registers. At the `isa` level, `tile.configure` says
how large each of the eight registers is, and a `tile.instruction` names registers by number
(codegen/tile_registers.py assigns them, interpreters/tiles.py is their meaning).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

from xdsl.dialects.builtin import DenseArrayBase, IndexType, IntAttr, StringAttr, i64
from xdsl.ir import Dialect, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    BaseAttr,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    param_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, Pure
from xdsl.utils.exceptions import VerifyException

from .loop import BufferType, LoopOp

ROWS, BYTES, REGISTERS = 16, 64, 8
#: Rows, and bytes of a row; (0, 0) for a register that is not used.
Shape = tuple[int, int]


@irdl_attr_definition
class RegisterType(ParametrizedAttribute, TypeAttribute):
    """So many rows of so many bytes: !tile.register<16, 64>."""

    name = "tile.register"
    rows: IntAttr = param_def()
    size: IntAttr = param_def()

    @property
    def shape(self) -> Shape:
        return self.rows.data, self.size.data

    def verify(self) -> None:
        rows, size = self.shape
        if not (1 <= rows <= ROWS and 4 <= size <= BYTES and size % 4 == 0):
            raise VerifyException(f"no register has {rows} rows of {size} bytes")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[IntAttr]:
        with parser.in_angle_brackets():
            rows = parser.parse_integer()
            parser.parse_punctuation(",")
            return IntAttr(rows), IntAttr(parser.parse_integer())

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.rows.data}, {self.size.data}")


@cache
def register(rows: int, size: int) -> RegisterType:
    return RegisterType(IntAttr(rows), IntAttr(size))


def shape_of(value: SSAValue) -> Shape:
    """Rows, and bytes of a row."""
    assert isinstance(value.type, RegisterType)
    return value.type.shape


@irdl_op_definition
class LoadOp(LoopOp):
    """Row i from `base + offset + i·stride` bytes; nothing between rows is touched."""

    name = "tile.load"
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    stride = operand_def(IndexType)
    result = result_def(RegisterType)
    traits = traits_def(MemoryReadEffect())
    assembly_format: ClassVar[str] = (
        "$base `[` $offset `]` `stride` $stride attr-dict `:` type($result)"
    )

    def __init__(self, base: SSAValue, offset: SSAValue, stride: SSAValue, kind: RegisterType):
        super().__init__(operands=[base, offset, stride], result_types=[kind])


@irdl_op_definition
class StoreOp(LoopOp):
    """Writes row i to `base + offset + i·stride` bytes."""

    name = "tile.store"
    value = operand_def(RegisterType)
    base = operand_def(BufferType)
    offset = operand_def(IndexType)
    stride = operand_def(IndexType)
    traits = traits_def(MemoryWriteEffect())
    assembly_format: ClassVar[str] = (
        "$value `,` $base `[` $offset `]` `stride` $stride attr-dict `:` type($value)"
    )

    def __init__(self, value: SSAValue, base: SSAValue, offset: SSAValue, stride: SSAValue):
        super().__init__(operands=[value, base, offset, stride])


@irdl_op_definition
class Dot4Op(LoopOp):
    """accumulator[m][n] + Σ_k Σ_j a[m][4k + j]·b[k][4n + j], wrapping in i32.

    Bytes of `a` are u8, bytes of `b` are s8. Always exact."""

    name = "tile.dot4"
    accumulator = operand_def(RegisterType)
    a = operand_def(RegisterType)
    b = operand_def(RegisterType)
    result = result_def(RegisterType)
    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = "operands attr-dict `:` functional-type(operands, results)"

    def __init__(self, accumulator: SSAValue, a: SSAValue, b: SSAValue):
        super().__init__(operands=[accumulator, a, b], result_types=[accumulator.type])

    def verify_(self) -> None:
        (rows, size), (a_rows, depth), (b_rows, b_size) = map(shape_of, self.operands)
        if self.result.type != self.accumulator.type:
            raise VerifyException("the result replaces the accumulator")
        if (rows, size, depth) != (a_rows, b_size, 4 * b_rows):
            raise VerifyException(f"{a_rows}×{depth} and {b_rows}×{b_size} are no {rows}×{size}")


# --- the isa level --------------------------------------------------------------------------------


@irdl_op_definition
class ConfigureOp(LoopOp):
    """Loads rows and bytes of the eight registers, two numbers each, 0 and 0 for an unused one."""

    name = "tile.configure"
    shapes = prop_def(DenseArrayBase)
    assembly_format: ClassVar[str] = "attr-dict"

    def __init__(self, shapes: Sequence[Shape]):
        flat = [number for shape in shapes for number in shape]
        super().__init__(properties={"shapes": DenseArrayBase.from_list(i64, flat)})

    @property
    def content(self) -> bytes:
        """What LDTILECFG reads: palette 1, bytes of a row as 16-bit numbers, rows."""
        flat = [int(number) for number in self.shapes.get_values()]
        sizes = b"".join(size.to_bytes(2, "little") for size in flat[1::2])
        return bytes([1]) + bytes(15) + sizes + bytes(16) + bytes(flat[::2]) + bytes(8)

    def verify_(self) -> None:
        if len(self.shapes) != 2 * REGISTERS:
            raise VerifyException(f"there are {REGISTERS} registers")


@irdl_op_definition
class InstructionOp(LoopOp):
    """One instruction of the tile unit, by the name of its row in `codegen/tile_registers.py`, on
    registers by number; loads and stores have an address and a stride."""

    name = "tile.instruction"
    row = prop_def(StringAttr)
    registers = prop_def(DenseArrayBase)
    memory = var_operand_def(BaseAttr(BufferType) | BaseAttr(IndexType))
    assembly_format: ClassVar[str] = "$row (`at` $memory^ `:` type($memory))? attr-dict"

    def __init__(self, row: str, registers: Sequence[int], memory: Sequence[SSAValue] = ()):
        numbers = DenseArrayBase.from_list(i64, list(registers))
        super().__init__(operands=memory, properties={"row": StringAttr(row), "registers": numbers})

    def verify_(self) -> None:
        if len(self.memory) not in (0, 3):
            raise VerifyException("memory is a base, an offset and a stride")

    @property
    def numbers(self) -> list[int]:
        return [int(number) for number in self.registers.get_values()]


Tile = Dialect(
    "tile",
    [LoadOp, StoreOp, Dot4Op, ConfigureOp, InstructionOp],
    [RegisterType],
)
