"""Which of the eight tile registers holds which value, and the instructions on them.

    %c = tile.load …                          tile.configure [16, 64, 16, 64, 16, 64, 0, 0, …]
    %d = scf.for … iter_args(%s = %c)         tile.instruction "tileloadd" [0] at …
      %a = tile.load …                   ⇒    scf.for …
      %b = tile.load …                          tile.instruction "tileloadd" [1] at …
      %n = tile.dot4 %s, %a, %b                 tile.instruction "tileloadd" [2] at …
      scf.yield %n                              tile.instruction "tdpbusd" [0, 1, 2]
    tile.store %d, …                          tile.instruction "tilestored" [0] at …
                                              tile.instruction "tilerelease" []

A sum stays in its register: `tile.dot4` must be the only reader of its accumulator, and a loop must
yield each sum in the place that it came from. One configuration serves the whole kernel, since
loading one clears all registers; so every register has one shape. It is loaded when the kernel is
entered and released when it is left.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.rewriter import Rewriter

from ..dialects import tile
from ..errors import LpcError
from .targets import Target


@dataclass(frozen=True)
class TileInstruction:
    """`name`: the mnemonic, and the method of interpreters/tiles.py that is its meaning."""

    name: str
    intrinsic: str


INSTRUCTIONS = (
    TileInstruction("tileloadd", "llvm.x86.tileloadd64"),
    TileInstruction("tilestored", "llvm.x86.tilestored64"),
    TileInstruction("tdpbusd", "llvm.x86.tdpbusd"),
    TileInstruction("tilerelease", "llvm.x86.tilerelease"),
)
BY_NAME = {row.name: row for row in INSTRUCTIONS}


def assign_registers(func: FuncOp, target: Target) -> None:
    """Replaces all abstract ops of the tile dialect in `func`."""
    if not any(isinstance(value.type, tile.RegisterType) for value in _results(func)):
        return
    if target.tile_dot4 is None:
        raise LpcError(f"target {target.name} has no tile registers")
    least = _Assigner(target.tile_dot4, None)
    least.block(func.body.block)
    assigner = _Assigner(target.tile_dot4, Counter(least.shapes))
    assigner.block(func.body.block)
    assigner.erase()
    unused = [(0, 0)] * (tile.REGISTERS - len(assigner.shapes))
    body = func.body.block
    assert body.first_op is not None
    assert isinstance(body.last_op, ReturnOp)
    body.insert_op_before(tile.ConfigureOp([*assigner.shapes, *unused]), body.first_op)
    body.insert_op_before(tile.InstructionOp("tilerelease", []), body.last_op)


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise LpcError(otherwise)


def _results(func: FuncOp) -> list[SSAValue]:
    return [value for op in func.walk() for value in op.results]


class _Assigner:
    """`needed`: how many registers of each shape there must be, which a first run finds out that
    changes nothing; what is left of the eight goes to whoever comes first."""

    def __init__(self, dot4: str, needed: Counter[tile.Shape] | None):
        self._dot4, self._needed = dot4, needed
        self.shapes: list[tile.Shape] = []
        #: Of each shape, the longest unused first.
        self._free: dict[tile.Shape, deque[int]] = {}
        self._registers: dict[SSAValue, int] = {}
        self._readers: dict[SSAValue, int] = {}
        self._dead: list[Operation] = []
        self._dead_arguments: list[BlockArgument] = []

    def block(self, block: Block) -> None:
        for op in list(block.ops):
            if isinstance(op, tile.LoadOp):
                self._define(op, self._take(op.result), op.operands)
            elif isinstance(op, tile.Dot4Op):
                self._dot(op)
            elif isinstance(op, tile.StoreOp):
                self._emit(op, "tilestored", [self._read(op.value, op)], op.operands[1:])
            elif isinstance(op, scf.ForOp):
                self._loop(op)
            else:
                for region in op.regions:
                    for inner in region.blocks:
                        self.block(inner)

    def erase(self) -> None:
        """Takes the abstract ops out, last readers first."""
        for op in reversed(self._dead):
            Rewriter.erase_op(op)
        for argument in self._dead_arguments:
            argument.block.erase_arg(argument)

    # --- ops --------------------------------------------------------------------------------------

    def _define(self, op: Operation, number: int, memory: Sequence[SSAValue]) -> None:
        self._hold(op.results[0], number)
        self._emit(op, "tileloadd", [number], memory)

    def _dot(self, op: tile.Dot4Op) -> None:
        number = self._move(op.accumulator)
        operands = [self._read(op.a, op), self._read(op.b, op)]
        self._hold(op.result, number)
        self._emit(op, self._dot4, [number, *operands], [])

    def _loop(self, op: scf.ForOp) -> None:
        """The same loop, which carries only what is not in tile registers."""
        body = op.body.block
        last = body.last_op
        assert isinstance(last, scf.YieldOp)
        tiles = [isinstance(v.type, tile.RegisterType) for v in op.iter_args]
        arguments = list(body.args[1:])
        for initial, argument in zip(op.iter_args, arguments, strict=True):
            if isinstance(initial.type, tile.RegisterType):
                self._hold(argument, self._move(initial))
        self.block(body)
        if not any(tiles):
            return
        for argument, value, result in zip(arguments, last.arguments, op.results, strict=True):
            if isinstance(result.type, tile.RegisterType):
                number = self._move(value)
                _demand(number == self._registers[argument], "a loop exchanges two sums")
                self._hold(result, number)
        if self._needed is not None:
            self._without_tiles(op, tiles)

    def _without_tiles(self, op: scf.ForOp, tiles: list[bool]) -> None:
        body, block = op.body.block, op.parent
        assert block is not None
        last = body.last_op
        assert last is not None
        kept = [v for v, gone in zip(last.operands, tiles, strict=True) if not gone]
        body.insert_op_before(scf.YieldOp(*kept), last)
        Rewriter.erase_op(last)
        for argument, gone in zip(list(body.args[1:]), tiles, strict=True):
            if gone:
                self._dead_arguments.append(argument)
        initial = [v for v, gone in zip(op.iter_args, tiles, strict=True) if not gone]
        bounds = (op.lb, op.ub, op.step)
        new = scf.ForOp(*bounds, initial, op.detach_region(0))
        new.attributes.update(op.attributes)
        block.insert_op_before(new, op)
        remaining = iter(new.results)
        for result, gone in zip(op.results, tiles, strict=True):
            if not gone:
                result.replace_all_uses_with(next(remaining))
        self._dead.append(op)

    def _emit(
        self, op: Operation, row: str, registers: Sequence[int], memory: Sequence[SSAValue]
    ) -> None:
        if self._needed is None:
            return
        block = op.parent
        assert block is not None
        block.insert_op_before(tile.InstructionOp(row, registers, memory), op)
        self._dead.append(op)

    # --- registers --------------------------------------------------------------------------------

    def _take(self, value: SSAValue) -> int:
        """One of the value's shape; where there are some to spare, none that was just read."""
        shape = tile.shape_of(value)
        free = self._free.setdefault(shape, deque())
        if free and not self._may_add(shape):
            return free.popleft()
        _demand(
            len(self.shapes) < tile.REGISTERS,
            f"there are {tile.REGISTERS} tile registers, and more are needed",
        )
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def _may_add(self, shape: tile.Shape) -> bool:
        if self._needed is None:
            return False
        used = Counter(self.shapes)
        promised = used | self._needed
        return used[shape] < self._needed[shape] or promised.total() < tile.REGISTERS

    def _hold(self, value: SSAValue, number: int) -> None:
        self._registers[value] = number
        self._readers[value] = sum(1 for _ in value.uses)
        if not self._readers[value]:
            self._free[tile.shape_of(value)].append(number)

    def _read(self, value: SSAValue, op: Operation) -> int:
        """The register of an operand of `op`; free after the last reader."""
        home = value.owner if isinstance(value.owner, Block) else value.owner.parent
        _demand(home is op.parent, "a tile is read in another block than its own")
        number = self._registers[value]
        self._readers[value] -= 1
        if not self._readers[value]:
            self._free[tile.shape_of(value)].append(number)
        return number

    def _move(self, value: SSAValue) -> int:
        """The register of a sum whose only reader takes it over."""
        _demand(self._readers[value] == 1, "a sum has another reader than what adds to it")
        return self._registers[value]
