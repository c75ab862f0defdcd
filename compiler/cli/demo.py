"""lpc demo: compile the bundled digits network, run it, check it, profile it; under a minute."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import LpcError
from .common import console, lpc_command, progress_display, target_option

if TYPE_CHECKING:
    import numpy.typing as npt
    from lpc.runtime import LayerCounter, Model

    Array = npt.NDArray[Any]

_COMPARED = 20
_PROFILED_RUNS = 1000


@lpc_command("lpc demo", "lpc demo --save .")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Only copy the demo's models and one input into DIR, to play with.",
)
@target_option()
def command(save: Path | None, target: str) -> None:
    """Compile, run, check and profile the bundled model, a quantized CNN that reads digits."""
    if save is not None:
        for path in _save(save):
            click.echo(f"wrote {path}")
        return
    import numpy as np

    from .. import demo
    from . import reports

    out = console()
    with demo.resource("digits.npz") as path:
        data = dict(np.load(path))
    images, labels = data["test_x"], data["test_y"]
    out.print("[bold]lpc demo[/]: a quantized CNN reads 450 handwritten digits it never saw\n")
    quantized, how = _compiled("digits_int8.onnx", target)
    out.print(f"compile   int8 network {how}")
    real, how = _compiled("digits_fp32.onnx", target)
    out.print(f"          fp32 network {how}")
    scores = {"int8": _accuracy(quantized, images, labels), "fp32": _accuracy(real, images, labels)}
    out.print("accuracy  " + ", ".join(f"{name} {score:.2%}" for name, score in scores.items()))
    equal = _equal_to_interpreter(quantized, images[:_COMPARED])
    out.print(
        f"exact     {equal} of {_COMPARED} results equal the reference interpreter bit for bit"
    )
    rows, slow_rows = (_counters(model, images[:1]) for model in (quantized, real))
    fast, slow = (sum(row.real_time_ms for row in table) * 1e3 for table in (rows, slow_rows))
    out.print(f"speed     int8 {fast:.1f} µs, fp32 {slow:.1f} µs per digit, on one thread")
    fused = sum(row.exec_status != "EXECUTED" for row in rows)
    out.print(f"counters  of {len(rows)} layers, {fused} were fused into these:")
    out.print(reports.table(rows, executed_only=True))
    out.print("next: `lpc demo --save .`, then `lpc compile digits.onnx -o digits.so`")
    if equal < _COMPARED:
        raise click.ClickException("the library differs from the interpreter; please report this")


def _compiled(name: str, target: str) -> tuple[Model, str]:
    """The model on one thread, and how it came to be: a library, or code in memory."""
    import lpc.runtime as lpr

    from .. import compile, demo
    from ..codegen.linker import find_linker
    from .loading import load

    shapes = {demo.INPUT: demo.IMAGE}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lpc-") as folder, demo.resource(name) as path:
        try:
            find_linker()
        except LpcError as error:
            model = load(path, target, shapes, threads=1)
            return model, f"in memory in {time.perf_counter() - begin:.1f} s ({error})"
        library = Path(folder) / "digits.so"
        with progress_display() as progress:
            compile(path, library, target=target, input_shapes=shapes, progress=progress)
        seconds, size = time.perf_counter() - begin, library.stat().st_size
        model = lpr.load(library, num_threads=1)
        return model, f"to a library of {size / 1e3:.0f} kB in {seconds:.1f} s ({model.target})"


def _logits(model: Model, images: Array) -> Array:
    import numpy as np

    return np.concatenate([model(image[None]) for image in images])


def _accuracy(model: Model, images: Array, labels: Array) -> float:
    return float((_logits(model, images).argmax(1) == labels).mean())


def _equal_to_interpreter(model: Model, images: Array) -> int:
    """How many results equal those of the graph at level `int8`, run in numpy."""
    from .. import demo
    from ..compilation import graph_at
    from ..interpreters.graph import run_graph

    with demo.resource("digits_int8.onnx") as path:
        graph = graph_at("int8", path, {demo.INPUT: demo.IMAGE})
    compiled = _logits(model, images)
    equal = 0
    for image, logits in zip(images, compiled, strict=True):
        (expected,) = run_graph(graph, {demo.INPUT: image[None]}).values()
        equal += bool((expected[0] == logits).all())
    return equal


def _counters(model: Model, image: Array) -> list[LayerCounter]:
    from .. import demo

    model.profile({demo.INPUT: image}, iterations=_PROFILED_RUNS)
    return model.profile({demo.INPUT: image}, iterations=_PROFILED_RUNS)


def _save(folder: Path) -> list[Path]:
    import numpy as np

    from .. import demo, files

    copies = {"digits.onnx": "digits_int8.onnx", "digits_fp32.onnx": "digits_fp32.onnx"}
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in copies.items():
        with demo.resource(source) as path:
            files.write(folder / name, path.read_bytes())
    with demo.resource("digits.npz") as path:
        image = np.load(path)["test_x"][:1]
    digit = folder / "digit.npz"
    with files.replacing(digit) as beside, beside.open("wb") as file:
        np.savez(file, **{demo.INPUT: image})
    return [*(folder / name for name in copies), digit]
