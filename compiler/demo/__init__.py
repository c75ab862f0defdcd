"""The bundled example: a small residual CNN that reads 8×8 handwritten digits, and its data.

    digits_fp32.onnx   the trained network
    digits_int8.onnx   the same in Q/DQ form, made by examples/quantize_digits.py
    digits.npz         calib_x [200, 1, 8, 8], test_x [450, 1, 8, 8] float32 in [0, 1], test_y [450]

The digits are the UCI set "Optical Recognition of Handwritten Digits" (CC BY 4.0), split by us.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

INPUT = "input"
IMAGE = (1, 1, 8, 8)


@contextmanager
def resource(name: str) -> Iterator[Path]:
    """The bundled file `name` as a path on disk."""
    with as_file(files(__name__) / name) as path:
        yield path
