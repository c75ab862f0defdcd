"""Tiny hand-written models: a few kernels in LLVM IR, enough to exercise everything around them."""

from __future__ import annotations

import numpy as np
from lpc.compiler.codegen.objects import emit_object
from lpc.compiler.codegen.program import (
    Argument,
    LibraryInfo,
    Step,
    TargetProgram,
    TensorInfo,
)

# Every target adds another constant, so that a result tells which one has run. The kernels
# themselves are plain x86-64 code.
BIAS = {
    "sse42": 5, "avx2": 7, "avx512": 9, "avx_vnni": 10, "avx10": 12, "avx512_vnni": 11,
    "amx_int8": 13,
}  # fmt: skip

UNITS = 37
LENGTH = 4 * UNITS
#: The last unit of the first of two threads' share, of 32 pieces.
HELD_BY = UNITS * 16 // 32 - 1

# Each unit is four i32: `scale` multiplies by weights, `bias` adds a constant, `slow` counts,
# `trace` stores which units it was called for and the floating-point control word. `held` marks
# its units, but unit 0 waits until the last one of the first of two threads' share is marked, and
# gets a 2 if that takes too long.
_KERNELS = """
define void @scale_{t}(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %out.at = getelementptr ptr, ptr %buffers, i64 1
  %weights.at = getelementptr ptr, ptr %buffers, i64 2
  %in = load ptr, ptr %buffers
  %out = load ptr, ptr %out.at
  %weights = load ptr, ptr %weights.at
  %first = mul i64 %begin, 4
  %last = mul i64 %end, 4
  br label %check
check:
  %i = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp ult i64 %i, %last
  br i1 %more, label %body, label %done
body:
  %x.at = getelementptr i32, ptr %in, i64 %i
  %w.at = getelementptr i32, ptr %weights, i64 %i
  %y.at = getelementptr i32, ptr %out, i64 %i
  %x = load i32, ptr %x.at
  %w = load i32, ptr %w.at
  %y = mul i32 %x, %w
  store i32 %y, ptr %y.at
  %next = add i64 %i, 1
  br label %check
done:
  ret void
}}

define void @bias_{t}(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %out.at = getelementptr ptr, ptr %buffers, i64 1
  %in = load ptr, ptr %buffers
  %out = load ptr, ptr %out.at
  %first = mul i64 %begin, 4
  %last = mul i64 %end, 4
  br label %check
check:
  %i = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp ult i64 %i, %last
  br i1 %more, label %body, label %done
body:
  %x.at = getelementptr i32, ptr %in, i64 %i
  %y.at = getelementptr i32, ptr %out, i64 %i
  %x = load i32, ptr %x.at
  %y = add i32 %x, {bias}
  store i32 %y, ptr %y.at
  %next = add i64 %i, 1
  br label %check
done:
  ret void
}}

declare void @llvm.x86.sse.stmxcsr(ptr)

define void @trace_{t}(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %out = load ptr, ptr %buffers
  %begin.i32 = trunc i64 %begin to i32
  %end.i32 = trunc i64 %end to i32
  br label %check
check:
  %i = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp ult i64 %i, %end
  br i1 %more, label %body, label %done
body:
  %row = getelementptr [4 x i32], ptr %out, i64 %i
  %end.at = getelementptr [4 x i32], ptr %row, i64 0, i64 1
  %mxcsr.at = getelementptr [4 x i32], ptr %row, i64 0, i64 2
  store i32 %begin.i32, ptr %row
  store i32 %end.i32, ptr %end.at
  call void @llvm.x86.sse.stmxcsr(ptr %mxcsr.at)
  %next = add i64 %i, 1
  br label %check
done:
  ret void
}}

define void @held_{t}(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %out = load ptr, ptr %buffers
  %last = getelementptr [4 x i32], ptr %out, i64 {last}
  %is_first = icmp eq i64 %begin, 0
  br i1 %is_first, label %wait, label %mark
wait:
  %tries = phi i64 [ 0, %entry ], [ %tries.next, %wait ]
  %seen = load volatile i32, ptr %last
  %tries.next = add i64 %tries, 1
  %waits = icmp eq i32 %seen, 0
  %patient = icmp ult i64 %tries, 4000000000
  %again = and i1 %waits, %patient
  %waited = select i1 %waits, i32 2, i32 1
  br i1 %again, label %wait, label %mark
mark:
  %i = phi i64 [ %begin, %entry ], [ %begin, %wait ], [ %next, %mark ]
  %value = phi i32 [ 1, %entry ], [ %waited, %wait ], [ 1, %mark ]
  %row = getelementptr [4 x i32], ptr %out, i64 %i
  store volatile i32 %value, ptr %row
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %end
  br i1 %more, label %mark, label %done
done:
  ret void
}}

define void @slow_{t}(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %units = sub i64 %end, %begin
  %rounds = mul i64 %units, 20000
  %counter = alloca i64
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  store volatile i64 %i, ptr %counter
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""

INFO = LibraryInfo(
    model_name="tiny",
    inputs=(TensorInfo("x", "int32", (1, LENGTH)),),
    outputs=(TensorInfo("y", "int32", (1, LENGTH)),),
    layers=(("scale", "Mul"), ("relu", "Relu"), ("bias", "Add"), ("slow", "Loop")),
)


def weights() -> np.ndarray:
    return np.arange(LENGTH, dtype=np.int32) - 50


def program(target: str, bias: int) -> TargetProgram:
    """y = x * weights + bias; the product passes through the workspace."""
    source, sink = Argument("input", 0, 0), Argument("output", 0, 0)
    middle, blob = Argument("workspace", 0, 128), Argument("weights", 0, 64)
    kind = f"jit_{target}_I8"
    scale = Step(f"scale_{target}", UNITS, 8, (source, middle, blob), "scale", "Mul", kind)
    add = Step(f"bias_{target}", UNITS, 3, (middle, sink), "bias", "Add", kind)
    return program_of(target, (scale, add), bias)


def program_of(target: str, steps: tuple[Step, ...], bias: int = 0) -> TargetProgram:
    return TargetProgram(
        target=target,
        steps=steps,
        workspace_size=128 + 4 * LENGTH,
        weights=bytes(64) + weights().tobytes(),
        objects=(emit_object(_KERNELS.format(t=target, bias=bias, last=HELD_BY)),),
    )


def slow_step(target: str, layer: str = "slow") -> Step:
    """About a millisecond of counting."""
    return Step(f"slow_{target}", 100, 8, (), layer, "Loop", f"jit_{target}_FP32")


def trace_step(target: str, max_threads: int) -> Step:
    """The output gets, for each unit: begin, end, MXCSR, 0."""
    sink = Argument("output", 0, 0)
    return Step(f"trace_{target}", UNITS, max_threads, (sink,), "scale", "Mul", "trace")


def held_step(target: str) -> Step:
    """The output gets, for each unit, a mark; see `held`."""
    sink = Argument("output", 0, 0)
    return Step(f"held_{target}", UNITS, 2, (sink,), "scale", "Mul", "held")


def x(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, (1, LENGTH), dtype=np.int32)


def expected(value: np.ndarray, bias: int) -> np.ndarray:
    return np.asarray(value * weights() + np.int32(bias))
