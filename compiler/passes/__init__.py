"""The passes, by name: `sink-dequantize` is the `ModulePass` of that name in `sink_dequantize.py`.

A pass's module is imported when the pass is asked for, so that a tool that runs one pass starts
fast.
"""

from __future__ import annotations

from importlib import import_module

from xdsl.passes import ModulePass

PASS_NAMES = (
    # import → split
    "canonicalize", "fold-batch-norm", "fold-bias", "split-fake-quantize", "quantize-weights",
    "fold-weight-movement", "recover-weight-grid",
    # split → int8
    "sink-dequantize", "hoist-quantize", "integerize-contractions", "fuse-requantize",
    "tabulate-unary", "unsign-activations", "merge-affine", "absorb-output-scale",
    # int8 → packed
    "fold-channel-shuffle", "channels-last", "materialize-weights", "innermost-channels",
    "broadcast-leading-axes", "unflatten-matmul", "fuse-epilogue", "winograd", "concat-in-place",
    "assign-layouts", "plan-memory", "pack-weights", "prove-accumulation",
    # loop → isa
    "select-instructions",
)  # fmt: skip


def load_pass(name: str) -> type[ModulePass]:
    """The class of the pass called `name`; KeyError for a name that is not in PASS_NAMES."""
    if name not in PASS_NAMES:
        raise KeyError(name)
    module = import_module(f".{name.replace('-', '_')}", __name__)
    for candidate in vars(module).values():
        if (
            isinstance(candidate, type)
            and issubclass(candidate, ModulePass)
            and candidate.__module__ == module.__name__
            and candidate.name == name
        ):
            return candidate
    raise ImportError(f"{module.__name__} defines no pass named '{name}'")
