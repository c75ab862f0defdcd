"""ONNX files (default domain, opset 13–22) → one `func.func @main` of graph ops.

    module = load_onnx("model.onnx", {"input": (1, 3, 224, 224)}, warn=print)

One file per theme holds a table `CONVERTERS`: ONNX op type → function that emits graph ops. Nodes
whose inputs are known at compile time are evaluated (`folding.py`), except QuantizeLinear and
DequantizeLinear, which later passes need to see.
"""

from .importer import load_onnx

__all__ = ["load_onnx"]
