"""A loaded model: check what it is given, hand addresses to the library, read its clocks."""

from __future__ import annotations

import ctypes
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import TYPE_CHECKING, Any, TypeAlias

from .buffers import held
from .counters import LayerCounter
from .cpu import available_threads
from .errors import LpcRuntimeError
from .tensors import TensorSpec

if TYPE_CHECKING:  # what a program imports, it waits for
    import numpy.typing as npt

ABI_VERSION = 1
#: From so many bytes on, pages of 2 MiB are asked for, as numpy does.
_HUGE = 4 << 20

Array: TypeAlias = "npt.NDArray[Any]"
#: The pointers to all inputs, and to all outputs.
_Tables: TypeAlias = tuple[Any, Any]

_INT, _LONG, _POINTER = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "lpc_abi_version": (_INT,),
    "lpc_metadata": (ctypes.c_char_p,),
    "lpc_error_message": (ctypes.c_char_p, _INT),
    "lpc_select": (_INT, ctypes.c_char_p),
    "lpc_run": (_INT, _INT, _POINTER, _POINTER, _POINTER, _INT),
    "lpc_profile": (_INT, _INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER),
}
_RECORD = ("start_ns", "end_ns", "busy_ns", "threads")


class Model:
    """One target of one library. May be used from several threads at once.

    `address` maps a name of lpc.h to the address of the function, 0 if there is none; `source`
    names the model in messages. See `lpc.runtime.load` for the other parameters.
    """

    def __init__(
        self,
        address: Callable[[str], int],
        source: str,
        num_threads: int | None = None,
        target: str | None = None,
        invoke: Callable[..., int] | None = None,
    ):
        self._source = source
        self._functions = _bind(address, source)
        self._invoke = invoke
        if num_threads is not None and num_threads < 1:
            raise LpcRuntimeError(f"num_threads is {num_threads}; at least 1 is needed")
        self.num_threads = available_threads() if num_threads is None else num_threads
        self.metadata: dict[str, Any] = json.loads(self._functions["lpc_metadata"]())
        self.inputs = _specs(self.metadata["inputs"])
        self.outputs = _specs(self.metadata["outputs"])
        self._index = self._select(target)
        self._plan: dict[str, Any] = self.metadata["targets"][self._index]
        self._entry = address(f"lpc_run_{self.target}")
        self._workspaces: deque[tuple[int, Any]] = deque()

    @property
    def target(self) -> str:
        """Name of the instruction set that runs."""
        return str(self._plan["name"])

    def run(
        self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """One inference; C-contiguous inputs are not copied.

        `out` may hold C-contiguous arrays for any of the outputs; the others are allocated.
        LpcRuntimeError for missing or unknown names and for a wrong dtype or shape.
        """
        results, tables, _kept = self._bind_arrays(inputs, out or {})
        with self._workspace() as workspace:
            self._call(tables, workspace)
        return results

    def run_buffers(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """One inference from memory to memory, without numpy, which takes longer to import than
        many a model takes to run.

        Inputs and outputs, all of them by name, are objects with the buffer protocol: bytes,
        bytearray, array.array, mmap, memoryview. Each holds a tensor's elements in C order,
        `TensorSpec.nbytes` of them; dtypes and shapes are not looked at. LpcRuntimeError for
        missing or unknown names, and for a buffer of another size, that is not contiguous or
        aligned to its elements, or that is read-only and an output.
        """
        self._check_names("input", inputs, self.inputs, complete=True)
        self._check_names("output", outputs, self.outputs, complete=True)
        with (
            held(self._source, "input", self.inputs, inputs) as sources,
            held(self._source, "output", self.outputs, outputs) as results,
            self._workspace() as workspace,
        ):
            self._call((_pointers(sources), _pointers(results)), workspace)

    def __call__(self, *arrays: Array) -> Array | tuple[Array, ...]:
        """Inputs and outputs by position; a single output is returned as it is."""
        if len(arrays) != len(self.inputs):
            raise LpcRuntimeError(
                f"{self._source}: {len(arrays)} inputs given, {len(self.inputs)} expected"
            )
        named = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        results = tuple(self.run(named).values())
        return results[0] if len(results) == 1 else results

    def profile(self, inputs: Mapping[str, Array], iterations: int = 1) -> list[LayerCounter]:
        """Means over `iterations` inferences; a row for each layer of the source model."""
        if iterations < 1:
            raise LpcRuntimeError(f"iterations is {iterations}; at least 1 is needed")
        real, busy = self.profile_steps(inputs, iterations)
        return self._rows(real, busy)

    def profile_steps(
        self, inputs: Mapping[str, Array], iterations: int = 1
    ) -> tuple[Array, Array]:
        """Milliseconds that passed, and milliseconds of all threads, per step: means."""
        if self._invoke is not None:
            raise LpcRuntimeError(f"{self._source}: cannot profile under a custom executor")
        import numpy as np

        records = np.zeros(len(self._plan["steps"]), [(name, np.int64) for name in _RECORD])
        real, busy = (np.zeros(len(records), np.int64) for _ in range(2))
        _results, tables, _kept = self._bind_arrays(inputs, {})
        with self._workspace() as workspace:
            for _iteration in range(iterations):
                self._call(tables, workspace, records)
                real += records["end_ns"] - records["start_ns"]
                busy += records["busy_ns"]
        return real / (1e6 * iterations), busy / (1e6 * iterations)

    def _rows(self, real: Array, busy: Array) -> list[LayerCounter]:
        steps: dict[str, list[int]] = {}
        for index, step in enumerate(self._plan["steps"]):
            steps.setdefault(step["layer"], []).append(index)
        rows = []
        known = [(layer["name"], layer["type"]) for layer in self.metadata["layers"]]
        listed = {name for name, _ in known}
        extra = [name for name in steps if name not in listed]
        known += [(name, self._plan["steps"][steps[name][0]]["layer_type"]) for name in extra]
        for name, kind in known:
            own = steps.get(name, [])
            # The longest step says what the layer is computed by.
            longest = max(own, key=lambda index: float(real[index]), default=None)
            rows.append(
                LayerCounter(
                    layer=name,
                    exec_status="EXECUTED" if own else "NOT_RUN",
                    layer_type=kind,
                    exec_type="undef"
                    if longest is None
                    else self._plan["steps"][longest]["exec_type"],
                    real_time_ms=float(real[own].sum()),
                    cpu_time_ms=float(busy[own].sum()),
                )
            )
        return rows

    def _select(self, target: str | None) -> int:
        names = [entry["name"] for entry in self.metadata["targets"]]
        if self._invoke is not None:
            if target is None:
                return len(names) - 1
            if target in names:
                return names.index(target)
            index = -4
        else:
            index = int(self._functions["lpc_select"](None if target is None else target.encode()))
        if index < 0:
            named = os.environ.get("LPC_TARGET")
            asked = f"LPC_TARGET={named}: " if named else ""
            asked = asked if target is None else f"target '{target}': "
            reason = self._message(index)
            raise LpcRuntimeError(
                f"{self._source}: {asked}{reason}; it was compiled for {', '.join(names)}"
            )
        return index

    def _message(self, code: int) -> str:
        text: bytes = self._functions["lpc_error_message"](code)
        return text.decode()

    def _bind_arrays(
        self, inputs: Mapping[str, Array], out: Mapping[str, Array]
    ) -> tuple[dict[str, Array], _Tables, list[Array]]:
        """Outputs by name, the tables, and the inputs: tables keep no array alive."""
        from . import arrays

        self._check_names("input", inputs, self.inputs, complete=True)
        self._check_names("output", out, self.outputs, complete=False)
        sources = arrays.bound_inputs(self._source, self.inputs, inputs)
        results = arrays.bound_outputs(self._source, self.outputs, out)
        read = _pointers(array.ctypes.data for array in sources)
        written = _pointers(array.ctypes.data for array in results.values())
        return results, (read, written), sources

    def _check_names(
        self, side: str, given: Mapping[str, Array], specs: Sequence[TensorSpec], complete: bool
    ) -> None:
        if len(given) == len(specs) and all(spec.name in given for spec in specs):
            return
        expected = [spec.name for spec in specs]
        wrong = [name for name in given if name not in expected]
        missing = [name for name in expected if name not in given] if complete else []
        if wrong or missing:
            word, name = ("unknown", wrong[0]) if wrong else ("missing", missing[0])
            raise LpcRuntimeError(
                f"{self._source}: {word} {side} '{name}'; the model's {side}s: "
                + ", ".join(map(repr, expected))
            )

    def _call(self, tables: _Tables, workspace: int, records: Array | None = None) -> None:
        (sources, results), threads = tables, self.num_threads
        if self._invoke is not None:
            addresses = ctypes.addressof(sources), ctypes.addressof(results)
            status = self._invoke(self._entry, *addresses, workspace, threads)
            status = ctypes.c_int32(status).value
        elif records is None:
            status = self._functions["lpc_run"](self._index, sources, results, workspace, threads)
        else:
            profile, times = self._functions["lpc_profile"], records.ctypes.data
            status = profile(self._index, sources, results, workspace, threads, times)
        if status:
            raise LpcRuntimeError(f"{self._source}: {self._message(status)}")

    @contextmanager
    def _workspace(self) -> Iterator[int]:
        """The address of a workspace that no other call uses; kept for the next call."""
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = self._new_workspace()
        try:
            yield workspace[0]
        finally:
            self._workspaces.append(workspace)

    def _new_workspace(self) -> tuple[int, mmap]:
        size = int(self._plan["workspace_size"]) or 1
        try:
            # Private: after a fork, both processes may run the model.
            memory = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        except OSError as error:
            raise LpcRuntimeError(f"{self._source}: no memory for {size} bytes") from error
        if size >= _HUGE:
            with suppress(OSError):  # of a kernel that has no such pages
                memory.madvise(MADV_HUGEPAGE)
        return ctypes.addressof(ctypes.c_char.from_buffer(memory)), memory


def _bind(address: Callable[[str], int], source: str) -> dict[str, Callable[..., Any]]:
    """The functions of lpc.h, once the library has shown that it speaks this ABI version."""

    def function(name: str) -> Callable[..., Any]:
        pointer = address(name)
        if not pointer:
            raise LpcRuntimeError(f"{source}: not a library made by lpc (it lacks {name})")
        call: Callable[..., Any] = ctypes.CFUNCTYPE(*_SIGNATURES[name])(pointer)
        return call

    version = function("lpc_abi_version")()
    if version != ABI_VERSION:
        raise LpcRuntimeError(
            f"{source}: has ABI version {version}, this runtime needs {ABI_VERSION}; "
            "compile the model again"
        )
    return {name: function(name) for name in _SIGNATURES}


def _specs(entries: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(entry["name"], entry["dtype"], tuple(entry["shape"])) for entry in entries
    )


def _pointers(addresses: Iterable[int]) -> Any:
    table = list(addresses)
    return (ctypes.c_void_p * len(table))(*table)
