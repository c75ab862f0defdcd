"""Every python block of the README and the docs runs, and prints what the page says.

The blocks of a page share one namespace, and a folder with the bundled model as `digits.onnx`.
Blocks with `>>>` are doctests. And what a page says lies in the tree does.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from lpc.compiler import demo

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TREE = re.compile(
    r"`((?:compiler|runtime|tests|lit_tests|benchmarks|examples|docs|\.ci|\.mypy)/[\w./-]*)`"
)
LINK = re.compile(r"\]\(([\w./-]+)\)")


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.name)
def test_python_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with demo.resource("digits_int8.onnx") as model:
        (tmp_path / "digits.onnx").write_bytes(model.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, block in enumerate(blocks(page)):
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(
                block, names, f"{page.name} block {number}", str(page), 0
            )
            runner.run(test, clear_globs=False)
            names.update(test.globs)
        else:
            exec(compile(block, str(page), "exec"), names)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names(page: Path) -> None:
    text = page.read_text()
    missing = [path for path in TREE.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing
