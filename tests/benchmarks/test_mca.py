"""The speed proof: hot loops against the limits of CPU models, and the page that shows them."""

from __future__ import annotations

import os

import pytest
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.errors import LpcError

from benchmarks.mca import assembly, mix, necessary, report, tile_unit, tool
from benchmarks.mca.cases import CASES, Case, convolution
from benchmarks.mca.exceptions import EXCEPTIONS, allowed, exception_for
from benchmarks.mca.proof import ENOUGH, MODELS, OWN, compiled_loops, prove

ASSEMBLY = """
\t.globl\tlpc_kernel0_avx2.body
lpc_kernel0_avx2.body:
\tpushq\t%rbp
.LBB0_1:
\tmovq\t(%rax), %rcx
.LBB0_2:
\tvpmaddubsw\t(%rdi), %ymm1, %ymm2
\tvpmaddwd\t%ymm0, %ymm2, %ymm2
\tvpaddd\t32(%rsp), %ymm2, %ymm2
\tvmovdqa\t%ymm2, (%rbp)
\tdecq\t%rcx
\tjne\t.LBB0_2
\tjmp\t.LBB0_1
"""

#: An outer loop that begins with a transform, whose sums are indexed scratch, as are its results.
TRANSFORM = """
lpc_kernel1_avx2.body:
\tpushq\t%rbp
.LBB1_1:
\tvmovdqa\t6272(%rsp,%r12), %ymm0
ADDITIONS
\tvmovdqa\t%ymm1, 64(%rsp)
\tvmovdqa\t%ymm1, 96(%rsp)
\tvpaddd\t96(%rsp), %ymm0, %ymm1
.LBB1_2:
\tvcvtdq2ps\t64(%rsp,%rax), %ymm0
\tjne\t.LBB1_2
\tjne\t.LBB1_1
""".replace("ADDITIONS", "\n".join(["\tvpaddd\t%ymm0, %ymm1, %ymm1"] * assembly.TRANSFORMS_FROM))
TILES = """
\ttileloadd\t(%rdi,%rbx), %tmm1
\ttileloadd\t(%rdi,%rbx), %tmm4
\ttileloadd\t(%r10,%r14), %tmm5
\ttdpbusd\t%tmm4, %tmm5, %tmm0
\ttdpbusd\t%tmm4, %tmm5, %tmm0
\ttdpbusd\t%tmm4, %tmm5, %tmm1
"""


def need_llvm_mca() -> None:
    """Skips, or with REQUIRE_MCA fails, where there is no simulator."""
    try:
        tool.llvm_mca()
    except LpcError as error:
        if os.environ.get("REQUIRE_MCA"):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("target", OWN)
def test_hot_loops_reach_their_limit(target: str) -> None:
    need_llvm_mca()
    failures = []
    for row in prove(target, OWN[target]):
        if report.falls_short(row) and not allowed(row):
            failures.append(" ".join((row.cpu, *report.cells(row))))
    assert not failures, "\n".join([f"below {ENOUGH:.0%}, or with spills:", *failures])


def test_innermost_loops_are_found_with_their_spills() -> None:
    (loop,) = assembly.hot_loops(ASSEMBLY)
    assert loop.function == "lpc_kernel0_avx2"
    assert loop.signature == (("vpmaddubsw", 1), ("vpmaddwd", 1))
    assert (loop.width, loop.spills, len(loop.lines)) == (32, 1, 6)


def test_a_frame_pointer_leads_to_the_stack() -> None:
    framed = ASSEMBLY.replace("\tpushq\t%rbp\n", "\tpushq\t%rbp\n\tmovq\t%rsp, %rbp\n")
    (loop,) = assembly.hot_loops(framed)
    assert loop.spills == 2


def test_a_transform_is_found_and_its_scratch_is_no_spill() -> None:
    (block,) = assembly.hot_loops(TRANSFORM)
    assert block.is_transform
    assert block.signature == ()
    assert (block.width, block.spills) == (32, 2)
    fewer = TRANSFORM.replace("\tvpaddd\t%ymm0, %ymm1, %ymm1\n", "", 2)
    assert not assembly.hot_loops(fewer)


def test_opcodes_have_no_form() -> None:
    names = {assembly.opcode(f"{form}pdpbusd\t%ymm0, %ymm1, %ymm2") for form in ("v", "{vex}\tv")}
    assert names == {"pdpbusd"}


def test_winograd_has_transforms_of_inputs_and_outputs() -> None:
    (case,) = [c for c in CASES if c.name == "3x3 64 to 64, 56x56"]
    loops = [loop for loop in compiled_loops(case, by_name("avx512_vnni")) if not loop.macs]
    assert [loop.work.work["load"] % 36 for loop in loops] == [0, 0]
    stores = [loop.work.work["store"] for loop in loops]
    assert (stores[0], stores[1] % 16) == (36, 0)


