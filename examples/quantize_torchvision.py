"""Exports a network of torchvision, with seeded random weights, and quantizes it to Q/DQ.

    pip install torch torchvision onnx onnxscript onnxruntime
    python examples/quantize_torchvision.py convnext_tiny        → convnext_tiny_int8.onnx
    python -m benchmarks.run --model convnext_tiny_int8.onnx --isa avx2

Batch norms get seeded factors and the statistics of seeded images. `torch.onnx.export` as it is
today (dynamo), batch 1; then ONNX Runtime's `quantize_static`, as its documentation says. Weights
that PyTorch draws from a uniform distribution are drawn again from a normal one of the same
deviation, unless --uniform: trained weights have no sharp limit, and where all products are as
large as the type allows, exact kernels without VNNI have more to do (docs/performance.md).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
import torchvision
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

SIZE = {"inception_v3": 299, "efficientnet_b1": 240}
# Largest weight over deviation: √3 if uniform, 3 and more if normal.
UNIFORM_BELOW = 1.9


class Calibration(CalibrationDataReader):
    def __init__(self, images: torch.Tensor):
        self.images = iter(images.numpy())

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.images, None)
        return None if image is None else {"input": image[None]}


def seeded_images(count: int, size: int) -> torch.Tensor:
    """Blobs and grain, [count, 3, size, size]."""
    random = torch.Generator().manual_seed(5)
    blobs = torch.randn(count, 3, 8, 8, generator=random)
    blobs = torch.nn.functional.interpolate(blobs, (size, size), mode="bilinear")
    return blobs + 0.5 * torch.randn(count, 3, size, size, generator=random)


def prepare(model: torch.nn.Module, images: torch.Tensor, uniform: bool) -> None:
    """Weights and batch norms as in the module's docstring."""
    random = torch.Generator().manual_seed(7)
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, torch.nn.BatchNorm2d):
            channels = module.num_features
            module.weight.data = torch.rand(channels, generator=random) + 0.5
            module.bias.data = torch.randn(channels, generator=random) * 0.2
            module.momentum = None  # the mean over all images
        elif weight is not None and weight.dim() > 1 and not uniform:
            deviation = weight.std()
            if weight.abs().max() < UNIFORM_BELOW * deviation:
                weight.data = torch.randn(weight.shape, generator=random) * deviation
    model.train()
    with torch.no_grad():
        model(images)
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="as in torchvision.models")
    parser.add_argument("--uniform", action="store_true", help="weights as PyTorch draws them")
    options = parser.parse_args()
    torch.manual_seed(1234)
    images = seeded_images(4, SIZE.get(options.name, 224))
    model = getattr(torchvision.models, options.name)(weights=None)
    prepare(model, images, options.uniform)
    with tempfile.TemporaryDirectory() as scratch:
        exported, folded = Path(scratch) / "exported.onnx", Path(scratch) / "folded.onnx"
        torch.onnx.export(
            model,
            (images[:1],),
            exported,
            dynamo=True,
            external_data=False,
            input_names=["input"],
            output_names=["output"],
        )
        quant_pre_process(exported, folded)
        quantize_static(
            folded,
            f"{options.name}_int8.onnx",
            Calibration(images),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


if __name__ == "__main__":
    main()
