"""What one compile and one fresh process cost: seconds, peak resident memory, bytes.

Each figure comes from a process of its own. Peak memory is VmHWM, read by the process itself at its
end: unlike rusage it does not inherit the peak of the process that started it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .engines import PACKAGES, Job
from .masking import Isa
from .peers import EngineError, pinned_core, worker_environment

MB = 1e6

_PEAK = """
def peak_kib():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0])
"""

_COMPILE = (
    _PEAK
    + """
import json, resource, sys, time
import lpc.compiler as lpcc
start = time.perf_counter()
lpcc.compile(sys.argv[1], output=sys.argv[2], target=sys.argv[3])
seconds = time.perf_counter() - start
linker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_kib": max(peak_kib(), linker)}))
"""
)

_FIRST_INFERENCE = {
    "onnxruntime": """
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = threads
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
session.run(None, {session.get_inputs()[0].name: np.load(input_file)})
""",
    "openvino": """
import numpy as np, openvino as ov
properties = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
ov.Core().compile_model(model, "CPU", properties)(np.load(input_file))
""",
    "lpc": """
import numpy as np, lpc.runtime as lpr
loaded = lpr.load(model, num_threads=threads)
loaded.run({loaded.inputs[0].name: np.load(input_file)})
""",
    "lpc-buffers": """
import lpc.runtime as lpr
loaded = lpr.load(model, num_threads=threads)
(x,), outputs = loaded.inputs, {spec.name: bytearray(spec.nbytes) for spec in loaded.outputs}
loaded.run_buffers({x.name: open(input_file, "rb").read()[-x.nbytes:]}, outputs)
""",
}
#: How an engine may be started: with numpy, which the peers need, or without.
WAYS_TO_START = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "lpc": ("lpc", "lpc-buffers"),
}


@dataclass(frozen=True)
class CompileCost:
    seconds: float
    peak_mb: float
    library_mb: float


@dataclass(frozen=True)
class ColdStart:
    """From the start of the interpreter to the first output; peak memory of that process."""

    seconds: float
    peak_mb: float


def compile_library(model: Path, library: Path, target: str) -> CompileCost:
    """Compile with lpc in a fresh process."""
    arguments = [sys.executable, "-c", _COMPILE, str(model), str(library), target]
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=worker_environment("native")
    )
    if done.returncode != 0:
        raise EngineError(f"lpc: {_last_line(done.stderr)}")
    cost = json.loads(done.stdout.splitlines()[-1])
    size = library.stat().st_size / MB
    return CompileCost(cost["seconds"], cost["peak_kib"] * 1024 / MB, size)


def cold_start(way: str, job: Job, isa: Isa, repeats: int = 3) -> ColdStart:
    """The fastest of a few fresh processes (the first one also warms the page cache)."""
    starts = [_one_cold_start(way, job, isa) for _ in range(repeats)]
    return ColdStart(min(s.seconds for s in starts), min(s.peak_mb for s in starts))


def _one_cold_start(way: str, job: Job, isa: Isa) -> ColdStart:
    core = pinned_core(job.threads)
    pin = f"import os; os.sched_setaffinity(0, {{{core}}})\n" if core >= 0 else ""
    names = f"model, input_file, threads = {job.model!r}, {job.input_file!r}, {job.threads}\n"
    code = pin + names + _FIRST_INFERENCE[way] + _PEAK + "print(peak_kib(), flush=True)"
    # Installed packages have their bytecode beside them; this checkout shall keep its own, too.
    environment = worker_environment(isa)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        answer = process.stdout.readline()
        seconds = time.perf_counter() - start
        if not answer.strip().isdigit():
            raise EngineError(f"{way}: {_last_line(process.stderr.read())}")
    return ColdStart(seconds, int(answer) * 1024 / MB)


def package_mb(engine: str) -> float:
    """Bytes of the installed Python package that runs the engine's models, in MB."""
    spec = importlib.util.find_spec(PACKAGES[engine])
    if spec is None or spec.origin is None:
        raise EngineError(f"{engine}: not installed")
    folder = Path(spec.origin).resolve().parent
    files = (
        Path(at) / name
        for at, _, names in os.walk(folder)
        for name in names
        if not name.endswith(".pyc")
    )
    return sum(file.stat().st_size for file in files) / MB


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "ended without a word"
