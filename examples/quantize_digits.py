"""Makes the model that `lpc demo` runs: the fp32 digits network, quantized to QDQ by ONNX Runtime.

    pip install onnxruntime && python examples/quantize_digits.py

Unsigned 8-bit activations per tensor, signed 8-bit weights per output channel, calibrated on 200
digits that are in neither the training nor the test set. The result is committed beside its input,
so this runs only to make it anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

DEMO = Path(__file__).resolve().parent.parent / "compiler" / "demo"


class Calibration(CalibrationDataReader):
    def __init__(self, images: np.ndarray):
        self.images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.images, None)
        return None if image is None else {"input": image[None]}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # Batch norms must be folded before quantizing; a quantize between convolution and norm
        # would cost accuracy.
        folded = Path(scratch) / "folded.onnx"
        quant_pre_process(DEMO / "digits_fp32.onnx", folded, skip_symbolic_shape=True)
        quantized = Path(scratch) / "quantized.onnx"
        quantize_static(
            folded,
            quantized,
            Calibration(np.load(DEMO / "digits.npz")["calib_x"]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        model = onnx.load(quantized)
    model.graph.name = "digits"
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    model.ClearField("opset_import")
    model.opset_import.extend(opsets)
    onnx.save(model, DEMO / "digits_int8.onnx")


if __name__ == "__main__":
    main()
