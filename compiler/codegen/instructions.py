"""Machine instructions as rows: types, meaning in numpy, and the LLVM intrinsic that emits each.

The meaning is the instruction's own, saturation included; `tests/codegen/test_instructions.py` runs
every row against it at extreme operands. A generator never names a row: the pass
select-instructions picks rows for the abstract dot products, and only there is a precondition
(`exact when …`) discharged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..dialects.tensors import Array

Semantics = Callable[..., Array]


@dataclass(frozen=True)
class Instruction:
    """`operands` and `result` are LLVM vector types such as "<64 x i8>"."""

    name: str
    target: str
    intrinsic: str
    operands: tuple[str, ...]
    result: str
    semantics: Semantics
    exact_when: str

    def __post_init__(self) -> None:
        if not self.intrinsic.startswith("llvm.x86."):
            raise ValueError(f"{self.name}: '{self.intrinsic}' is not an x86 intrinsic")


def _dpbusd(accumulator: Array, a: Array, b: Array) -> Array:
    """accumulator + Σ of four u8×s8 products per lane, wrapping in 32 bits."""
    products = a.view(np.uint8).astype(np.int64) * b.view(np.int8).astype(np.int64)
    sums: Array = accumulator.astype(np.int64) + products.reshape(-1, 4).sum(1)
    return sums.astype(np.int32)


def _dpwssd(accumulator: Array, a: Array, b: Array) -> Array:
    """accumulator + Σ of two s16 products per lane, wrapping in 32 bits."""
    products = a.view(np.int16).astype(np.int64) * b.view(np.int16).astype(np.int64)
    sums: Array = accumulator.astype(np.int64) + products.reshape(-1, 2).sum(1)
    return sums.astype(np.int32)


def _maddubs(a: Array, b: Array) -> Array:
    """Sums of neighbouring u8×s8 products, *saturated* to 16 bits."""
    products = a.view(np.uint8).astype(np.int32) * b.view(np.int8).astype(np.int32)
    sums: Array = products.reshape(-1, 2).sum(1)
    return np.clip(sums, -32768, 32767).astype(np.int16)


def _maddwd(a: Array, b: Array) -> Array:
    """Sums of neighbouring s16 products (wraps only for four times −32768)."""
    products = a.view(np.int16).astype(np.int64) * b.view(np.int16).astype(np.int64)
    sums: Array = products.reshape(-1, 2).sum(1)
    return sums.astype(np.int32)


def _signb(a: Array, b: Array) -> Array:
    """Bytes of a, negated where b is negative (−128 stays −128), zero where b is zero."""
    negated = np.where(b.view(np.int8) < 0, -a.view(np.int8), a.view(np.int8)).astype(np.int8)
    return np.where(b.view(np.int8) == 0, np.int8(0), negated)


_ALWAYS = "always"
_PAIRS = "every pair sum of u8×s8 products lies in [−32768, 32767]"
_SIGNED = "no byte of the first operand is −128"
_HALVES = "not all four halves of a lane are −32768"


def _multiply_rows(target: str, bits: int, maddubs: str, maddwd: str) -> tuple[Instruction, ...]:
    bytes_, halves, words = (f"<{bits // n} x i{n}>" for n in (8, 16, 32))
    return (
        Instruction(
            f"vpmaddubsw.{bits}", target, maddubs, (bytes_, bytes_), halves, _maddubs, _PAIRS
        ),
        Instruction(f"vpmaddwd.{bits}", target, maddwd, (halves, halves), words, _maddwd, _HALVES),
    )


def _sign_row(target: str, bits: int, intrinsic: str) -> Instruction:
    bytes_ = f"<{bits // 8} x i8>"
    return Instruction(
        f"vpsignb.{bits}", target, intrinsic, (bytes_, bytes_), bytes_, _signb, _SIGNED
    )


def _vnni_rows(name: str, semantics: Semantics, element: int) -> tuple[Instruction, ...]:
    """The three vector widths of AVX-512 VNNI with VL."""
    rows = []
    for bits in (128, 256, 512):
        words, operand = f"<{bits // 32} x i32>", f"<{bits // element} x i{element}>"
        rows.append(
            Instruction(
                f"{name}.{bits}",
                "avx512_vnni",
                f"llvm.x86.avx512.{name}.{bits}",
                (words, operand, operand),
                words,
                semantics,
                _ALWAYS,
            )
        )
    return tuple(rows)


INSTRUCTIONS: tuple[Instruction, ...] = (
    *_multiply_rows("sse42", 128, "llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd"),
    *_multiply_rows("avx2", 256, "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
    *_multiply_rows(
        "avx512", 512, "llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512"
    ),
    _sign_row("sse42", 128, "llvm.x86.ssse3.psign.b.128"),
    _sign_row("avx2", 256, "llvm.x86.avx2.psign.b"),
    *_vnni_rows("vpdpbusd", _dpbusd, 8),
    *_vnni_rows("vpdpwssd", _dpwssd, 16),
)

BY_NAME = {row.name: row for row in INSTRUCTIONS}
