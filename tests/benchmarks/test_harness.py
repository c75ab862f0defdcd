"""The harness without any peer: worker protocol, turns, figures and reports."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click import ClickException
from click.testing import CliRunner
from lpc.compiler.codegen.host import native_target
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from benchmarks import layers, masking, peak, run, worker, zoo
from benchmarks import report as reports
from benchmarks.engines import ENGINES, PACKAGES, Job
from benchmarks.layers import Layer
from benchmarks.metrics import ColdStart, CompileCost, cold_start
from benchmarks.peers import EngineError, Timing, Worker, alternate
from benchmarks.subjects import Subject, input_file, subjects

JOB = Job("absent.onnx", "absent.npy", 1)


def serve(monkeypatch: pytest.MonkeyPatch, requests: list[dict[str, object]]) -> list[object]:
    """The answers of a worker whose engine returns [1, 2]."""
    monkeypatch.setitem(ENGINES, "constant", lambda job: lambda: np.array([[1, 2]], np.float32))
    monkeypatch.setitem(PACKAGES, "constant", "json")
    answers = io.StringIO()
    worker.serve("constant", JOB, io.StringIO("\n".join(map(json.dumps, requests))), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_worker_answers_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, times, output = serve(monkeypatch, [{"run": 3}, {"output": True}])
    assert isinstance(ready, dict)
    assert ready["load_ms"] >= 0
    assert ready["mask_active"] is False
    assert isinstance(times, dict)
    assert len(times["ms"]) == 3
    assert output == {"output": [1.0, 2.0]}


def test_failing_engine_names_itself() -> None:
    with pytest.raises(EngineError, match=r"^lpc: "):
        Worker("lpc", JOB)


def test_failing_cold_start_names_the_engine() -> None:
    with pytest.raises(EngineError, match=r"^lpc: .*Error"):
        cold_start("lpc", JOB, "native", repeats=1)


class Turn(Worker):
    """A worker without a process, which notes its turns."""

    def __init__(self, engine: str, ms: float, turns: list[str]) -> None:
        self.engine, self.times, self.load_ms = engine, [], 1.0
        self._ms, self._turns = ms, turns

    def run(self, count: int) -> list[float]:
        self._turns.append(self.engine)
        return [self._ms] * count


def test_engines_alternate_for_equal_time() -> None:
    turns: list[str] = []
    workers = [Turn("quick", 10.0, turns), Turn("slow", 100.0, turns)]
    alternate(workers, seconds=0.5)
    assert turns == ["quick", "slow"] * 3  # warm-up, then two blocks
    assert [len(w.times) for w in workers] == [50, 4]
    assert workers[1].timing() == Timing(100.0, 100.0, 4, 1.0)


def result(precision: str, lpc: float, peers: dict[str, float]) -> reports.ModelResult:
    timings = {e: Timing(ms, 1.1 * ms, 9, 3.0) for e, ms in ({"lpc": lpc} | peers).items()}
    return reports.ModelResult("net", precision, 10**9, timings=timings)


@pytest.fixture
def report() -> reports.Report:
    int8 = result("int8", 10.0, {"onnxruntime": 12.5, "openvino": 14.0})
    int8.layers = [
        Layer("conv1", "gemm_avx2_I8", 6.0, 600_000_000),
        Layer("pool", "max_pool_avx2_I8", 1.0, 0),
        Layer("conv2", "gemm_avx2_I8", 2.0, 400_000_000),
        Layer("flatten", "move_avx2_I8", 0.1, 0),
    ]
    int8.compile = CompileCost(4.0, 300.0, 26.0)
    int8.cold_starts = {"lpc": ColdStart(0.2, 60.0)}
    int8.deploy_mb = {"lpc": 26.1}
    fp32 = result("fp32", 30.0, {})
    fp32.failures = ["openvino: the process ended with status -11"]
    machine = reports.Machine("Some CPU", 2, "Linux", "2026-01-01", {"lpc": "0.1.0"})
    return reports.Report(machine, "avx2", "masked", [int8, fp32], {1: 250.0})


def test_ratio_is_against_the_best_peer(report: reports.Report) -> None:
    int8, fp32 = report.results
    assert int8.ratio == pytest.approx(0.8)
    assert fp32.ratio is None


def test_a_bfloat16_engine_is_no_peer_of_float32() -> None:
    float32 = result("fp32", 2.0, {"openvino": 4.0, "openvino-auto": 1.0})
    float32.bfloat16.append("openvino-auto")
    assert (float32.best_peer, float32.ratio) == ("openvino", 0.5)
    names = [row[1] for row in reports.speed_rows([float32])]
    assert "openvino-auto (bfloat16)" in names


def test_rows(report: reports.Report) -> None:
    assert reports.speed_rows(report.results)[0] == (
        "net int8", "lpc", "1", "10.00", "11.00", "100.0", "0.80"
    )  # fmt: skip
    assert reports.cost_rows(report.results) == [
        ("net int8", "lpc", "4.0", "300", "3.0", "0.20", "60", "26.1")
    ]


def test_summary_has_the_best_peer_and_both_precisions(report: reports.Report) -> None:
    assert reports.summary_rows(report) == [
        ("net", "1", "onnxruntime", "12.50", "10.00", "0.80", "30.00", "40 %")
    ]


def test_kernels_are_added_up_and_trifles_left_out(report: reports.Report) -> None:
    assert reports.kernel_rows(report) == [
        ("net int8", "gemm_avx2_I8", "1", "2", "8.000", "88 %", "125.0", "50 %"),
        ("net int8", "max_pool_avx2_I8", "1", "1", "1.000", "11 %", "", ""),
    ]


def test_layers(report: reports.Report) -> None:
    first = reports.layer_rows(report)[0]
    assert first[1:] == ("conv1 (gemm_avx2_I8)", "1", "1", "6.000", "65.9 %", "100.0", "40 %")


def test_notes_list_failures_once(report: reports.Report) -> None:
    report.results.append(report.results[-1])
    assert reports.notes(report) == ["net fp32: openvino: the process ended with status -11"]


def test_markdown_names_the_cpu(report: reports.Report) -> None:
    text = reports.markdown(report)
    assert "Some CPU, 2 cores, 2026-01-01; batch 1, instruction set avx2" in text
    assert "peak at 250 GMAC/s with 1 thread" in text
    assert "| net | 1 | onnxruntime | 12.50 | 10.00 | 0.80 | 30.00 | 40 % |" in text
    assert "| net int8 | lpc | 1 | 10.00 | 11.00 | 100.0 | 0.80 |" in text


def test_plot(report: reports.Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    reports.write_plot(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size


def test_json_and_terminal(report: reports.Report, tmp_path: Path) -> None:
    reports.write_json(report, tmp_path / "new" / "report.json")
    data = json.loads((tmp_path / "new" / "report.json").read_text())
    assert data["results"][0]["timings"]["lpc"]["minimum"] == 10.0
    console = Console(file=io.StringIO(), width=100)
    reports.print_tables(report, console)
    assert isinstance(console.file, io.StringIO)
    assert "0.80" in console.file.getvalue()


def test_failures_do_not_stop_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object) -> None:
        raise EngineError("lpc: broken")

    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    monkeypatch.setattr(run, "compile_library", fail)
    monkeypatch.setattr(run, "peak_gmacs", lambda target, threads: 100.0)
    console = Console(file=io.StringIO())
    models = subjects(["mini_concat"], ["int8"])
    got = run.run_benchmarks(models, ["lpc"], "native", [1, 2], 0.1, True, console)
    assert [result.threads for result in got.results] == [1, 2]
    assert got.peaks == {1: 100.0, 2: 100.0}
    assert got.results[0].failures == ["lpc: broken"]
    assert got.results[0].timings == {}
    assert got.results[0].macs == 688212


class Crash(Worker):
    """A worker whose process ends at the first inference, as OpenVINO's did on DenseNet."""

    def __init__(self, engine: str, job: Job, isa: masking.Isa) -> None:
        if engine == "openvino":
            program = [sys.executable, "-c", "import os; os.abort()"]
            self.engine, self.times = engine, []
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True)
            return
        super().__init__(engine, job, isa)


