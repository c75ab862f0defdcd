"""What the chains of a microkernel cost, in cycles, by counting what each execution port must do.

For m pixels × n vectors of channels, one chain of k steps is

    k·n weights and n offsets loaded, k·m inputs broadcast           (loads)
    k·m·n vpmaddubsw, m·n vpmaddwd                                   (multiplies)
    (k − 1)·m·n vpaddw, m·n vpaddd, m·n vpaddw of offsets            (additions)

and takes as long as the busiest of its ports, or as all of them take to be issued: four a cycle,
loads into registers included, but not loads that are an operand of a multiplication. A broadcast
cannot be one; the second of two vectors of weights can, and is then read for every pixel. Measured
in the first-level cache, MAC per cycle:

    tile           8×1                                  4×2
    chains of      1    2    3   2, offset  3, offset   2    3    (the multipliers allow 42.7, 48)
    Zen 3         29   36   35      31         33      37   39
    Zen 5                   45                 41      42
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..codegen.targets import Target
from ..dialects.layout import LANES
from .chains import Menu
from .forms import Form


@dataclass(frozen=True)
class Ports:
    """Operations per cycle: vector arithmetic, multiplies among it, loads, and all together."""

    vector: float
    multiply: float
    load: float
    issue: float


#: Vectors of 512 bits have two ports. Narrower ones have three (Intel) or four (AMD), of which a
#: mix of multiplies and additions keeps 2.9 (Zen 3) to 3.4 (Zen 5) busy, and not always the right
#: ones. Loads are two a cycle at best. With `_BESIDE`, these fit what Zen 3 takes.
WIDE_PORTS = Ports(2.0, 2.0, 2.0, 4.0)
NARROW_PORTS = Ports(3.1, 1.9, 1.65, 4.3)
#: A loop: its set-up, and now and then a mispredicted end.
LOOP_CYCLES = 4.0
#: A tile: what of its set-up, and of the wait for its last sums, is not hidden.
TILE_CYCLES = 1.0
_STREAM_BYTES_PER_CYCLE = 24.0
#: Vector instructions that finish and store a vector of sums, if a store takes 16 channels of a
#: pixel or more, and if it takes fewer.
_EPILOGUE_OF_WHOLES, _EPILOGUE = 5.5, 8.0
#: Of the instructions that do not decide, this part counts: between equals, fewer are better.
_BESIDE = 0.02


def ports_of(target: Target) -> Ports:
    return WIDE_PORTS if target.vector_bytes == 64 else NARROW_PORTS


def free_registers(m: int, n: int, target: Target) -> int:
    """What m × n sums leave for weights, beside ones, an input and a temporary; instructions that
    overwrite an operand (SSE) need a copy as well."""
    scratch = 4 if target.vector_bytes == 16 else 3
    return target.registers - m * n - scratch


def kept_vectors(form: Form, m: int, n: int, target: Target) -> int:
    """Of a chain's n vectors of weights, those that stay in registers for all pixels, beside sums,
    offsets, ones, a pixel's inputs and two products; the others are operands in memory. Negative if
    even that needs more registers than there are. (A single pixel reads all weights once.)"""
    if 1 in (m, n) or target.vector_bytes > 32:
        return n
    copies = target.vector_bytes == 16  # instructions overwrite an operand
    free = target.registers - m * n - n * form.offset - form.chain - 3 - copies
    return min(n, free // form.chain)


def is_crowded(form: Form, m: int, n: int, target: Target) -> bool:
    """Whether sums, a chain's weights and its offsets would take all registers, so that LLVM has to
    be kept from having more products under way. Only tiles of AVX2 are made so full."""
    return target.vector_bytes == 32 and free_registers(m, n, target) <= n * form.operands


def keeps_weights(m: int, n: int, menu: Menu, target: Target) -> bool:
    """Whether LLVM spills nothing in loops of these chains."""
    free, steps = free_registers(m, n, target), menu.longest
    if n > 1 and target.vector_bytes <= 32:
        return n == 2 and all(kept_vectors(form, m, n, target) >= 0 for form in menu.forms)
    if target.vector_bytes == 32:
        # Even then, the inputs of four steps are loaded side by side.
        return free >= menu.operands + (steps == 4)
    # With many sums there are several products under way. An offset can stay in memory.
    return free >= n * steps + {16: 0, 64: 4}[target.vector_bytes]


def shuffles(inputs: int, target: Target) -> float:
    """What it takes to have so many inputs in all lanes, in vector instructions: SSE shuffles them,
    half of it on ports that nothing else waits for."""
    return inputs / 2 if target.vector_bytes == 16 else 0.0


def chain_cycles(form: Form, m: int, n: int, target: Target) -> float:
    """One chain of m × n sums."""
    k, dots, ports = form.chain, m * n, ports_of(target)
    multiplies, additions = (k + 1) * dots, (k + form.offset) * dots
    loads, operands = _loads(form, m, n, target)
    busiest = max(
        (multiplies + additions + shuffles(k * m, target)) / ports.vector,
        multiplies / ports.multiply,
        (loads + operands) / ports.load,
        (multiplies + additions + loads) / ports.issue,
        n * form.operands * target.vector_bytes / _STREAM_BYTES_PER_CYCLE,
    )
    return busiest + _BESIDE * (multiplies + additions + loads + operands)


def _loads(form: Form, m: int, n: int, target: Target) -> tuple[int, int]:
    """Of a chain: those into registers, and those that are operands of multiplications."""
    kept, inputs = kept_vectors(form, m, n, target), form.chain * m
    if kept < n:
        return inputs + form.chain * kept + n * form.offset, form.chain * (n - kept) * m
    weights = n * form.operands
    reloaded = max(0, weights - free_registers(m, n, target))
    return inputs + weights, reloaded * (m - 1)


def epilogue_cycles(m: int, n: int, target: Target) -> float:
    """What becomes of m × n sums."""
    each = _EPILOGUE if n * target.lanes % LANES else _EPILOGUE_OF_WHOLES
    return each * m * n / ports_of(target).vector


def work_cycles(chains: Mapping[Form, float], m: int, n: int, target: Target) -> float:
    """So many chains of each form."""
    return sum(
        count * chain_cycles(form, m, n, target) + LOOP_CYCLES
        for form, count in chains.items()
        if count > 0
    )
