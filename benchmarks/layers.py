"""Where lpc's time goes: each layer's, or each kind of kernel's, multiply-adds per second."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import onnx
from lpc.compiler.frontends.onnx.files import layer_names

from .engines import Job
from .peers import EngineError, pinned_core, worker_environment

Shape = tuple[int, ...]

SECONDS = 2.0
ITERATIONS = (3, 100)  # at least, at most

# The fastest of many inferences, layer by layer: the counters' own means would hold every pause.
_PROFILE = """
import json, os, sys, time
import numpy as np, lpc.runtime as lpr
library, input_file = sys.argv[1:3]
threads, core, seconds, least, most = map(float, sys.argv[3:])
if core >= 0:
    os.sched_setaffinity(0, {int(core)})
model = lpr.load(library, num_threads=int(threads))
feeds = {model.inputs[0].name: np.load(input_file)}
model.profile(feeds)
times, end = [], time.perf_counter() + seconds
while len(times) < least or (len(times) < most and time.perf_counter() < end):
    rows = model.profile(feeds)
    times.append([row.real_time_ms for row in rows])
fastest = np.min(times, axis=0).tolist()
layers = [(r.layer, r.exec_type, ms) for r, ms in zip(rows, fastest) if r.exec_status == "EXECUTED"]
print(json.dumps(layers))
"""


@dataclass(frozen=True)
class Layer:
    """One executed layer; `kernel` is the counters' exec type."""

    name: str
    kernel: str
    ms: float
    macs: int


@dataclass(frozen=True)
class KernelTotal:
    """All layers that one kind of kernel computes."""

    kernel: str
    layers: int
    ms: float
    share: float
    gmacs: float  # 10⁹ multiply-adds per second; 0 for kernels without


def profile(job: Job, macs: dict[str, int]) -> list[Layer]:
    """The executed layers of a library, in order, by its own counters."""
    numbers = (job.threads, pinned_core(job.threads), SECONDS, *ITERATIONS)
    done = subprocess.run(
        [sys.executable, "-c", _PROFILE, job.model, job.input_file, *map(str, numbers)],
        capture_output=True,
        text=True,
        env=worker_environment("native"),
    )
    if done.returncode:
        raise EngineError(f"lpc: profile: {done.stderr.strip().splitlines()[-1:]}")
    return [
        Layer(name, kernel, ms, macs.get(name, 0)) for name, kernel, ms in json.loads(done.stdout)
    ]


def kernel_totals(layers: Iterable[Layer]) -> list[KernelTotal]:
    """By kind of kernel, the one that takes most time first."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.kernel, []).append(layer)
    ms = {kernel: sum(layer.ms for layer in group) for kernel, group in groups.items()}
    total = sum(ms.values()) or 1.0
    return [
        KernelTotal(
            kernel,
            len(group),
            ms[kernel],
            ms[kernel] / total,
            sum(layer.macs for layer in group) / max(ms[kernel], 1e-9) / 1e6,
        )
        for kernel, group in sorted(groups.items(), key=lambda item: -ms[item[0]])
    ]


def layer_macs(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-adds of each Conv, Gemm and MatMul of known shape, by lpc's name of the layer."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    macs = {}
    for node, name in zip(graph.node, layer_names(graph.node), strict=True):
        if node.op_type not in _REDUCED or not {*node.input[:2], node.output[0]} <= shapes.keys():
            continue
        first, second, result = (shapes[n] for n in (*node.input[:2], node.output[0]))
        macs[name] = prod(result) * _REDUCED[node.op_type](node, first, second)
    return macs


def _gemm_depth(node: onnx.NodeProto, first: Shape, second: Shape) -> int:
    is_transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return first[0 if is_transposed else 1]


# Products per element of the result, from the shapes of both operands.
_REDUCED: dict[str, Callable[[onnx.NodeProto, Shape, Shape], int]] = {
    "Conv": lambda node, image, weight: prod(weight[1:]),
    "MatMul": lambda node, first, second: first[-1],
    "Gemm": _gemm_depth,
}
