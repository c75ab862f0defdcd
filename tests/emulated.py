"""The property tests of kernels and whole networks, emulated, a process and a CPU model per target.

    python tests/emulated.py                       all targets, few cases: part of make test
    python tests/emulated.py --cases 20000 --networks     make test-emulated
    python tests/emulated.py --target avx2 -- tests/codegen/test_pools.py -k global

Each process tests one target (LPC_TEST_EMULATE) on the oldest CPU model that has what the target
requires. Ends with a table: generated cases, all cases compared (one output of one layer each),
instructions, shares of multiply-adds and of vector instructions, seconds.

LPC_TEST_RANDOM=1 tries other cases than the last time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from emulation import CPU_MODELS, emulator_missing
from lpc.compiler.codegen.targets import TARGETS
from watched import share_of_dots, share_of_vectors

TESTS = Path(__file__).parent
#: They look at code, or want silicon, or compile for all targets at once.
FILES_LEFT_OUT = ("assembly", "loop_interpreter", "addresses", "kernel_code")
KERNELS = [
    str(TESTS / "codegen"),
    *(f"--ignore={TESTS}/codegen/test_{name}.py" for name in FILES_LEFT_OUT),
]
NETWORKS = [
    str(TESTS / "test_real_models.py"),
    str(TESTS / "benchmarks" / "test_emulated_networks.py"),
]
#: Of tests/test_real_models.py: what takes a target. The rest is part of `make test`, as is what is
#: marked: no target changes it.
SELECTED = ["-k", "not accura and not agree and not float_models", "-m", "not once"]
#: Cases that the property tests of tests/codegen generate for LPC_TEST_CASES=1.
CASES_OF_A_ROUND = 228
#: The support code of a library needs libc's memcpy, which libc chooses for the CPU of the process.
PLAIN_LIBC = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM"
TOP = 6


@dataclass(frozen=True)
class Result:
    """What the process of one target reported."""

    target: str
    status: int
    output: str
    seconds: float
    cases: int
    generated: int
    runs: int
    opcodes: Counter[str]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=0, help="generated cases of all targets")
    parser.add_argument("--networks", action="store_true", help="also real and large networks")
    parser.add_argument("--target", action="append", choices=list(CPU_MODELS), help="(all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, instead of these tests")
    return parser.parse_args()


def run(target: str, rounds: float, tests: list[str], folder: Path) -> Result:
    record = folder / target
    record.mkdir()
    environment = {
        **os.environ,
        "LPC_TEST_EMULATE": target,
        "LPC_TEST_CASES": str(rounds),
        "LPC_TEST_RECORD": str(record),
        "GLIBC_TUNABLES": PLAIN_LIBC,
    }
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests],
        env=environment, capture_output=True, text=True, check=False, cwd=TESTS.parent,
    )  # fmt: skip
    seconds = time.monotonic() - begin
    opcodes: Counter[str] = Counter()
    cases = generated = runs = 0
    for path in record.glob("*.json"):
        content = json.loads(path.read_text())
        cases += content["cases"].get(target, 0)
        generated += content["generated"].get(target, 0)
        runs += content["runs"]
        opcodes.update(content["opcodes"])
    return Result(target, done.returncode, done.stdout, seconds, cases, generated, runs, opcodes)


HEAD = (
    "target        CPU model    generated    cases     runs  instructions  dots  vectors  seconds"
)


def line(r: Result) -> str:
    """The row of the table under `HEAD`, and the commonest opcodes below it."""
    total = sum(r.opcodes.values())
    shares = (share_of_dots(r.opcodes), share_of_vectors(r.opcodes)) if total else (0.0, 0.0)
    top = ", ".join(f"{name} {count / total:.0%}" for name, count in r.opcodes.most_common(TOP))
    return (
        f"{r.target:13} {CPU_MODELS[r.target]:12} {r.generated:9} {r.cases:8} {r.runs:8} "
        f"{total:13.3g} {shares[0]:5.0%} {shares[1]:8.0%} {r.seconds:8.0f}\n    {top}"
    )


def main() -> int:
    options = arguments()
    if reason := emulator_missing():
        print(f"no emulator: {reason}")
        return 1 if os.environ.get("REQUIRE_EMULATOR") else 0
    targets = options.target or [t.name for t in TARGETS if t.name in CPU_MODELS]
    rounds = ceil(options.cases / len(targets) / CASES_OF_A_ROUND) or 0.5
    tests = options.pytest or [*KERNELS, *(NETWORKS if options.networks else []), *SELECTED]
    print(HEAD, flush=True)
    results = []

    def tested(name: str) -> Result:
        # The last of an odd number of targets would keep one core busy, and leave the other.
        is_alone = name == targets[-1] and len(targets) % options.jobs == 1 < options.jobs
        spread = ["-n", str(options.jobs), "--dist=worksteal"] if is_alone else []
        return run(name, rounds, [*tests, *spread], Path(folder))

    with TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(tested, targets):
            print(result.output if result.status else "", line(result), sep="", flush=True)
            results.append(result)
    generated, cases = (sum(getattr(r, kind) for r in results) for kind in ("generated", "cases"))
    print(f"generated cases: {generated}, of {cases} compared")
    untested = [t.name for t in TARGETS if t.name not in CPU_MODELS]
    if untested:
        print(f"not emulated: {', '.join(untested)}")
    enough = bool(options.pytest) or generated >= options.cases
    if not enough:
        print(f"fewer than {options.cases} generated cases")
    return 0 if enough and not any(result.status for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
