"""The constants of all programs of a library in one blob, equal ones once.

A program's blob is cut where its kernels' arguments point into it: what lies between two such
places is one constant, with its padding. Weights are the same for two targets that pack them alike
(`leader_of` in contractions/layer.py); what an epilogue needs often is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .program import Argument, TargetProgram, as_array

_ALIGNMENT = 64
Bytes = npt.NDArray[np.uint8]


def merged(programs: Sequence[TargetProgram]) -> tuple[Bytes, list[TargetProgram]]:
    """One blob for all programs, and the programs with arguments that point into it.

    Their own `weights` stay, as what each of them needs."""
    if len(programs) == 1:
        return as_array(programs[0].weights), list(programs)
    places: dict[bytes, int] = {}
    parts: list[Bytes] = []
    size = 0
    moved = []
    for program in programs:
        offsets = {}
        for start, constant in constants_of(program).items():
            key = constant.tobytes()
            if key not in places:
                places[key] = size
                padding = np.zeros(-len(constant) % _ALIGNMENT, np.uint8)
                parts += [constant, padding]
                size += len(constant) + len(padding)
            offsets[start] = places[key]
        moved.append(_moved(program, offsets))
    slack = max(program.slack for program in programs)
    return np.concatenate([*parts, np.zeros(slack, np.uint8)]), moved


def constants_of(program: TargetProgram) -> dict[int, Bytes]:
    """Offset in the program's blob → the constant there."""
    blob = as_array(program.weights)
    starts = sorted({a.offset for step in program.steps for a in step.arguments if _inside(a)})
    ends = [*starts[1:], len(blob) - program.slack]
    return {start: blob[start:end] for start, end in zip(starts, ends, strict=False)}


def _inside(argument: Argument) -> bool:
    return argument.kind == "weights"


def _moved(program: TargetProgram, offsets: dict[int, int]) -> TargetProgram:
    steps = []
    for step in program.steps:
        arguments = tuple(
            replace(a, offset=offsets[a.offset]) if _inside(a) else a for a in step.arguments
        )
        steps.append(replace(step, arguments=arguments))
    return replace(program, steps=tuple(steps))
