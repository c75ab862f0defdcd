"""The inference engines, each behind the same callable. Runs inside a worker process.

Engines are imported only when they are loaded, so that a process holds exactly one of them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inference = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """What an engine loads: a model file with one float input, the input, and a thread count."""

    model: str
    input_file: str  # .npy
    threads: int


def load_onnxruntime(job: Job) -> Inference:
    ort = importlib.import_module("onnxruntime")

    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(job.model, options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: np.load(job.input_file)}
    return lambda: np.asarray(session.run(None, feeds)[0])


def load_openvino(job: Job) -> Inference:
    """Float layers in float32, as the other engines compute them."""
    return _openvino(job, {"INFERENCE_PRECISION_HINT": "f32"})


def load_openvino_auto(job: Job) -> Inference:
    """OpenVINO's own choice of precision: bfloat16 for float layers where the CPU has it."""
    return _openvino(job, {})


def _openvino(job: Job, properties: dict[str, Any]) -> Inference:
    ov = importlib.import_module("openvino")

    properties |= {"INFERENCE_NUM_THREADS": job.threads, "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(job.model, "CPU", properties).create_infer_request()
    request.set_input_tensor(ov.Tensor(np.load(job.input_file)))
    output = request.get_output_tensor()

    def infer() -> NDArray[np.float32]:
        request.infer()
        return np.asarray(output.data)

    return infer


def load_lpc(job: Job) -> Inference:
    model = importlib.import_module("lpc.runtime").load(job.model, num_threads=job.threads)
    feeds = {model.inputs[0].name: np.load(job.input_file)}
    name = model.outputs[0].name
    return lambda: np.asarray(model.run(feeds)[name])


ENGINES: dict[str, Callable[[Job], Inference]] = {
    "onnxruntime": load_onnxruntime,
    "openvino": load_openvino,
    "openvino-auto": load_openvino_auto,
    "lpc": load_lpc,
}

#: Those that compute a float model in bfloat16 where the CPU has it.
IN_BFLOAT16 = ("openvino-auto",)

PACKAGES = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "openvino-auto": "openvino",
    "lpc": "lpc.runtime",
}


def is_installed(engine: str) -> bool:
    try:
        return importlib.util.find_spec(PACKAGES[engine]) is not None
    except ModuleNotFoundError:
        return False
