"""LLVM on all cores: every kernel becomes an object of its own, in one of several processes
(llvmlite lets a process make one call at a time).

The bytes of an object do not depend on who made it, so neither do those of the library. This
process takes its share of the work, and finishes what a helper could not; it does everything where
helpers would not pay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from . import machine
from .targets import Target

#: Characters of LLVM IR that take longer to compile than a helper takes to start.
_WORTH_A_HELPER = 200_000


def compile_pieces(texts: Sequence[str], target: Target) -> tuple[bytes, ...]:
    """The object code of every text, in order."""
    return _Work(texts, target).done_by(_helper_count(texts))


def _helper_count(texts: Sequence[str]) -> int:
    if not Path(sys.executable or "").name.startswith("python"):
        return 0  # part of another program, which would start instead
    idle = len(os.sched_getaffinity(0)) - 1
    return min(idle, len(texts) - 1, sum(map(len, texts)) // _WORTH_A_HELPER)


@dataclass
class _Work:
    """Pieces to do, which everyone takes from the front."""

    texts: Sequence[str]
    target: Target
    left: deque[int] = field(init=False)
    objects: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = deque(range(len(self.texts)))

    def done_by(self, helpers: int) -> tuple[bytes, ...]:
        threads = [Thread(target=self._help) for _ in range(helpers)]
        for thread in threads:
            thread.start()
        try:
            self._take_all(self._here)
        finally:
            self.left.clear()
            for thread in threads:
                thread.join()
        # A helper that failed has left its piece undone.
        everything = enumerate(self.texts)
        return tuple(self.objects.get(n) or self._here(text) for n, text in everything)

    def _here(self, text: str) -> bytes:
        return machine.object_code(text, self.target)

    def _help(self) -> None:
        try:
            with _helper(self.target) as compile_there:
                self._take_all(compile_there)
        except (OSError, EOFError):
            return

    def _take_all(self, compile_one: Callable[[str], bytes]) -> None:
        while True:
            try:
                number = self.left.popleft()
            except IndexError:
                return
            self.objects[number] = compile_one(self.texts[number])


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
