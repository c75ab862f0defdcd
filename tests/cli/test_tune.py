"""lpc compile --tune: remembered choices make the same library; trouble never makes a wrong one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import lpc.runtime as lpr
import numpy as np
import pytest
from invoking import Invoke
from lpc.compiler import compilation, tuning
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.contractions.chains import ALONE
from lpc.compiler.contractions.ordered_tile import Choice
from lpc.compiler.contractions.tile import Tile
from lpc.compiler.errors import LpcError, LpcWarning

CHOICES = tuple(Choice(Tile(m, 1, 8), ALONE) for m in (4, 6))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "tune.json"
    monkeypatch.setenv("LPC_TUNE_CACHE", str(path))
    monkeypatch.setattr(tuning, "_MEASURE_SECONDS", 0.05)
    return path


@pytest.fixture
def compiled(invoke: Invoke, digits: Path, tmp_path: Path) -> Compiled:
    return Compiled(invoke, digits, tmp_path)


class Compiled:
    """Call with further options: the library's bytes. It stays at `path`."""

    def __init__(self, invoke: Invoke, digits: Path, folder: Path):
        self.path, self.dump, self.stderr = folder / "digits.so", folder / "dump", ""
        self._invoke, self._digits = invoke, digits

    def __call__(self, *options: object) -> bytes:
        arguments = ("-o", self.path, "--input-shape", "input:1,1,8,8", *options)
        result = self._invoke("compile", self._digits, *arguments)
        assert result.exit_code == 0, result.stderr
        self.stderr = result.stderr
        return self.path.read_bytes()

    def report(self) -> str:
        (text,) = [path.read_text() for path in self.dump.glob("*.tune.*.txt")]
        return text


def test_remembered_choices_make_the_same_library_without_measuring(
    compiled: Compiled, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untuned, inputs = compiled(), {"input": np.ones((1, 1, 8, 8), np.float32)}
    expected = lpr.load(compiled.path).run(inputs)

    def slowest(times: Mapping[int, float]) -> int:
        return max(times)

    # Other tiles than the cost model's, whatever the clock says.
    monkeypatch.setattr(tuning, "_fastest", slowest)
    tuned = compiled("--tune")
    assert tuned != untuned
    actual = lpr.load(compiled.path).run(inputs)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)
    remembered = cache.read_bytes()
    assert json.loads(remembered)["tiles"]
    monkeypatch.setattr(tuning, "_Trial", None)
    assert compiled("--tune", "--dump-dir", compiled.dump) == tuned
    assert cache.read_bytes() == remembered
    assert "remembered" in compiled.report()
    assert " ms" not in compiled.report()


def test_without_time_the_cost_model_chooses(compiled: Compiled, cache: Path) -> None:
    assert compiled("--tune", "--tune-seconds", "0") == compiled()
    assert compiled("--tune", "--tune-seconds", "1e-6") == compiled()
    assert not cache.exists()


def test_a_broken_cache_is_taken_as_empty(compiled: Compiled, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text('{"format": 1, "tiles"')
    tuned = compiled("--tune", "--tune-seconds", "0")
    assert "warning:" in compiled.stderr
    assert str(cache) in compiled.stderr
    assert tuned == compiled()


def test_a_target_of_another_cpu_is_refused(
    invoke: Invoke, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "runs_here", lambda target: target == by_name("sse42"))
    result = invoke("compile", digits, "--tune", "--target", "sse42,avx2")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: tuning measures on this CPU, which does not run target 'avx2'")


def test_a_cache_that_cannot_be_written_is_told_before_measuring(
    invoke: Invoke, digits: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.write_text("a file where a folder should be")
    monkeypatch.setattr(tuning, "_Trial", None)
    result = invoke("compile", digits, "--tune", "--input-shape", "input:1,1,8,8")
    assert result.exit_code == 1
    assert f"error: {cache}: cannot write: " in result.stderr


@pytest.mark.parametrize(
    "content", ["[]", "7", "\xff", '{"format": 2, "tiles": {}}', '{"format": 1, "tiles": 3}']
)
def test_the_cache_is_rewritten_whole(cache: Path, content: str) -> None:
    cache.parent.mkdir()
    cache.write_text(content, encoding="latin-1")
    tiles = tuning.TileCache(cache)
    with pytest.warns(LpcWarning, match="not a file of measured tiles"):
        assert tiles.choices({"key": CHOICES}) == {}
    tiles.add({"key": CHOICES[1]})
    tiles.add({"other": CHOICES[0]})
    assert tiles.choices({"key": CHOICES, "new": CHOICES}) == {"key": CHOICES[1]}
    # What the cost model would not propose is not believed.
    assert tiles.choices({"key": CHOICES[:1]}) == {}
    assert list(cache.parent.iterdir()) == [cache]


@pytest.mark.parametrize("entry", [None, [6], [6, 1, 8], "6x1", [[6], 1]])
def test_an_entry_that_is_no_tile_is_ignored(cache: Path, entry: object) -> None:
    tiles = tuning.TileCache(cache)
    tiles.prepare()
    tiles.add({"key": CHOICES[1]})
    content = json.loads(cache.read_text())
    content["tiles"] = dict.fromkeys(content["tiles"], entry)
    cache.write_text(json.dumps(content))
    assert tiles.choices({"key": CHOICES}) == {}


def test_what_is_no_faster_than_noise_does_not_replace_the_first() -> None:
    assert tuning._fastest({0: 1.0, 1: 0.99}) == 0
    assert tuning._fastest({0: 1.0, 1: 0.9, 2: 0.8}) == 2


def test_another_user_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LPC_TUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tuning.cache_path() == tmp_path / "lpc" / "tune.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tuning.cache_path() == tmp_path / ".cache" / "lpc" / "tune.json"
    with pytest.raises(LpcError):
        tuning.TileCache(tmp_path).prepare()
