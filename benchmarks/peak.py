"""What this machine could do at best: u8×s8 multiply-adds per second of the plain dot product.

    VNNI            sum += vpdpbusd(a, w)
    without         sum += vpmaddwd(vpmaddubsw(a, w), 1)        32 products in two multiplies

    python -m benchmarks.peak --isa avx2

The loop has the shape of the contraction kernels, m rows × n vectors of sums, with operands in the
first-level cache; the best of a few tiles counts. Chains that add several vpmaddubsw in 16 bits can
exceed the figure of the second form.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import click
import numpy as np
from lpc.compiler.codegen import machine
from lpc.compiler.codegen.builder import KernelBuilder
from lpc.compiler.codegen.emitter import emit_kernels, module_text
from lpc.compiler.codegen.host import resolve_targets
from lpc.compiler.codegen.native import addresses_of
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects.loop import InstructionOp, vector_of
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, ModuleOp, i16, i32
from xdsl.ir import SSAValue

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Kernel = Callable[[int], Bytes]
i8 = IntegerType(8)

NAMES = [target.name for target in TARGETS]
STEPS = 256  # operands of all tiles fit 32 KiB
# (rows, vectors) that leave room for operands in 16 and in 32 registers
TILES = {16: ((4, 2), (3, 3), (5, 2)), 32: ((8, 2), (4, 4), (12, 2))}
SECONDS = 0.05
ROUNDS = 5


def peak_gmacs(target: Target, threads: int = 1) -> float:
    """10⁹ multiply-adds per second of `threads` threads that compute at the same time."""
    return max(
        _measured(target, rows, vectors, threads) for rows, vectors in TILES[target.registers]
    )


def _measured(target: Target, rows: int, vectors: int, threads: int) -> float:
    kernel = loaded(kernel_of(target, rows, vectors), target, rows, vectors)
    macs_per_unit = STEPS * rows * vectors * target.vector_bytes
    start = time.perf_counter()
    kernel(1000)
    units = max(1, round(1000 * SECONDS / (time.perf_counter() - start)))
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            list(pool.map(kernel, [units] * threads))
            seconds = time.perf_counter() - start
            best = max(best, threads * units * macs_per_unit / seconds / 1e9)
    return best


def kernel_of(target: Target, rows: int, vectors: int) -> ModuleOp:
    """Every unit computes one tile of sums from the same operands."""
    b = KernelBuilder("kernel", 3)
    inputs, weights, results = b.buffers
    lanes, size = target.lanes, target.vector_bytes
    kind = vector_of(i32, lanes)
    with b.unit_loop():
        zeros = [b.constant(0, i32, lanes)] * (rows * vectors)
        with b.loop(0, STEPS, carried=zeros) as k:
            w_k = b.address(weights, b.mul(k.variable, vectors * size))
            x_k = b.address(inputs, b.mul(k.variable, 4))
            w = [b.load(w_k, j * size, kind, align=size) for j in range(vectors)]
            sums = []
            for i in range(rows):
                a = b.splat(b.load(x_k, i * STEPS * 4, i32), lanes)
                sums += [
                    _dot(b, target, k.carried[i * vectors + j], a, w[j]) for j in range(vectors)
                ]
            k.next = sums
        for index, total in enumerate(k.results):
            b.store(total, results, index * size)
    return ModuleOp([b.finish()])


def _dot(b: KernelBuilder, target: Target, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
    bits, bytes_ = 8 * target.vector_bytes, target.vector_bytes
    a8, w8 = (b.bitcast(value, i8, bytes_) for value in (a, w))
    if target.dot4:
        return b.emit(InstructionOp(f"{target.dot4}.{bits}", [total, a8, w8], total.type))
    halves = vector_of(i16, bytes_ // 2)
    pairs = b.emit(InstructionOp(f"vpmaddubsw.{bits}", [a8, w8], halves))
    ones = b.constant(1, i16, bytes_ // 2)
    fours = b.emit(InstructionOp(f"vpmaddwd.{bits}", [pairs, ones], total.type))
    return b.emit(arith.AddiOp(total, fours))


def loaded(module: ModuleOp, target: Target, rows: int, vectors: int) -> Kernel:
    """The function that computes so many units and returns their sums; threads share nothing."""
    code = machine.object_code(module_text(emit_kernels(module, target)), target)
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    function = signature(addresses_of(["kernel"], [code])["kernel"])
    operands = [_aligned(rows * STEPS * 4), _aligned(vectors * STEPS * target.vector_bytes)]

    def run(units: int) -> Bytes:
        results = _aligned(rows * vectors * target.vector_bytes)
        buffers = [*operands, results]
        table = (ctypes.c_void_p * 3)(*(buffer.ctypes.data for buffer in buffers))
        function(ctypes.addressof(table), 0, units)
        return results

    return run


def _aligned(size: int) -> Bytes:
    """Small numbers, so that nothing saturates."""
    room = np.ones(size + 64, np.uint8)
    return room[-room.ctypes.data % 64 :][:size]


@click.command()
@click.option("--isa", type=click.Choice(["native", *NAMES]), default="native", show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(isa: str, threads: int) -> None:
    """Print the peak in GMAC/s."""
    (target,) = resolve_targets(isa)
    click.echo(f"{target.name}, {threads} thread(s): {peak_gmacs(target, threads):.1f} GMAC/s")


if __name__ == "__main__":
    main()
