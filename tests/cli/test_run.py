"""lpc run and lpc benchmark: arrays in and out, summaries, reports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from invoking import Invoke
from lpc.compiler import demo

COLUMNS = ["layerName", "execStatus", "layerType", "execType", "realTime (ms)", "cpuTime (ms)"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    with demo.resource("digits.npz") as source:
        images = np.load(source)["test_x"]
    path = tmp_path / "x.npz"
    np.savez(path, input=images[:1])
    return path


def test_npz_in_and_out(invoke: Invoke, digits_library: Path, image: Path, tmp_path: Path) -> None:
    output = tmp_path / "y.npz"
    result = invoke("run", digits_library, "--input", image, "--output", output)
    assert result.exit_code == 0, result.stderr
    logits = np.load(output)["logits"]
    assert logits.shape == (1, 10)
    (row,) = (line.split() for line in result.stdout.splitlines() if " logits " in line)
    assert row[-1] == str(logits.argmax())


def test_npy_for_one_input_and_one_output(
    invoke: Invoke, digits_library: Path, image: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(source, np.load(image)["input"])
    result = invoke("run", digits_library, "--input", source, "--output", output)
    assert result.exit_code == 0, result.stderr
    assert np.load(output).shape == (1, 10)


def test_a_model_runs_as_its_library_does(
    invoke: Invoke, digits: Path, digits_library: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    shape = ("--input-shape", "input:1,1,8,8")
    assert invoke("run", digits, *shape, "--output", first, "--seed", "3").exit_code == 0
    assert invoke("run", digits_library, "--output", second, "--seed", "3").exit_code == 0
    assert np.array_equal(np.load(first)["logits"], np.load(second)["logits"])


def test_a_model_runs_without_a_linker(
    invoke: Invoke, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPC_LINKER", "nowhere/ld")
    result = invoke("run", digits, "--input-shape", "input:1,1,8,8")
    assert result.exit_code == 0, result.stderr
    assert " logits " in result.stdout


def test_benchmark_prints_what_benchmark_app_prints(invoke: Invoke, digits_library: Path) -> None:
    result = invoke("benchmark", digits_library, "-niter", "20", "-nthreads", "1")
    assert result.exit_code == 0, result.stderr
    rows = dict(line.split(":") for line in result.stdout.splitlines())
    assert rows["Count"].split() == ["20", "iterations"]
    words = ("First inference", "Duration", "Median", "Average", "Min", "Max", "Throughput")
    assert all(float(rows[word].split()[0]) > 0 for word in words)


def test_benchmark_for_some_time(invoke: Invoke, digits_library: Path) -> None:
    result = invoke("benchmark", digits_library, "--t", "0.05")
    assert result.exit_code == 0, result.stderr
    assert "Throughput:" in result.stdout


def test_async_rounds_up_to_a_multiple_of_the_requests(
    invoke: Invoke, digits_library: Path
) -> None:
    arguments = ("-api", "async", "-nireq", "3", "-niter", "10")
    result = invoke("benchmark", digits_library, *arguments)
    assert result.exit_code == 0, result.stderr
    assert "12 iterations" in result.stdout


@pytest.mark.parametrize("kind", ["average", "detailed"])
def test_counters_reports(invoke: Invoke, digits_library: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "reports"
    arguments = ("-niter", "5", "-report_type", f"{kind}_counters", "-json_stats")
    result = invoke("benchmark", digits_library, *arguments, "-report_folder", folder)
    assert result.exit_code == 0, result.stderr
    name = f"benchmark_{kind}_counters_report"
    with (folder / f"{name}.csv").open() as file:
        header, *rows, total = csv.reader(file, delimiter=";")
    assert header == COLUMNS
    assert total[0] == "Total"
    assert {row[1] for row in rows} == {"EXECUTED", "NOT_RUN"}
    assert all(row[3] == "undef" for row in rows if row[1] == "NOT_RUN")
    assert float(total[4]) == pytest.approx(sum(float(row[4]) for row in rows), abs=1e-4)
    content = json.loads((folder / f"{name}.json").read_text())
    table = content[f"{kind}_performance"]
    nodes = (table if kind == "average" else table[0])["nodes"]
    assert [node["name"] for node in nodes] == [row[0] for row in rows]
    assert "Throughput" not in (folder / "benchmark_report.csv").read_text().splitlines()[0]


def test_counters_on_the_terminal(invoke: Invoke, digits_library: Path) -> None:
    result = invoke("benchmark", digits_library, "-niter", "5", "-pc")
    assert result.exit_code == 0, result.stderr
    assert "execStatus" in result.stdout
    assert "/stem/stem.0/Conv" in result.stdout


def test_demo_runs(invoke: Invoke) -> None:
    result = invoke("demo")
    assert result.exit_code == 0, result.stderr
    assert "20 of 20" in result.stdout
    assert "EXECUTED" in result.stdout


def test_demo_saves_its_files(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("demo", "--save", tmp_path)
    assert result.exit_code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"digits.onnx", "digits_fp32.onnx", "digit.npz"}
