"""Tiles by measurement: `lpc compile --tune`.

The cost models (contractions/tile.py, ordered_tile.py) know ports and registers, not caches,
prefetchers or what LLVM makes of a kernel. So they propose a few tiles per layer, and the clock of
this CPU decides:

    program 0: every layer with its first tile     program 1: … its second     …

Whole programs run in turn, on one thread, each step timed by itself. A layer is so measured where
it will work, with its epilogue and with its inputs in the cache that its producer left them in. Its
time is the least of all rounds.

What was found is kept in a file, by CPU, version and layer (`Layer.key`): with that file the next
compilation of the model makes the same library and measures nothing. Tiles never change results,
and a tile in the file is used only where the cost model proposes it as well, so that a wrong file
can make a library slow at worst.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lpc.runtime import Model
from xdsl.dialects.builtin import ModuleOp, StringAttr

from . import files
from .codegen.host import cpu_name
from .codegen.jit import JitLibrary
from .codegen.library import lpc_version
from .codegen.program import TargetProgram
from .codegen.targets import Target
from .contractions.layer import Layer, rank_choices
from .contractions.ordered_tile import Choice
from .dialects import graph
from .dialects.tensors import Array
from .driver import Tuning, new_context, target_levels
from .errors import LpcError, LpcWarning
from .parallel import Parallel
from .passes.pack_weights import layers_of
from .signature import library_info

#: How long the programs of a target run, and how often each does.
_MEASURE_SECONDS, _LEAST_ROUNDS, _MOST_ROUNDS = 2.0, 3, 300
#: A tile replaces the cost model's from this part of its time on: less could be noise.
_CLEARLY_FASTER = 0.98

Choices = dict[str, Choice]
#: Key of a layer → index of a choice → milliseconds.
Times = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class _Site:
    """Where a layer is computed: the number of the step, and its name in the model."""

    key: str
    step: int
    name: str


class TileTuner:
    """Finds tiles for any number of targets, in `seconds` altogether, roughly: what has begun (the
    code of one kernel, the third round) is finished."""

    def __init__(self, seconds: float):
        self._seconds = seconds

    def __call__(self, module: ModuleOp, target: Target) -> Tuning:
        begin = time.monotonic()
        sites, proposals = _proposals(module, target)
        cache = TileCache(cache_path())
        choices = cache.choices(proposals)
        left = {key: proposed for key, proposed in proposals.items() if key not in choices}
        times: Times = {}
        if left and self._seconds > 0:
            cache.prepare()
            trial = _Trial(module, target, begin + self._seconds)
            times = _times(left, sites, trial.measure(choices, left))
            found = {key: left[key][_fastest(times[key])] for key in times}
            if found:
                cache.add(found)
            choices.update(found)
        self._seconds -= time.monotonic() - begin
        return Tuning(choices, _report(sites, proposals, choices, times))


def _proposals(
    module: ModuleOp, target: Target
) -> tuple[list[_Site], dict[str, tuple[Choice, ...]]]:
    """Layers that have a choice, and what they can choose from."""
    steps = [op for op in module.walk() if isinstance(op, graph.KernelOp)]
    numbers = {id(kernel): number for number, kernel in enumerate(steps)}
    sites, layers = [], dict[str, Layer]()
    for kernel, layer in layers_of(module, target):
        name = kernel.attributes.get("layer")
        text = name.data if isinstance(name, StringAttr) else ""
        sites.append(_Site(layer.key, numbers[id(kernel)], text))
        layers.setdefault(sites[-1].key, layer)
    with Parallel(rank_choices) as work:
        for layer in layers.values():
            work.add(layer.seconds, layer)
        ranked = dict(zip(layers, work.results(), strict=True))
    several = {key: choices for key, choices in ranked.items() if len(choices) > 1}
    return [site for site in sites if site.key in several], several


class _Trial:
    """Programs of a module that differ in tiles, measured until a deadline."""

    def __init__(self, module: ModuleOp, target: Target, deadline: float):
        self._module, self._target, self._deadline = module, target, deadline

    def measure(self, fixed: Choices, left: Mapping[str, Sequence[Choice]]) -> list[Array]:
        """The least milliseconds of each step. Program i has choice i of the layers in `left`, or
        the first one; there are fewer programs, or none, where time runs out."""
        models: list[Model] = []
        slowest = 0.0
        for number in range(max(map(len, left.values()))):
            begin = time.monotonic()
            # What is made has to be run as well.
            if begin + slowest + len(models) * slowest / 4 > self._deadline:
                break
            own = {key: proposed[_nth(proposed, number)] for key, proposed in left.items()}
            model = self._program(fixed | own)
            if model is None:
                break
            models.append(model)
            slowest = max(slowest, time.monotonic() - begin)
        return self._run(models) if len(models) > 1 else []

    def _program(self, choices: Choices) -> Model | None:
        """None if there is no time to make it."""
        own, context = self._module.clone(), new_context()
        made = target_levels(own, self._target, context, lambda level, target: None, choices)
        with closing(made):
            for level in made:
                if isinstance(level.content, TargetProgram):
                    library = JitLibrary(level.content, library_info(self._module))
                    return Model(library.address, "tuning", num_threads=1)
                if time.monotonic() > self._deadline:
                    break
        return None

    def _run(self, models: list[Model]) -> list[Array]:
        inputs = _inputs(models[0])
        least = [model.profile_steps(inputs)[0] for model in models]
        end = min(self._deadline, time.monotonic() + _MEASURE_SECONDS)
        for number in range(_MOST_ROUNDS):
            if number >= _LEAST_ROUNDS and time.monotonic() > end:
                break
            for index, model in enumerate(models):
                least[index] = np.minimum(least[index], model.profile_steps(inputs)[0])
        return least


def _nth(proposed: Sequence[Choice], number: int) -> int:
    return number if number < len(proposed) else 0


def _inputs(model: Model) -> dict[str, Array]:
    """Floats like those of images, integers that are an index into anything."""
    random = np.random.default_rng(0)
    return {
        spec.name: random.standard_normal(spec.shape).astype(spec.dtype)
        if spec.dtype.kind == "f"
        else np.zeros(spec.shape, spec.dtype)
        for spec in model.inputs
    }


def _times(
    left: Mapping[str, Sequence[Choice]], sites: Sequence[_Site], programs: Sequence[Array]
) -> Times:
    """What each choice costs all layers of a key together; empty where nothing was measured."""
    times: dict[str, dict[int, float]] = defaultdict(dict)
    for number, steps in enumerate(programs):
        totals: dict[str, float] = defaultdict(float)
        for site in sites:
            totals[site.key] += float(steps[site.step])
        for key, proposed in left.items():
            index = _nth(proposed, number)
            times[key][index] = min(totals[key], times[key].get(index, np.inf))
    return times


def _fastest(times: Mapping[int, float]) -> int:
    best = min(times, key=lambda index: times[index])
    return best if times[best] < _CLEARLY_FASTER * times[0] else 0


def _report(
    sites: Sequence[_Site],
    proposals: Mapping[str, Sequence[Choice]],
    choices: Choices,
    times: Times,
) -> str:
    """A line per layer: its tile, where that comes from, and the times of all that was tried."""
    lines = []
    for site in sites:
        proposed, own = proposals[site.key], times.get(site.key, {})
        chosen = choices.get(site.key, proposed[0])
        source = "measured" if own else "remembered" if site.key in choices else "cost model"
        tried = (f"{_size(proposed[index])} {value:.4f} ms" for index, value in own.items())
        lines.append(", ".join([f"{site.name}: {_size(chosen)} {source}", *tried]))
    return "".join(f"{line}\n" for line in lines)


def _size(choice: Choice) -> str:
    kinds = {"registers": choice.in_registers, "halves": choice.in_halves}
    names = [name for name, is_so in kinds.items() if is_so]
    if choice.team:
        names.append(f"teams of {choice.team * choice.tile.channels} channels")
    return " ".join([f"{choice.tile.m}x{choice.tile.n}", *names])


def cache_path() -> Path:
    """$LPC_TUNE_CACHE, or lpc/tune.json in the user's folder for such files."""
    named = os.environ.get("LPC_TUNE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lpc" / "tune.json"


class TileCache:
    """The file `{"format": 1, "tiles": {"lpc 1.0 on CPU: KEY": [m, n, …], …}}`."""

    def __init__(self, path: Path):
        self._path = path
        self._prefix = f"lpc {lpc_version()} on {cpu_name()}: "

    def choices(self, proposals: Mapping[str, Sequence[Choice]]) -> Choices:
        """The proposed choices that the file names."""
        tiles = self._read()
        found: Choices = {}
        for key, proposed in proposals.items():
            tile = tiles.get(self._prefix + key)
            for choice in proposed:
                if choice.numbers == tile:
                    found[key] = choice
        return found

    def prepare(self) -> None:
        """LpcError now, if the file cannot be written, rather than after measuring."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LpcError(f"{self._path}: cannot write: {error.strerror}") from error
        files.check_writable(self._path)

    def add(self, choices: Choices) -> None:
        """Beside what another compilation may have written meanwhile."""
        own = {self._prefix + key: c.numbers for key, c in choices.items()}
        tiles = dict(sorted((self._read(warn=False) | own).items()))
        files.write(self._path, json.dumps({"format": 1, "tiles": tiles}, indent=0) + "\n")

    def _read(self, warn: bool = True) -> dict[str, Any]:
        """What is in the file; nothing, with a warning, if it is none of ours."""
        try:
            content = json.loads(self._path.read_bytes())
            if content["format"] == 1:
                return dict(content["tiles"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError):
            pass
        if warn:
            message = f"{self._path}: not a file of measured tiles; taken as empty"
            warnings.warn(message, LpcWarning, stacklevel=2)
        return {}
