"""`lpc opt`: parse IR, run passes, print IR. What lit tests run, and what one debugs a pass with.

    lpc opt model.mlir -p 'fold-batch-norm,canonicalize'

Only our own dialects and passes are registered, and each is imported when it is first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from xdsl.ir import Dialect
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    ParseError,
    PassFailedException,
    VerifyException,
)
from xdsl.utils.target import Target
from xdsl.xdsl_opt_main import xDSLOptMain

from .errors import LpcError
from .passes import PASS_NAMES, load_pass


def _builtin() -> Dialect:
    from xdsl.dialects.builtin import Builtin

    return Builtin


def _func() -> Dialect:
    from xdsl.dialects.func import Func

    return Func


def _graph() -> Dialect:
    from .dialects.graph import Graph

    return Graph


def _loop() -> Dialect:
    from .dialects.loop import Loop

    return Loop


def _tile() -> Dialect:
    from .dialects.tile import Tile

    return Tile


def _scf() -> Dialect:
    from xdsl.dialects.scf import Scf

    return Scf


def _arith() -> Dialect:
    from xdsl.dialects.arith import Arith

    return Arith


def _math() -> Dialect:
    from xdsl.dialects.math import Math

    return Math


def _vector() -> Dialect:
    from xdsl.dialects.vector import Vector

    return Vector


DIALECTS: dict[str, Callable[[], Dialect]] = {
    "builtin": _builtin,
    "func": _func,
    "graph": _graph,
    "loop": _loop,
    "tile": _tile,
    # what kernels consist of, besides loop
    "scf": _scf,
    "arith": _arith,
    "math": _math,
    "vector": _vector,
}


def _mlir_target() -> type[Target]:
    from xdsl.targets.mlir import MLIRTarget

    return MLIRTarget


class OptMain(xDSLOptMain):
    """xDSL's driver with our dialects and passes instead of its own."""

    def register_all_dialects(self) -> None:
        for name, load in DIALECTS.items():
            self.ctx.register_dialect(name, load)

    def register_all_passes(self) -> None:
        for name in PASS_NAMES:
            self.register_pass(name, partial(load_pass, name))

    def register_all_targets(self) -> None:
        self.available_targets["mlir"] = _mlir_target


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; the exit code: 1 for a file that does not parse or verify, 2 for misuse."""
    try:
        tool = OptMain("Run passes over IR in our dialects.", arguments)
    except (ValueError, ArgSpecParseError) as error:
        return _report(error, 2)
    try:
        tool.run()  # type: ignore[no-untyped-call]
    except (ParseError, VerifyException, PassFailedException, LpcError, OSError) as error:
        return _report(error, 1)
    return 0


def _report(error: BaseException, code: int) -> int:
    print(f"lpc opt: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
