"""The tile unit of AMX-INT8, executable: eight registers of up to 16 rows × 64 bytes (palette 1).

Semantics and limits are those of Intel's manual (volume 1 chapter 18, volume 2 "AMX instructions"),
with its #UD and #GP as `TileError`. `unit.released` says whether a kernel left it as it should.

    unit.ldtilecfg(np.frombuffer(tile.ConfigureOp(shapes).content, np.uint8))
    unit.tileloadd(0, rows_of_c); unit.tileloadd(1, rows_of_a); unit.tileloadd(2, rows_of_b)
    unit.tdpbusd(0, 1, 2)           # C[m][n] += Σ A[m][4k + j]·B[k][4n + j], u8 × s8
    unit.tilestored(0); unit.tilerelease()
"""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array
from ..dialects.tile import BYTES, REGISTERS, ROWS, Shape


class TileError(Exception):
    """An instruction that the CPU would refuse."""


class TileUnit:
    def __init__(self) -> None:
        self.tilerelease()

    @property
    def released(self) -> bool:
        return not self.shapes

    # --- configuration ----------------------------------------------------------------------------

    def tilerelease(self) -> None:
        """The initial state: no configuration, all data zero."""
        self.shapes: tuple[Shape, ...] = ()
        self.data: Array = np.zeros((REGISTERS, ROWS, BYTES), np.uint8)

    def ldtilecfg(self, memory: Array) -> None:
        """`memory`: 64 bytes. All registers become zero."""
        palette = int(memory[0])
        if palette == 0:
            self.tilerelease()
            return
        reserved = np.concatenate([memory[1:16], memory[32:48], memory[56:]])
        sizes, rows = memory[16:32].view("<u2"), memory[48:56]
        if palette != 1 or reserved.any():
            raise TileError("#GP: palette 1 starts at row 0, and its other bytes are zero")
        if sizes.max() > BYTES or rows.max() > ROWS:
            raise TileError("#GP: a register has at most 16 rows of 64 bytes")
        if ((sizes == 0) != (rows == 0)).any():
            raise TileError("#GP: a register with rows and no bytes, or the other way round")
        self.tilerelease()
        self.shapes = tuple((int(r), int(s)) for r, s in zip(rows, sizes, strict=True))

    def shape(self, number: int) -> Shape:
        """TileError for a register that instructions may not name now."""
        if self.released:
            raise TileError("#UD: no configuration is loaded")
        if not 0 <= number < REGISTERS or self.shapes[number] == (0, 0):
            raise TileError(f"#UD: tmm{number} is not configured")
        rows, size = self.shapes[number]
        if size % 4:
            raise TileError(f"#UD: rows of tmm{number} are {size} bytes, no multiple of 4")
        return rows, size

    # --- data -------------------------------------------------------------------------------------

    def tileloadd(self, number: int, rows: Array) -> None:
        """`rows`: what memory holds for each row, [rows, bytes]; all else becomes zero."""
        count, size = self.shape(number)
        if rows.shape != (count, size):
            raise ValueError(f"tmm{number} has {count} rows of {size} bytes, not {rows.shape}")
        self.data[number] = 0
        self.data[number, :count, :size] = rows

    def tilestored(self, number: int) -> Array:
        """The rows to be written, [rows, bytes]."""
        count, size = self.shape(number)
        return self.data[number, :count, :size].copy()

    def tdpbusd(self, to: int, a: int, b: int) -> None:
        """Adds the products of `a` (u8) and `b` (s8) to the i32 of `to`, wrapping."""
        if len({to, a, b}) < 3:
            raise TileError("#UD: three different registers are needed")
        (rows, columns), (a_rows, depth), (b_rows, width) = map(self.shape, (to, a, b))
        if columns != width or rows != a_rows or depth // 4 != b_rows:
            raise TileError(
                f"#UD: {rows}×{columns} bytes are no product of {a_rows}×{depth} and "
                f"{b_rows}×{width}"
            )
        left = self.data[a, :rows, :depth].astype(np.int64)
        weights = self.data[b, :b_rows, :width].view(np.int8).reshape(b_rows, -1, 4)
        right = weights.transpose(0, 2, 1).reshape(depth, -1).astype(np.int64)
        sums = self.data[to, :rows, :columns].view(np.int32).astype(np.int64) + left @ right
        result = sums.astype(np.int32).view(np.uint8)
        self.data[to] = 0
        self.data[to, :rows, :columns] = result
