"""Objects are the same whoever made them, and are made even where helpers fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest
from lpc.compiler.codegen import pieces
from lpc.compiler.codegen.pieces import Pieces, idle_cores
from lpc.compiler.codegen.targets import by_name

TARGET = by_name("avx2")
TEXTS = [f"define i32 @f{n}(i32 %x) {{\n %y = add i32 %x, {n}\n ret i32 %y\n}}" for n in range(9)]


def compile_pieces(texts: Sequence[str]) -> tuple[bytes, ...]:
    with Pieces(TARGET) as work:
        for text in texts:
            work.add(text)
        return work.objects()


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "idle_cores", lambda: 2)
    monkeypatch.setattr(pieces, "_WORTH_A_HELPER", 100)


@pytest.fixture
def alone() -> tuple[bytes, ...]:
    objects = compile_pieces(TEXTS)
    assert all(piece.startswith(b"\x7fELF") for piece in objects)
    return objects


@pytest.mark.usefixtures("helped")
def test_helpers_make_the_same_objects(alone: tuple[bytes, ...]) -> None:
    assert compile_pieces(TEXTS) == alone


def test_helpers_alone_make_the_same_objects(
    alone: tuple[bytes, ...], helped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process takes no piece."""
    monkeypatch.setattr(Pieces, "_here", None)
    take_all = Pieces._take_all
    monkeypatch.setattr(Pieces, "_take_all", lambda self, there: there and take_all(self, there))
    assert compile_pieces(TEXTS) == alone


def test_pieces_that_nobody_wants_any_more_are_left(helped: None) -> None:
    with Pieces(TARGET) as work:
        for text in TEXTS * 20:
            work.add(text)
    assert len(work._objects) < len(TEXTS) * 20


@pytest.mark.usefixtures("helped")
@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program", "/bin/cat"])
def test_helpers_that_fail_do_not_matter(
    program: str, alone: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert compile_pieces(TEXTS) == alone


@pytest.mark.usefixtures("helped")
def test_wrong_text_is_reported_by_llvm() -> None:
    with pytest.raises(RuntimeError, match="LLVM"):
        compile_pieces([*TEXTS, "define nonsense"])


def test_no_helpers_for_little_work_or_in_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert idle_cores() == 7
    with Pieces(TARGET) as work:
        for text in TEXTS:
            work.add(text)
        assert not work._helpers
    monkeypatch.setattr(sys, "executable", "/usr/bin/editor")
    assert idle_cores() == 0
