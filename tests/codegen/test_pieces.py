"""Objects are the same whoever made them, and are made even where helpers fail."""

from __future__ import annotations

import os
import sys

import pytest
from lpc.compiler.codegen import machine, pieces
from lpc.compiler.codegen.pieces import compile_pieces
from lpc.compiler.codegen.targets import by_name

TARGET = by_name("avx2")
TEXTS = [f"define i32 @f{n}(i32 %x) {{\n %y = add i32 %x, {n}\n ret i32 %y\n}}" for n in range(9)]


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_helper_count", lambda texts: 2)


@pytest.fixture
def alone() -> tuple[bytes, ...]:
    objects = compile_pieces(TEXTS, TARGET)
    assert all(piece.startswith(b"\x7fELF") for piece in objects)
    return objects


@pytest.mark.usefixtures("helped")
def test_helpers_make_the_same_objects(alone: tuple[bytes, ...]) -> None:
    assert compile_pieces(TEXTS, TARGET) == alone


@pytest.mark.usefixtures("helped")
def test_helpers_alone_make_the_same_objects(
    alone: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process does nothing before the helpers are done."""
    monkeypatch.setattr(machine, "object_code", None)
    work = pieces._Work(TEXTS, TARGET)
    work._help()
    assert tuple(work.objects[n] for n in range(len(TEXTS))) == alone


@pytest.mark.usefixtures("helped")
@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program", "/bin/cat"])
def test_helpers_that_fail_do_not_matter(
    program: str, alone: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert compile_pieces(TEXTS, TARGET) == alone


@pytest.mark.usefixtures("helped")
def test_wrong_text_is_reported_by_llvm() -> None:
    with pytest.raises(RuntimeError, match="LLVM"):
        compile_pieces([*TEXTS, "define nonsense"], TARGET)


def test_no_helpers_for_little_work_or_in_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    big = ["x" * 1_000_000] * 5
    assert pieces._helper_count(TEXTS) == 0
    assert pieces._helper_count(big) == 4
    monkeypatch.setattr(sys, "executable", "/usr/bin/editor")
    assert pieces._helper_count(big) == 0