def test_weights_are_transformed_where_few_tiles_share_them() -> None:
    (case,) = [c for c in CASES if c.name == "3x3 256 to 256, 14x14"]
    loops = [loop for loop in compiled_loops(case, by_name("avx2")) if not loop.macs]
    weights = [loop.work.work for loop in loops if loop.work.work["sext8to16"]]
    vectors = [(work["load"], work["store"]) for work in weights]
    n = vectors[0][0] // 6
    assert vectors == [(6 * n, 12 * n), (9 * n, 12 * n), (9 * n, 12 * n)]


def test_time_in_tile_registers() -> None:
    lines = TILES.strip().splitlines()
    counts = {"tileloadd": 3, "tdpbusd": 3}
    assert tile_unit.busy(counts) == (("TileMultiply", 48), ("TileLoad", 24))
    assert tile_unit.bound(counts) == 48
    assert all(map(tile_unit.is_tile_instruction, lines))


def test_multiply_adds_in_tile_registers() -> None:
    (case,) = [c for c in CASES if c.name == "1x1 256 to 64, 56x56, small weights"]
    (loop,) = compiled_loops(case, by_name("amx_int8"))
    assert loop.form == "4 tdpbusd, as documented"
    assert loop.macs == 4 * 16 * 16 * 64


@pytest.mark.parametrize(
    ("kernel", "size", "k", "n", "is_read"), [(1, 112, 4, 1, 0), (3, 56, 3, 2, 1)]
)
def test_necessary_work_of_a_chain_is_that_of_the_cost_model(
    kernel: int, size: int, k: int, n: int, is_read: int
) -> None:
    """k·m·n multiplies, (k − 1)·m·n additions of halves, … (compiler/contractions/cost.py), and for
    windows, but not for gathered inputs, a place each."""
    case = Case("not Winograd's", convolution(256, 64, kernel, size, 10, stride=2))
    works = [loop.work.work for loop in compiled_loops(case, by_name("avx2")) if loop.macs]
    work = next(w for w in works if w["vpmaddubsw"] == k * w["vpmaddwd"])
    sums = work["vpmaddwd"]
    assert (work["vpaddw"], work["vpaddd"]) == ((k - 1) * sums, sums)
    assert (work["load"], work["broadcast32"]) == (k * n, k * sums // n)
    assert work["scalar_load"] == k * is_read


def test_work_becomes_independent_instructions() -> None:
    work = necessary.Work({"vpmaddubsw": 2, "vpmaddwd": 1, "load": 1, "broadcast32": 2})
    for lines, repeat in mix.mixes(work, 32, 16):
        text = "\n".join(lines)
        assert text.count("vpmaddubsw") == 2 * repeat
        assert text.count("(%rdi)") == 3 * repeat
        written = [line.rsplit("%", 1)[1] for line in lines]
        assert not {"ymm0", "ymm1"} & set(written)


def test_vnni_has_the_form_of_its_target() -> None:
    work = necessary.Work({"vpdpbusd": 2, "vpdpbssd": 1, "load": 1})
    for registers, forms in ((16, {"{vex} vpdpbusd", "vpdpbssd"}), (32, {"vpdpbusd", "vpdpbssd"})):
        for lines, _ in mix.mixes(work, 32, registers):
            assert {line.partition(" %")[0].partition(" (")[0] for line in lines} >= forms


def test_a_missing_simulator_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLVM_MCA", "no-such-program")
    tool.llvm_mca.cache_clear()
    with pytest.raises(LpcError, match=r"^no no-such-program; install it .*LLVM_MCA$"):
        tool.llvm_mca()
    tool.llvm_mca.cache_clear()


def test_the_page_has_every_case_on_every_model() -> None:
    generated = report.DOCS.read_text().partition(report.MARK)[2]
    titles = [line.removeprefix("## ") for line in generated.splitlines() if line[:3] == "## "]
    assert titles == [f"{target} on {cpu}" for target, cpus in MODELS.items() for cpu in cpus]
    header = "| " + " | ".join(report.HEADER) + " |"
    assert generated.count(header) == len(titles)
    rows = [line for line in generated.splitlines() if line.startswith("| ") and "%" in line]
    shown = {line.split(" | ")[0].removeprefix("| ") for line in rows}
    assert shown <= {case.name for case in CASES}
    assert all(line.count(" | ") == len(report.HEADER) - 1 for line in rows)


def test_exceptions_say_why() -> None:
    for exception in EXCEPTIONS:
        assert exception.reason
        assert exception.least < 1
        assert any(case.name.startswith(exception.case) for case in CASES)


def test_exceptions_are_found_by_case_and_model() -> None:
    need_llvm_mca()
    (case,) = [c for c in CASES if c.name == "3x3 64 to 64, 56x56"]
    rows = prove("avx512_vnni", ("icelake-server",), [case])
    found = {row.compiled.form.partition(",")[0]: exception_for(row) for row in rows}
    transform = found.pop("transform")
    assert transform is not None
    assert transform.loop == "transform"
    assert list(found.values()) == [None]
