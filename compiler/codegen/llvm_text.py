"""LLVM IR as text: types, constants, and functions under construction.

llvmlite's builder makes the same text from objects for every value, type and operand, which took
longer than LLVM takes to parse and simplify it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

POINTER, INDEX, VOID, FLOAT, BYTE, WORD, TRUTH = "ptr", "i64", "void", "float", "i8", "i32", "i1"


class Value(NamedTuple):
    """A register or constant: `kind` is its type."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


# --- types ----------------------------------------------------------------------------------------


@cache
def vector(lanes: int, element: str) -> str:
    return f"<{lanes} x {element}>"


@cache
def lanes_and_element(kind: str) -> tuple[int, str]:
    """ "<8 x i32>" → (8, "i32"); a scalar has no lanes: 0."""
    if kind[0] != "<":
        return 0, kind
    lanes, _, element = kind.strip("<>").partition(" x ")
    return int(lanes), element


@cache
def truth_of(kind: str) -> str:
    """The type of what a comparison of such values gives."""
    lanes, _ = lanes_and_element(kind)
    return vector(lanes, TRUTH) if lanes else TRUTH


@cache
def suffix(kind: str) -> str:
    """How intrinsics are named that are overloaded on a type: v8i32, f32."""
    lanes, element = lanes_and_element(kind)
    name = "f32" if element == FLOAT else element
    return f"v{lanes}{name}" if lanes else name


@cache
def element_bytes(kind: str) -> int:
    _, element = lanes_and_element(kind)
    return 4 if element == FLOAT else int(element[1:]) // 8


# --- constants ------------------------------------------------------------------------------------


def number(kind: str, value: float) -> Value:
    """A scalar."""
    return Value(kind, _float(value) if kind == FLOAT else str(int(value)))


def numbers(element: str, values: Sequence[float]) -> Value:
    """A vector."""
    content = ", ".join(f"{element} {number(element, value).name}" for value in values)
    return Value(vector(len(values), element), f"<{content}>")


def _float(value: float) -> str:
    """As LLVM wants float32: the bits of the equal float64."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', np.float32(value)))[0]:016x}"


@cache
def lane_numbers(lanes: tuple[int, ...]) -> Value:
    return numbers(WORD, lanes)


@cache
def mask(lanes: int, count: int) -> Value:
    """Truth values of which the first `count` are true."""
    return numbers(TRUTH, [int(i < count) for i in range(lanes)])


@cache
def zeros(kind: str) -> Value:
    return Value(kind, "zeroinitializer")


# --- functions ------------------------------------------------------------------------------------


class Phi:
    """A value that depends on the block before; `add` tells what it is behind one."""

    def __init__(self, kind: str, name: str):
        self.value = Value(kind, name)
        self._incoming: list[str] = []

    def add(self, value: Value, label: str) -> None:
        self._incoming.append(f"[ {value.name}, %{label} ]")

    def __str__(self) -> str:
        return f"  {self.value.name} = phi {self.value.kind} {', '.join(self._incoming)}"


class Function:
    """A function under construction: instructions go to the end of the current block."""

    def __init__(self, head: str):
        self._head, self._count = head, 0
        self._on_entry: list[object] = []
        self._blocks: dict[str, list[object]] = {}
        self.label = ""
        self.enter(self.block("entry"))

    def __str__(self) -> str:
        return "\n".join(map(str, self._lines()))

    def _lines(self) -> Iterator[object]:
        yield f"define {self._head} {{"
        for i, (label, lines) in enumerate(self._blocks.items()):
            yield f"{label}:"
            yield from self._on_entry if i == 0 else ()
            yield from lines
        yield "}"

    def block(self, name: str) -> str:
        """The label of a new block behind all others."""
        label = f"{name}{len(self._blocks)}"
        self._blocks[label] = []
        return label

    def enter(self, label: str) -> None:
        """What follows goes there."""
        self.label, self._current = label, self._blocks[label]

    def line(self, text: str) -> None:
        self._current.append("  " + text)

    def value(self, kind: str, text: str) -> Value:
        """The result of an instruction."""
        name = self._register()
        self._current.append(f"  {name} = {text}")
        return Value(kind, name)

    def phi(self, kind: str) -> Phi:
        phi = Phi(kind, self._register())
        self._current.append(phi)
        return phi

    def place(self, kind: str) -> Value:
        """64-byte aligned, on the stack, for the whole call: LLVM takes only those of the entry
        block as fixed."""
        name = self._register()
        self._on_entry.append(f"  {name} = alloca {kind}, align 64")
        return Value(POINTER, name)

    def _register(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def branch(self, condition: Value, then: str, otherwise: str) -> None:
        self.line(f"br {condition}, label %{then}, label %{otherwise}")

    def jump(self, label: str) -> None:
        self.line(f"br label %{label}")

    def binary(self, instruction: str, a: Value, b: Value) -> Value:
        return self.value(a.kind, f"{instruction} {a.kind} {a.name}, {b.name}")

    def compare(self, instruction: str, a: Value, b: Value) -> Value:
        return self.value(truth_of(a.kind), f"{instruction} {a.kind} {a.name}, {b.name}")

    def convert(self, instruction: str, a: Value, kind: str) -> Value:
        return self.value(kind, f"{instruction} {a.kind} {a.name} to {kind}")

    def offset(self, base: Value, count: Value, element: str = BYTE) -> Value:
        """base + count elements"""
        return self.value(
            POINTER, f"getelementptr {element}, ptr {base.name}, {count.kind} {count.name}"
        )

    def load(self, address: Value, kind: str, align: int) -> Value:
        return self.value(kind, f"load {kind}, ptr {address.name}, align {align}")

    def store(self, value: Value, address: Value, align: int = 1) -> None:
        self.line(f"store {value.kind} {value.name}, ptr {address.name}, align {align}")

    def shuffle(self, a: Value, b: Value, lanes: Iterable[int]) -> Value:
        picked = lane_numbers(tuple(lanes))
        _, element = lanes_and_element(a.kind)
        kind = vector(lanes_and_element(picked.kind)[0], element)
        return self.value(kind, f"shufflevector {a}, {b}, {picked}")

    def extract(self, a: Value, lane: int) -> Value:
        _, element = lanes_and_element(a.kind)
        return self.value(element, f"extractelement {a}, {WORD} {lane}")
