"""Pure functions on all cores, in helper processes (Python and llvmlite do one thing at a time in a
process), from the moment a job is known.

    with Parallel(function) as work:
        for job in jobs:
            work.add(seconds, job)
        results = work.results()

Who does a job does not change its result. This process takes its share of the jobs once all are
known, and finishes what a helper could not; it does everything where helpers would not pay. A
helper is this file, run as a program: it can import the function, and reads and writes pickles.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from math import inf
from pathlib import Path
from queue import PriorityQueue
from threading import Thread
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: Estimated seconds of work from which on one more helper pays for its start.
_WORTH_A_HELPER = 0.1

_END = (inf, -1)


def idle_cores() -> int:
    """How many helpers have a core to run on."""
    if not Path(sys.executable or "").name.startswith("python"):
        return 0  # Python is part of another program, which would start instead.
    return len(os.sched_getaffinity(0)) - 1


class Parallel(Generic[Arguments, Result]):
    """Calls of one function, which has to be at the top level of its module."""

    def __init__(self, function: Callable[Arguments, Result]):
        self._function = function
        self._jobs: list[tuple[object, ...]] = []
        self._results: dict[int, Result] = {}
        self._seconds = 0.0
        # (−seconds, number) of jobs that nobody has begun: long ones first, so that all end
        # together. `_END` after the last one, and it stays there.
        self._left: PriorityQueue[tuple[float, int]] = PriorityQueue()
        self._helpers: list[Thread] = []
        self._most_helpers = idle_cores()

    def add(self, seconds: float, /, *arguments: Arguments.args, **_: Arguments.kwargs) -> None:
        """One more call, which will take about `seconds`."""
        self._left.put((-seconds, len(self._jobs)))
        self._jobs.append(arguments)
        self._seconds += seconds
        if len(self._helpers) < min(self._seconds // _WORTH_A_HELPER, self._most_helpers):
            self._helpers.append(Thread(target=self._help, daemon=True))
            self._helpers[-1].start()

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while not self._left.empty():
            self._left.get()
        self._left.put(_END)
        self._join()

    def _join(self) -> None:
        for thread in self._helpers:
            thread.join()

    def _here(self, job: tuple[object, ...]) -> Result:
        return self._function(*job)  # type: ignore[call-arg, arg-type]

    def _help(self) -> None:
        try:
            with _helper(self._function) as call_there:
                self._take_all(call_there)
        except (OSError, EOFError, pickle.PickleError):
            return

    def _take_all(self, call: Callable[[tuple[object, ...]], Result]) -> None:
        while (place := self._left.get()) != _END:
            self._results[place[1]] = call(self._jobs[place[1]])
        self._left.put(_END)


@contextmanager
def _helper(
    function: Callable[Arguments, Result],
) -> Iterator[Callable[[tuple[object, ...]], Result]]:
    """Starts a process that calls `function`. OSError, EOFError or PickleError if it fails."""
    # -P: the folder that this process happens to be in is none of the helper's business.
    command = [sys.executable, "-P", "-m", __name__, function.__module__, function.__name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment
    ) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None

        def call_there(job: tuple[object, ...]) -> Result:
            pickle.dump(job, requests, pickle.HIGHEST_PROTOCOL)
            requests.flush()
            result: Result = pickle.load(answers)
            return result

        yield call_there


def _serve(function: Callable[..., object]) -> None:
    """Answers calls until there are no more, or until one fails."""
    # Whatever else is printed goes nowhere, and not between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while True:
            try:
                job = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(function(*job), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


if __name__ == "__main__":
    _serve(getattr(import_module(sys.argv[1]), sys.argv[2]))
