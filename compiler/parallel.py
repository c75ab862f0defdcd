"""Pure functions on all cores, in helper processes (Python and llvmlite do one thing at a time in a
process), from the moment a job is known.

    with Helpers() as helpers:
        with Parallel(function, helpers) as work:
            for job in jobs:
                work.add(seconds, job)
            results = work.results()

Who does a job does not change its result. This process takes its share of the jobs once all are
known, and finishes what a helper could not; it does everything where helpers would not pay. A
helper is this file, run as a program: it imports the function, and reads and writes pickles. It
waits for the jobs of the next `Parallel` until its `Helpers` end.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from math import inf
from pathlib import Path
from queue import PriorityQueue
from threading import Thread
from typing import Any, Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: Estimated seconds of work from which on one more helper pays: for its start, for its use.
_WORTH_A_START = 2.0
_WORTH_A_CALL = 0.05

_END = (inf, -1)


def idle_cores() -> int:
    """How many helpers have a core to run on."""
    if not Path(sys.executable or "").name.startswith("python"):
        return 0  # Python is part of another program, which would start instead.
    return len(os.sched_getaffinity(0)) - 1


class Helpers:
    """Processes that wait for calls; `modules` are imported by each as soon as it starts."""

    def __init__(self, *modules: str):
        self._modules = modules
        self._idle: list[subprocess.Popen[bytes]] = []

    def start(self, seconds: float) -> None:
        """Starts as many as so much work is worth, and does not wait for them."""
        for _ in range(min(idle_cores(), int(seconds / _WORTH_A_START))):
            try:
                self._idle.append(self._started())
            except OSError:
                return

    @property
    def waiting(self) -> int:
        return len(self._idle)

    @contextmanager
    def one(self) -> Iterator[Callable[[Callable[..., Any], tuple[object, ...]], Any]]:
        """Calls a function in a process of its own. OSError, EOFError or PickleError if it fails:
        then its process is not used again."""
        process = self._idle.pop() if self._idle else self._started()
        try:
            yield partial(_call, process)
        except BaseException:
            _end(process)
            raise
        self._idle.append(process)

    def _started(self) -> subprocess.Popen[bytes]:
        # -P: the folder that this process happens to be in is none of the helper's business.
        command = [sys.executable, "-P", "-m", __name__, *self._modules]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)

    def __enter__(self) -> Helpers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in self._idle:
            _end(process)
        self._idle.clear()


def _call(
    process: subprocess.Popen[bytes], function: Callable[..., Any], job: tuple[object, ...]
) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump((function, job), process.stdin, pickle.HIGHEST_PROTOCOL)
    process.stdin.flush()
    return pickle.load(process.stdout)


def _end(process: subprocess.Popen[bytes]) -> None:
    """At once, even in the middle of its start, or of a call whose result nobody waits for."""
    process.kill()
    with suppress(OSError):  # of what a dead process has not read
        process.communicate()


class Parallel(Generic[Arguments, Result]):
    """Calls of one function, which has to be at the top level of its module."""

    def __init__(self, function: Callable[Arguments, Result], helpers: Helpers | None = None):
        self._function = function
        self._jobs: list[tuple[object, ...]] = []
        self._results: dict[int, Result] = {}
        self._seconds = 0.0
        # (−seconds, number) of jobs that nobody has begun: long ones first, so that all end
        # together. `_END` after the last one, and it stays there.
        self._left: PriorityQueue[tuple[float, int]] = PriorityQueue()
        self._owns_helpers = helpers is None
        self._helpers = Helpers() if helpers is None else helpers
        self._waiting = self._helpers.waiting
        self._threads: list[Thread] = []

    def add(self, seconds: float, /, *arguments: Arguments.args, **_: Arguments.kwargs) -> None:
        """One more call, which will take about `seconds`."""
        self._left.put((-seconds, len(self._jobs)))
        self._jobs.append(arguments)
        self._seconds += seconds
        threads = len(self._threads)
        worth = _WORTH_A_CALL if threads < self._waiting else _WORTH_A_START
        if threads < idle_cores() and self._seconds >= worth * (threads + 1):
            self._threads.append(Thread(target=self._help, daemon=True))
            self._threads[-1].start()

    def results(self) -> list[Result]:
        """What the calls returned, in order. The first exception of a call, if there is one."""
        self._left.put(_END)
        self._take_all(self._here)
        self._join()
        # A helper that failed has left its job undone.
        undone = self._results.keys() ^ range(len(self._jobs))
        self._results.update({number: self._here(self._jobs[number]) for number in sorted(undone)})
        return [self._results[number] for number in range(len(self._jobs))]

    def __enter__(self) -> Parallel[Arguments, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        while not self._left.empty():
            self._left.get()
        self._left.put(_END)
        self._join()
        if self._owns_helpers:
            self._helpers.close()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _here(self, job: tuple[object, ...]) -> Result:
        return self._function(*job)  # type: ignore[call-arg, arg-type]

    def _help(self) -> None:
        try:
            with self._helpers.one() as call_there:
                self._take_all(partial(call_there, self._function))
        except (OSError, EOFError, pickle.PickleError):
            return

    def _take_all(self, call: Callable[[tuple[object, ...]], Result]) -> None:
        while (place := self._left.get()) != _END:
            self._results[place[1]] = call(self._jobs[place[1]])
        self._left.put(_END)


def _serve() -> None:
    """Answers calls until there are no more, or until one fails."""
    # Whatever else is printed goes nowhere, and not between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while True:
            try:
                function, job = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(function(*job), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        import_module(name)
    _serve()
