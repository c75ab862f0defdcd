"""Verification of IR between levels, fast on kernels.

A kernel repeats few kinds of ops thousands of times, and xDSL takes 20 µs to verify each. In the
dialects of `_LOCAL`, what an op's definition demands concerns nothing but its kind, the types of
its operands and results, and its properties; so the verdict on one op holds for all ops that share
these (the same objects, which is quick to compare; equal ones that are not the same are verified
again). Blocks, parents and terminators are checked everywhere, as xDSL does.
"""

from __future__ import annotations

from typing import TypeAlias

from xdsl.ir import Block, ErasedSSAValue, Operation
from xdsl.utils.exceptions import VerifyException

_LOCAL = ("arith", "loop", "math", "tile", "vector")

_Kind: TypeAlias = tuple[object, ...]


def verify(op: Operation) -> None:
    """VerifyException if `op` or anything inside it is not what its definition demands."""
    _Verifier().verify(op)


class _Verifier:
    def __init__(self) -> None:
        # By identity of types and attributes: all of them live as long as the IR.
        self._good: set[_Kind] = set()

    def verify(self, op: Operation) -> None:
        for region in op.regions:
            for block in region.blocks:
                if block.parent is not region:
                    raise VerifyException(f"{op.name}: a block that has another parent")
                self._verify_block(block)
        op.verify(verify_nested_ops=False)

    def _verify_block(self, block: Block) -> None:
        if block.is_empty:
            block.verify()
        for op in block.ops:
            if op.parent is not block:
                raise VerifyException(f"{op.name}: an op that has another parent")
            if op.regions or op.next_op is None or op.name.partition(".")[0] not in _LOCAL:
                self.verify(op)
            else:
                self._verify_local(op)

    def _verify_local(self, op: Operation) -> None:
        kind = _kind(op)
        if kind not in self._good:
            op.verify()
            self._good.add(kind)


def _kind(op: Operation) -> _Kind:
    return (
        type(op),
        *(None if isinstance(v, ErasedSSAValue) else id(v.type) for v in op.operands),
        "results",
        *(id(value.type) for value in op.results),
        *((name, id(attribute)) for name, attribute in op.properties.items()),
        "attributes",
        *((name, id(attribute)) for name, attribute in op.attributes.items()),
    )
