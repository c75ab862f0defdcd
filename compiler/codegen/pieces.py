"""LLVM on all cores: every kernel becomes an object of its own, in one of several processes
(llvmlite lets a process make one call at a time), from the moment its text is known.

    with Pieces(target) as pieces:
        for text in texts:
            pieces.add(text)
        objects = pieces.objects()

The bytes of an object do not depend on who made it, so neither do those of the library. This
process takes its share of the work once all texts are known, and finishes what a helper could not;
it does everything where helpers would not pay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

from . import machine
from .targets import Target

#: Characters of LLVM IR that take longer to compile than a helper takes to start.
_WORTH_A_HELPER = 150_000


def idle_cores() -> int:
    """How many helpers have a core to run on."""
    if not Path(sys.executable or "").name.startswith("python"):
        return 0  # Python is part of another program, which would start instead.
    return len(os.sched_getaffinity(0)) - 1


class Pieces:
    """The texts of one program on their way to object code."""

    def __init__(self, target: Target):
        self._target = target
        self._texts: list[str] = []
        self._characters = 0
        self._objects: dict[int, bytes] = {}
        # Numbers of texts that nobody has begun; None after the last one, and it stays there.
        self._left: SimpleQueue[int | None] = SimpleQueue()
        self._helpers: list[Thread] = []
        self._most_helpers = idle_cores()

    def add(self, text: str) -> None:
        self._left.put(len(self._texts))
        self._texts.append(text)
        self._characters += len(text)
        worth = self._characters // _WORTH_A_HELPER
        if len(self._helpers) < min(worth, self._most_helpers):
            self._helpers.append(Thread(target=self._help, daemon=True))
            self._helpers[-1].start()

    def objects(self) -> tuple[bytes, ...]:
        """The object code of every text, in order."""
        self._left.put(None)
        self._take_all(self._here)
        self._join()
        # A helper that failed has left its piece undone.
        everything = enumerate(self._texts)
        return tuple(self._objects.get(n) or self._here(text) for n, text in everything)

    def __enter__(self) -> Pieces:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while not self._left.empty():
            self._left.get()
        self._left.put(None)
        self._join()

    def _join(self) -> None:
        for thread in self._helpers:
            thread.join()

    def _here(self, text: str) -> bytes:
        return machine.object_code(text, self._target)

    def _help(self) -> None:
        try:
            with _helper(self._target) as compile_there:
                self._take_all(compile_there)
        except (OSError, EOFError):
            return

    def _take_all(self, compile_one: Callable[[str], bytes]) -> None:
        while (number := self._left.get()) is not None:
            self._objects[number] = compile_one(self._texts[number])
        self._left.put(None)


@contextmanager
def _helper(target: Target) -> Iterator[Callable[[str], bytes]]:
    """Starts machine.py as a process. OSError or EOFError if it fails."""
    # -P: the modules beside machine.py are not to hide Python's.
    command = [sys.executable, "-P", machine.__file__, target.llvm_cpu, target.llvm_features]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None

        def compile_there(text: str) -> bytes:
            machine.send(requests, text.encode())
            return machine.receive(answers)

        yield compile_there
