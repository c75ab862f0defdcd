"""Results are the same whoever computed them, and are computed even where helpers fail."""

from __future__ import annotations

import operator
import os
import sys

import pytest
from lpc.compiler import parallel
from lpc.compiler.codegen import machine
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.parallel import Helpers, Parallel, idle_cores

TARGET = by_name("avx2")
TEXTS = [f"define i32 @f{n}(i32 %x) {{\n %y = add i32 %x, {n}\n ret i32 %y\n}}" for n in range(9)]


def objects() -> list[bytes]:
    with Parallel(machine.object_code) as work:
        for text in TEXTS:
            work.add(1.0, text, TARGET)
        return work.results()


@pytest.fixture
def alone() -> list[bytes]:
    return [machine.object_code(text, TARGET) for text in TEXTS]


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "idle_cores", lambda: 2)


@pytest.mark.usefixtures("helped")
def test_helpers_compute_the_same(alone: list[bytes]) -> None:
    assert objects() == alone


@pytest.mark.usefixtures("only_helpers")
def test_helpers_without_this_process_compute_the_same(alone: list[bytes]) -> None:
    assert objects() == alone


@pytest.mark.usefixtures("helped")
@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program", "/bin/cat"])
def test_helpers_that_fail_do_not_matter(
    program: str, alone: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert objects() == alone


@pytest.mark.usefixtures("helped")
def test_the_exception_of_a_call_is_raised_here() -> None:
    with Parallel(operator.floordiv) as work:
        for n in range(9):
            work.add(1.0, 720, n - 4)
        with pytest.raises(ZeroDivisionError):
            work.results()


@pytest.mark.usefixtures("helped")
def test_what_a_call_prints_is_not_taken_for_an_answer() -> None:
    with Parallel(print) as work:
        for n in range(9):
            work.add(1.0, n)
        assert work.results() == [None] * 9


@pytest.mark.usefixtures("helped")
def test_jobs_that_nobody_wants_any_more_are_left() -> None:
    with Parallel(machine.object_code) as work:
        for text in TEXTS * 20:
            work.add(1.0, text, TARGET)
    assert len(work._results) < len(TEXTS) * 20


@pytest.mark.usefixtures("helped")
def test_helpers_wait_for_the_next_calls() -> None:
    with Helpers("operator") as helpers:
        helpers.start(4.0)
        assert helpers.waiting == 2
        for function in (operator.add, operator.sub, operator.mul):
            with Parallel(function, helpers) as work:
                for n in range(9):
                    work.add(1.0, n, 3)
                assert work.results() == [function(n, 3) for n in range(9)]
            assert helpers.waiting == 2
    assert helpers.waiting == 0


@pytest.mark.usefixtures("helped")
def test_a_helper_that_failed_is_not_asked_again() -> None:
    with Helpers() as helpers:
        helpers.start(4.0)
        with Parallel(operator.floordiv, helpers) as work:
            for n in range(9):
                work.add(1.0, 720, n - 4)
            with pytest.raises(ZeroDivisionError):
                work.results()
        with Parallel(operator.add, helpers) as work:
            for n in range(9):
                work.add(1.0, n, n)
            assert work.results() == list(range(0, 18, 2))


def test_no_helpers_for_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "idle_cores", lambda: 7)
    with Parallel(operator.add) as work:
        for n in range(9):
            work.add(0.2, n, n)
        assert not work._threads
        assert work.results() == list(range(0, 18, 2))


def test_no_helpers_where_python_is_part_of_another_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert idle_cores() == 7
    monkeypatch.setattr(sys, "executable", "/usr/bin/editor")
    assert idle_cores() == 0
