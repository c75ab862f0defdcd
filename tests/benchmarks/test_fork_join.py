"""The program whose steps are timed does what they are meant to, on any number of threads."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from lpc.compiler.codegen.jit import JitLibrary
from lpc.runtime import Model

from benchmarks import fork_join


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_step_counts_once(threads: int) -> None:
    library = JitLibrary(fork_join.program(7), fork_join._INFO)
    model = Model(library.address, "fork-join", num_threads=threads)
    for _ in range(10):
        assert (fork_join.run_once(model) == 7).all()


def test_a_figure_a_line() -> None:
    done = CliRunner().invoke(fork_join.main, ["--threads", "2"])
    assert done.exit_code == 0, done.output
    assert re.findall(r"(?m)^(\w[\w ]*?) +-?\d+\.\d{3} us$", done.output) == [
        "alone", "shared", "fork and join"
    ]  # fmt: skip
