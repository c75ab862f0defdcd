"""Every hot loop of the cases on every CPU model: cycles, the bound, and what lies between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lpc.compiler import driver
from lpc.compiler.codegen.targets import Target, by_name
from lpc.compiler.errors import LpcError
from xdsl.dialects.builtin import ModuleOp

from . import assembly, necessary, tile_unit
from .assembly import Loop
from .cases import CASES, Case
from .mix import mixes
from .necessary import HotLoop
from .tool import Simulated, simulate

#: Target → the models that stand for the CPUs that run it.
MODELS: dict[str, tuple[str, ...]] = {
    "sse42": ("nehalem",),
    "avx2": ("znver3", "skylake-avx512"),
    "avx512": ("skylake-avx512",),
    "avx_vnni": ("alderlake",),
    "avx10": ("arrowlake",),
    "avx512_vnni": ("icelake-server", "sapphirerapids", "znver4"),
    "amx_int8": ("sapphirerapids",),
}
#: Those on which the test holds loops to the limit.
OWN: dict[str, tuple[str, ...]] = {
    "sse42": ("nehalem",),
    "avx2": ("znver3", "skylake-avx512"),
    "avx512": ("skylake-avx512",),
    "avx_vnni": ("alderlake",),
    "avx10": ("arrowlake",),
    "avx512_vnni": ("icelake-server", "sapphirerapids"),
    "amx_int8": ("sapphirerapids",),
}
#: Of the bound, that every loop reaches.
ENOUGH = 0.85


@dataclass(frozen=True)
class Compiled:
    """A hot loop of a case as machine code, and its work."""

    case: str
    target: Target
    loop: Loop
    work: HotLoop

    @property
    def macs(self) -> int:
        """Multiply-adds of an iteration: four, two or one for each 32-bit lane. A transform has
        none."""
        counts, lanes = self.work.work, self.work.width // 4
        if self.loop.is_transform or self.loop.is_tiled:
            return self.work.tile_macs
        fours = sum(counts[name] for name in ("vpmaddubsw", "vpdpbusd", "vpdpbssd", "vpdpbuud"))
        if fours:
            return 4 * lanes * fours
        twos = counts["vpmaddwd"] + counts["vpdpwssd"]
        return 2 * lanes * twos or lanes * (counts["fma"] or counts["mulps"])

    @property
    def form(self) -> str:
        """The dot products of an iteration in words: 20 vpmaddubsw, 10 vpmaddwd. Or the vectors
        that a transform loads and stores."""
        if self.loop.is_transform:
            return f"transform, {self.work.work['load']} to {self.work.work['store']} vectors"
        dots = ", ".join(f"{count} {name}" for name, count in self.work.signature)
        return f"{dots}, as documented" if self.loop.is_tiled else dots


@dataclass(frozen=True)
class Row:
    compiled: Compiled
    cpu: str
    simulated: Simulated
    bound: float  # cycles

    @property
    def efficiency(self) -> float:
        return self.bound / self.simulated.cycles

    @property
    def macs_per_cycle(self) -> float:
        return self.compiled.macs / self.simulated.cycles


def compiled_loops(case: Case, target: Target) -> list[Compiled]:
    """The hot loops of a case that differ in their instructions."""
    hot: list[HotLoop] = []
    text = ""
    for level in _levels(case.build(), target):
        if level.name == "isa":
            hot = necessary.hot_loops(level.module, target)
        elif level.name == "asm":
            text = str(level.printed())
            break
    found: dict[tuple[str, ...], Compiled] = {}
    for loop, work in _pairs(assembly.hot_loops(text), hot, f"{case.name} on {target.name}"):
        found.setdefault(loop.opcodes, Compiled(case.name, target, loop, work))
    return list(found.values())


def _pairs(
    loops: Sequence[Loop], hot: Sequence[HotLoop], where: str
) -> Iterator[tuple[Loop, HotLoop]]:
    transforms = _paired_transforms(loops, hot, where)
    for loop in loops:
        if loop.is_transform:
            yield loop, transforms[loop]
            continue
        same = [
            work
            for work in hot
            if (work.function, work.width, work.signature)
            == (loop.function, loop.width, loop.signature)
        ]
        if not same:
            raise LpcError(f"{where}: no kernel has a loop of {loop.signature}")
        # 14 pixels × 2 vectors, or two steps of 14 × 1: the broadcasts tell them apart.
        yield loop, min(same, key=lambda known: abs(known.broadcasts - loop.broadcasts))


def _paired_transforms(
    loops: Sequence[Loop], hot: Sequence[HotLoop], where: str
) -> dict[Loop, HotLoop]:
    """By how much they add and shift, since branches of a kernel may have changed places."""

    def kind(transform: Loop | HotLoop) -> tuple[str, int, int]:
        return transform.function, transform.width, transform.arithmetic

    texts = sorted((loop for loop in loops if loop.is_transform), key=kind)
    works = sorted((work for work in hot if not work.signature), key=kind)
    if [kind(text)[:2] for text in texts] != [kind(work)[:2] for work in works]:
        raise LpcError(f"{where}: a kernel's transform is not in its assembly")
    return dict(zip(texts, works, strict=True))


def _levels(module: ModuleOp, target: Target) -> Iterator[driver.Level]:
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    return driver.target_levels(module, target, context, lambda level, name: None)


def rows_of(loops: Sequence[Compiled], cpu: str) -> list[Row]:
    """All in one run of the simulator."""
    blocks: list[Sequence[str]] = []
    repeats: list[list[int]] = []
    for compiled in loops:
        work, lines = compiled.work, compiled.loop.lines
        if compiled.loop.is_tiled:
            lines, ways = tuple(x for x in lines if not tile_unit.is_tile_instruction(x)), []
        else:
            ways = mixes(work.work, work.width, compiled.target.registers)
        blocks += [lines, *(block for block, _ in ways)]
        repeats.append([repeat for _, repeat in ways])
    results, rows = iter(simulate(cpu, blocks)), []
    for compiled, counts in zip(loops, repeats, strict=True):
        own = next(results)
        if compiled.loop.is_tiled:
            rows.append(_row_of_tiles(compiled, cpu, own))
            continue
        bound = min(next(results).cycles / count for count in counts)
        rows.append(Row(compiled, cpu, own, bound))
    return rows


def _row_of_tiles(compiled: Compiled, cpu: str, others: Simulated) -> Row:
    """`others`: the simulated instructions, which are those on other registers."""
    bound = tile_unit.bound(compiled.work.work)
    cycles = max(bound, others.cycles)
    ports = (*others.ports, *tile_unit.busy(compiled.work.work))
    return Row(compiled, cpu, Simulated(cycles, ports), bound)


def prove(target: str, cpus: Sequence[str] = (), cases: Sequence[Case] = CASES) -> list[Row]:
    """Loops that several cases share appear once, with the first of them."""
    loops: dict[tuple[str, ...], Compiled] = {}
    for case in cases:
        for compiled in compiled_loops(case, by_name(target)):
            loops.setdefault(compiled.loop.opcodes, compiled)
    return [row for cpu in cpus or MODELS[target] for row in rows_of(list(loops.values()), cpu)]
