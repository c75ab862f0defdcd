"""Loops that fall short of 85 % of their bound, or spill: why, and what they have to keep."""

from __future__ import annotations

from dataclasses import dataclass

from .proof import Row


@dataclass(frozen=True)
class Shortfall:
    """Rows whose case begins with `case` and whose loop begins with `loop`, on some targets and
    models (all, if none is named): at least `least` of the bound, and at most `spills` instructions
    that touch the stack."""

    case: str
    reason: str
    least: float
    spills: int = 0
    targets: tuple[str, ...] = ()
    cpus: tuple[str, ...] = ()
    loop: str = ""

    def applies(self, row: Row) -> bool:
        return (
            row.compiled.case.startswith(self.case)
            and row.compiled.form.startswith(self.loop)
            and row.compiled.target.name in (self.targets or (row.compiled.target.name,))
            and row.cpu in (self.cpus or (row.cpu,))
        )


_PORT5 = (
    "shuffles have port 5 to themselves, and 512-bit multiplies share it with port 0: the model "
    "sends more of them there than the best schedule would"
)
_RELOADS = (
    "weights that do not change are read again in every iteration, which the bound leaves out"
)
_STACK = (
    "16 registers hold a tile's sums and one column of taps: constants and a few columns are read "
    "from the stack"
)
_CHAINS = (
    "from a sum to its code it is six instructions one after the other: meanwhile the scheduler "
    "fills up with what waits, and the next products stand behind it"
)
_INTERLEAVING = (
    "not products: four rows of bytes are interleaved, once for all rows of the other operand; "
    "shuffles have two ports of three, constants wait on the stack"
)
_ROUND_ROBIN = (
    "the model's choice of a port in turn gives multiplies and additions unequal shares; one pixel "
    "more or less makes it 97 %"
)
_ADDITIONS_ZEN3 = (
    "the model sends too many additions to the ports that multiply: Zen 3 itself takes 15.7 cycles"
)

_GRID = (
    "36 values lie between the two dimensions of a transform, more than there are registers: some "
    "pass through the stack, where constants are read as well"
)
_COPIES_SSE = "instructions of two operands copy what they still need"
_GRID_SSE = f"{_COPIES_SSE}; {_GRID}"
_GRID_ZEN3 = (
    "shifts and widening have two of four ports, and the model sends as many additions there as to "
    f"the other two; {_GRID}"
)
_WIDENING = (
    "bytes are widened on port 5 alone: the model sends more additions there than the best "
    "schedule would"
)
_GRID_WIDENING = f"{_WIDENING}; {_GRID}"
_FEW_SUMS = (
    "the last tile of a row has 8 sums: two multiplications a cycle that take 5 cycles want 10"
)
_FEW_TILES = "four tiles have 8 sums: two multiplications a cycle that take 5 cycles want 10"
_FROM_MEMORY = (
    "prefetches take ports of loads, where weights come from memory; or the chains left over by "
    "the unrolled loop, up to three"
)
_ONE_PIXEL = (
    "the last block's five vectors have ten sums, which wait for themselves: 5 cycles, in the "
    "model 7 (see above)"
)
_ADDRESS = (
    "not a loop of its own: addresses of the next loop, and the tile's place, wait on the stack"
)
_ZEN4 = "the model shares 512-bit multiplies of registers out unevenly (see above)"

EXCEPTIONS: tuple[Shortfall, ...] = (
    Shortfall("", _ZEN4, 0.5, cpus=("znver4",)),  # reported, not tested
    Shortfall("3x3 256", _COPIES_SSE, 0.80, 0, ("sse42",), loop="transform, 36 to 48"),
    Shortfall("3x3", _GRID_SSE, 0.82, 105, ("sse42",), loop="transform"),
    Shortfall("3x3", _WIDENING, 0.78, 0, ("avx2",), ("skylake-avx512",), "transform, 18 to"),
    Shortfall("3x3", _GRID_ZEN3, 0.76, 77, ("avx2",), ("znver3",), "transform"),
    Shortfall("3x3", _WIDENING, 0.75, 0, ("avx_vnni", "avx10"), loop="transform, 18 to"),
    Shortfall("3x3", _GRID, 0.82, 77, ("avx2", "avx_vnni", "avx10"), loop="transform"),
    Shortfall("3x3", _WIDENING, 0.83, 0, ("avx512_vnni",), loop="transform, 12 to"),
    Shortfall("3x3", _WIDENING, 0.71, 0, ("avx512", "avx512_vnni"), loop="transform, 18 to"),
    Shortfall("3x3", _GRID, 0.90, 14, ("avx512", "avx512_vnni"), loop="transform"),
    Shortfall("7x7", _GRID_SSE, 0.82, 155, ("sse42",), loop="transform"),
    Shortfall("7x7", _GRID_WIDENING, 0.80, 40, ("avx2",), ("skylake-avx512",), "transform"),
    Shortfall("7x7", _GRID_ZEN3, 0.80, 40, ("avx2",), ("znver3",), "transform"),
    Shortfall("7x7", _GRID_WIDENING, 0.83, 8, ("avx512",), loop="transform"),
    Shortfall("3x3 256 to 256, 28x28", _FEW_SUMS, 0.78, 0, ("avx_vnni", "avx10")),
    Shortfall("3x3 256 to 256, 14x14", _FEW_TILES, 0.80, loop="8 vpdpwssd"),
    Shortfall("1x1", _ADDRESS, 0.98, 7, ("amx_int8",)),
    Shortfall("depthwise", _CHAINS, 0.83, 0, ("sse42",)),
    Shortfall("depthwise", _CHAINS, 0.76, 0, ("avx2",)),
    Shortfall("depthwise", _PORT5, 0.81, 0, ("avx512",)),
    Shortfall("depthwise", _PORT5, 0.77, 0, ("avx512_vnni",)),
    Shortfall("fp32 depthwise", _STACK, 0.90, 11, ("sse42",)),
    Shortfall("fp32 depthwise", _RELOADS, 0.76, 0, ("avx512",)),
    Shortfall("products", _INTERLEAVING, 0.37, 2, ("avx_vnni", "avx10"), loop="1 vpdpbusd"),
    Shortfall("products", _INTERLEAVING, 0.72, 2, loop="2 vpdpbusd"),
    Shortfall("fp32 products", _COPIES_SSE, 0.82, 0, ("sse42",)),
    Shortfall("matmul 1x2048", _ONE_PIXEL, 0.70, 0, ("avx_vnni", "avx10")),
    Shortfall("matmul 1x2048", _FROM_MEMORY, 0.58),
    Shortfall("", _ADDITIONS_ZEN3, 0.77, 0, ("avx2",), ("znver3",), "16 vpaddw, 16 vpmaddubsw, 8"),
    Shortfall("", _ROUND_ROBIN, 0.82, 0, ("avx2",)),
)


def exception_for(row: Row) -> Shortfall | None:
    return next((known for known in EXCEPTIONS if known.applies(row)), None)


def allowed(row: Row) -> bool:
    """Whether a row that falls short does so no further than its exception says."""
    known = exception_for(row)
    spills = row.compiled.loop.spills
    return known is not None and row.efficiency >= known.least and spills <= known.spills


def reason_for(row: Row) -> str:
    known = exception_for(row)
    return "" if known is None else known.reason