def test_a_crash_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    monkeypatch.setattr(run, "Worker", Crash)
    monkeypatch.setattr(layers, "SECONDS", 0.0)
    (subject,) = subjects(["mini_shuffle"], ["int8"])
    benchmark = run.ModelBenchmark(subject, ["openvino", "lpc"], "native", "native")
    benchmark.run([1], seconds=0.1, processes=False)
    (result,) = benchmark.results
    assert result.failures == ["openvino: the process ended with status -6"]
    assert list(result.timings) == ["lpc"]
    assert sum(layer.macs for layer in result.layers) == result.macs
    assert {layer.kernel.rpartition("_")[2] for layer in result.layers} == {"I8", "FP32"}


def test_peak_kernel_computes_dot_products() -> None:
    """The figure would be worth nothing if the loop had been optimised away."""
    target = native_target()
    rows, vectors = 4, 2
    kernel = peak.loaded(peak.kernel_of(target, rows, vectors), target, rows, vectors)
    assert set(kernel(1).view(np.int32)) == {4 * peak.STEPS}


def test_layer_macs() -> None:
    macs = layers.layer_macs(zoo.build("mini_bert", "int8"))
    assert macs["layer0.feed_forward.up.matmul"] == 10 * 24 * 96
    assert macs["layer0.attention.scores"] == 3 * 10 * 8 * 10


