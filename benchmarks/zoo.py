"""The model zoo: networks built from seeds, float or quantized to Q/DQ, cached on disk.

    python -m benchmarks.zoo resnet50 --int8 -o resnet50_int8.onnx

Input: float32 "input", (1, 3, 224, 224) for large networks of images. Output: "logits".
The weights are random: the zoo measures speed and exactness, not accuracy.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Literal

import click
import onnx

from .builder import BatchNormMode, FloatNetwork, NetworkBuilder
from .networks import NETWORKS
from .qdq import quantize

Precision = Literal["fp32", "int8"]


def build_float(name: str, *, batch_norm: BatchNormMode = "fold", seed: int = 0) -> FloatNetwork:
    """Build network `name`; batch normalizations folded into convolutions, or kept as nodes."""
    network = NETWORKS[name]
    builder = NetworkBuilder(name, network.shape, seed, batch_norm, network.samples)
    return builder.finish(network.build(builder))


def build(
    name: str, precision: Precision, *, batch_norm: BatchNormMode = "fold", seed: int = 0
) -> onnx.ModelProto:
    """The ONNX model of network `name`. Quantized models have their normalizations folded."""
    if precision == "int8" and batch_norm == "keep":
        raise ValueError("int8 models are quantized after batch normalization is folded")
    network = build_float(name, batch_norm=batch_norm, seed=seed)
    return quantize(network) if precision == "int8" else network.model


def model_path(name: str, precision: Precision) -> Path:
    """The cached file of a model; built at the first request, and again when the zoo changes."""
    path = cache_folder() / f"{name}_{precision}-{_sources_digest()}.onnx"
    if not path.exists():
        save(build(name, precision), path)
        for stale in path.parent.glob(f"{name}_{precision}-*"):  # models, and libraries of them
            if not stale.name.startswith(path.stem):
                stale.unlink(missing_ok=True)
    return path


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write deterministic bytes; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    partial.replace(path)


def cache_folder() -> Path:
    """`$LPC_BENCHMARK_CACHE`, or `.cache` beside this file."""
    return Path(os.environ.get("LPC_BENCHMARK_CACHE", Path(__file__).parent / ".cache"))


@cache
def _sources_digest() -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    own = [here / name for name in ("builder.py", "qdq.py", "reference.py", "zoo.py")]
    for source in own + sorted((here / "networks").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@click.command()
@click.argument("name", type=click.Choice(list(NETWORKS)))
@click.option("--int8/--fp32", "quantized", default=False, help="Quantize to Q/DQ form.")
@click.option("--keep-batch-norm", is_flag=True, help="Keep BatchNormalization nodes (fp32).")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(name: str, quantized: bool, keep_batch_norm: bool, seed: int, output: Path) -> None:
    """Write network NAME as an ONNX file."""
    if quantized and keep_batch_norm:
        raise click.UsageError("--keep-batch-norm needs --fp32")
    precision: Precision = "int8" if quantized else "fp32"
    batch_norm: BatchNormMode = "keep" if keep_batch_norm else "fold"
    save(build(name, precision, batch_norm=batch_norm, seed=seed), output)
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
