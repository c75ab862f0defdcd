"""How a table of 256 bytes lies in memory so that byte shuffles can read it.

`pshufb(row, x)` looks a byte up in 16, by its lower four bits, and gives 0 where bit 7 is set. With
rows T₀ … T₁₅ of the table, rows R₀ … R₁₅ in memory, and x − 16k wrapping in 8 bits,

    table[x] = ⊕ₖ pshufb(Rₖ, yₖ),    yₖ = x − 16k                      for k ≤ 8
                                     yₖ = max(x − 128, −16) − 16(k − 8)  for k > 8, signed

For x in row j < 8, yₖ is not negative exactly for k ≤ j: the sum is R₀ ⊕ … ⊕ Rⱼ. For j ≥ 8 it is
not negative for the eight k from j − 7 to j. So with P the sums of the first rows,

    Pⱼ = Tⱼ for j < 8,    Pⱼ = Tⱼ ⊕ Tⱼ₋₈ for j ≥ 8,    Rⱼ = Pⱼ ⊕ Pⱼ₋₁

No step compares or blends: one subtraction, one shuffle and one XOR for each row.
"""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array

ROWS, ROW = 16, 16


def chained_rows(table: Array) -> Array:
    """The rows R of a table of 256 bytes."""
    sums = table.view(np.uint8).reshape(ROWS, ROW).copy()
    sums[8:] ^= sums[:8]
    rows = sums.copy()
    rows[1:] ^= sums[:-1]
    return rows.reshape(-1)


def table_of(rows: Array) -> Array:
    """The table whose chained rows these are."""
    table = np.bitwise_xor.accumulate(rows.view(np.uint8).reshape(ROWS, ROW), axis=0)
    table[8:] ^= table[:8]
    return np.asarray(table.reshape(-1))