def external(folder: Path, dtype: int, shape: Sequence[int | str], name: str = "net") -> Path:
    """A file with one matrix product of [rows, 8] and 8 columns, whose node has no name."""
    value, weight = helper.make_tensor_value_info, np.eye(8, dtype=np.float32)
    cast = helper.make_node("Cast", ["ids"], ["x"], to=TensorProto.FLOAT)
    matmul = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [cast, matmul],
        "net",
        [value("ids", dtype, shape)],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


def test_a_file_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(layers, "SECONDS", 0.0)
    monkeypatch.setattr(run, "peak_gmacs", lambda target, threads: 100.0)
    path, results = external(tmp_path, TensorProto.FLOAT, [3, 8]), tmp_path / "results.json"
    arguments = ["--model", path, "--engine", "lpc", "--threads", "1", "--seconds", "0.1"]
    arguments += ["--no-processes", "--json", results, "--plot", tmp_path / "plot.png"]
    monkeypatch.setattr(reports, "write_plot", lambda report, plot: None)
    done = CliRunner().invoke(run.main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (got,) = json.loads(results.read_text())["results"]
    assert (got["model"], got["precision"], got["macs"]) == ("net", "fp32", 3 * 8 * 8)
    assert list(got["timings"]) == ["lpc"]
    assert not got["failures"]
    assert [layer["macs"] for layer in got["layers"] if layer["name"] == "MatMul_1"] == [192]


def test_files_have_a_precision_of_their_own(tmp_path: Path) -> None:
    zoo.save(zoo.build("mini_concat", "int8"), tmp_path / "net.onnx")
    assert Subject.of_file(tmp_path / "net.onnx").precision == "int8"
    assert Subject.of_file(external(tmp_path, TensorProto.FLOAT, [1, 8])).precision == "fp32"


def test_inputs_that_are_indices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    path = external(tmp_path, TensorProto.INT64, [4, 8])
    ids = np.load(input_file(path, onnx.load(path)))
    assert (ids.shape, ids.dtype) == ((4, 8), np.dtype(np.int64))
    assert 0 <= ids.min() <= ids.max() < 100


def test_models_that_cannot_be_fed(tmp_path: Path) -> None:
    path = external(tmp_path, TensorProto.FLOAT, ["batch", 8])
    with pytest.raises(ClickException, match="input 'ids' has no fixed shape"):
        input_file(path, onnx.load(path))
    done = CliRunner().invoke(run.main, ["--model", str(tmp_path / "none.onnx")])
    assert done.exit_code == 2
    assert "no such file" in done.output
