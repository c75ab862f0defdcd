"""Machine instructions as rows: types, meaning in numpy, and the LLVM intrinsic that emits each.

The meaning is the instruction's own, saturation included; `tests/codegen/test_instructions.py` runs
every row against it at extreme operands. A generator never names a row: the pass
select-instructions picks rows for the abstract dot products, and only there is a precondition
(`exact when …`) discharged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..dialects.tensors import Array

Semantics = Callable[..., Array]


@dataclass(frozen=True)
class Instruction:
    """`operands` and `result` are LLVM vector types such as "<64 x i8>". `target`: the least one
    that has the instruction; `also`: one that does not imply it, and has the instruction too."""

    name: str
    target: str
    intrinsic: str
    operands: tuple[str, ...]
    result: str
    semantics: Semantics
    exact_when: str
    also: str | None = None

    def __post_init__(self) -> None:
        if not self.intrinsic.startswith(("llvm.x86.", "llvm.sadd.sat.")):
            raise ValueError(f"{self.name}: '{self.intrinsic}' is not one x86 instruction")


def _dot_of_bytes(a_type: type[np.generic], b_type: type[np.generic]) -> Semantics:
    def semantics(accumulator: Array, a: Array, b: Array) -> Array:
        """accumulator + Σ of four products of bytes per lane, wrapping in 32 bits."""
        products = a.view(a_type).astype(np.int64) * b.view(b_type).astype(np.int64)
        sums: Array = accumulator.astype(np.int64) + products.reshape(-1, 4).sum(1)
        return sums.astype(np.int32)

    return semantics


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


def _shuffle_bytes(table: Array, index: Array) -> Array:
    """Within each 128-bit lane: table[index & 15], or 0 where the index has bit 7."""
    rows, places = table.view(np.uint8).reshape(-1, 16), index.view(np.uint8).reshape(-1, 16)
    picked = np.take_along_axis(rows, places & 15, axis=1)
    return np.asarray(np.where(places & 128, np.uint8(0), picked).reshape(-1).view(np.int8))


def _pack(dtype: type[np.generic], result: type[np.generic]) -> Semantics:
    """Lanes of a and b, saturated to half their width; a's come first in each 128-bit lane."""

    def semantics(a: Array, b: Array) -> Array:
        kind, limits = np.dtype(dtype), np.iinfo(cast(Any, result))
        both = np.stack([v.view(kind).reshape(-1, 16 // kind.itemsize) for v in (a, b)], axis=1)
        narrow: Array = np.clip(both, limits.min, limits.max).astype(result)
        return narrow.reshape(-1).view(f"i{kind.itemsize // 2}")

    return semantics


def _add_saturated(a: Array, b: Array) -> Array:
    """Sums of s16 halves, saturated."""
    sums = a.view(np.int16).astype(np.int32) + b.view(np.int16)
    return np.clip(sums, -32768, 32767).astype(np.int16)


_ALWAYS = "always"
_PAIRS = "every pair sum of u8×s8 products lies in [−32768, 32767]"
_HALVES = "not all four halves of a lane are −32768"


def _multiply_rows(target: str, bits: int, maddubs: str, maddwd: str) -> tuple[Instruction, ...]:
    bytes_, halves, words = (f"<{bits // n} x i{n}>" for n in (8, 16, 32))
    return (
        Instruction(
            f"vpmaddubsw.{bits}", target, maddubs, (bytes_, bytes_), halves, _maddubs, _PAIRS
        ),
        Instruction(f"vpmaddwd.{bits}", target, maddwd, (halves, halves), words, _maddwd, _HALVES),
    )


def _byte_rows(target: str, bits: int, isa: str, shuffle: str) -> tuple[Instruction, ...]:
    """Packing with saturation, and the shuffle that tables are made of; `isa` names intrinsics."""
    bytes_, halves, words = (f"<{bits // n} x i{n}>" for n in (8, 16, 32))
    suffix = "" if bits == 256 else f".{bits}"
    packs = (
        ("packssdw", words, halves, _pack(np.int32, np.int16)),
        ("packsswb", halves, bytes_, _pack(np.int16, np.int8)),
        ("packuswb", halves, bytes_, _pack(np.int16, np.uint8)),
    )
    return (
        *(
            Instruction(
                f"v{name}.{bits}",
                target,
                f"llvm.x86.{isa}.{name}{suffix}",
                (operand, operand),
                result,
                semantics,
                _ALWAYS,
            )
            for name, operand, result, semantics in packs
        ),
        Instruction(
            f"vpaddsw.{bits}",
            target,
            f"llvm.sadd.sat.v{bits // 16}i16",
            (halves, halves),
            halves,
            _add_saturated,
            _ALWAYS,
        ),
        Instruction(
            f"vpshufb.{bits}", target, shuffle, (bytes_, bytes_), bytes_, _shuffle_bytes, _ALWAYS
        ),
    )


def _vnni_rows(name: str, semantics: Semantics, element: int) -> tuple[Instruction, ...]:
    """The three vector widths of AVX-512 VNNI with VL; AVX-VNNI encodes two of them with VEX."""
    rows = []
    for bits in (128, 256, 512):
        words, operand = f"<{bits // 32} x i32>", f"<{bits // element} x i{element}>"
        narrow = bits < 512
        rows.append(
            Instruction(
                f"{name}.{bits}",
                "avx_vnni" if narrow else "avx512_vnni",
                f"llvm.x86.avx512.{name}.{bits}",
                (words, operand, operand),
                words,
                semantics,
                _ALWAYS,
                also="avx512_vnni" if narrow else None,
            )
        )
    return tuple(rows)


def _int8_rows(name: str, semantics: Semantics) -> tuple[Instruction, ...]:
    """AVX-VNNI-INT8: bytes of equal sign."""
    return tuple(
        Instruction(
            f"{name}.{bits}",
            "avx10",
            f"llvm.x86.avx2.{name}.{bits}",
            (f"<{bits // 32} x i32>", *(f"<{bits // 8} x i8>",) * 2),
            f"<{bits // 32} x i32>",
            semantics,
            _ALWAYS,
        )
        for bits in (128, 256)
    )


INSTRUCTIONS: tuple[Instruction, ...] = (
    *_multiply_rows("sse42", 128, "llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd"),
    *_multiply_rows("avx2", 256, "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
    *_multiply_rows(
        "avx512", 512, "llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512"
    ),
    *_byte_rows("sse42", 128, "sse2", "llvm.x86.ssse3.pshuf.b.128"),
    *_byte_rows("avx2", 256, "avx2", "llvm.x86.avx2.pshuf.b"),
    *_byte_rows("avx512", 512, "avx512", "llvm.x86.avx512.pshuf.b.512"),
    *_vnni_rows("vpdpbusd", _dot_of_bytes(np.uint8, np.int8), 8),
    *_vnni_rows("vpdpwssd", _dpwssd, 16),
    *_int8_rows("vpdpbssd", _dot_of_bytes(np.int8, np.int8)),
    *_int8_rows("vpdpbuud", _dot_of_bytes(np.uint8, np.uint8)),
)

BY_NAME = {row.name: row for row in INSTRUCTIONS}
