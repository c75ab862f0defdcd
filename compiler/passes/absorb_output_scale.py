"""absorb-output-scale: a sum or product of two code tensors that is quantized loses its division.

    a = dequantize(p; sa, za)    b = dequantize(q; sb, zb)

    quantize(a + b; s, z)  ⇒  quantize((dequantize(p; sa/s, 0) + dequantize(q; sb/s, 0)) + c; 1, z)
                                                                  c = −za·sa/s − zb·sb/s
    quantize(a · b; s, z)  ⇒  quantize(dequantize(p; 1, za) · dequantize(q; sa·sb/s, zb); 1, z)

with or without a relu in front of the quantize, which becomes qmin = z. In an epilogue that is a
division, two subtractions and the relu less for every residual addition. A sum may also keep zero
points in its operands: that of a requantize, which adds it, so that the epilogue does neither; and,
since it rounds less, all of them where nothing else succeeds.

In floats the two sides are different expressions, so each case is decided by trying it: there are
65 536 pairs of codes. Where a pair comes out differently, the new constants are moved by a few
units in the last place until none does; where that does not succeed, the op stays as it is. So the
rewrite is exact (numeric contract 5), whatever rounding does.

Side conditions: everything is per tensor; p and q are 8-bit codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import Array, all_codes, is_code, shape_of, type_of, value_dtype
from ..numerics import dequantize, quantize
from .grids import Grid, before_relu, least_code
from .rewriting import defining, inherit_layer, replace, rewrite

#: Units in the last place by which each constant is moved, the smallest moves first.
_MOVES = sorted(product(range(-4, 5), repeat=3), key=lambda moves: sum(map(abs, moves)))
#: How far, in codes, the two sides can be apart before rounding.
_SLACK = 1e-3


@dataclass(frozen=True)
class Terms:
    """The new constants, f32: of the first and second operand, and added to their sum.

    `zero_points`: what the operands subtract."""

    first: np.float32
    second: np.float32
    constant: np.float32
    zero_points: tuple[int, int]


@dataclass(frozen=True)
class Combination:
    """quantize([relu] (dequantize(a) ∘ dequantize(b))), ∘ being addition or multiplication."""

    root: graph.QuantizeOp
    inner: graph.AddOp | graph.MulOp
    a: graph.DequantizeOp
    b: graph.DequantizeOp
    relu: bool

    @property
    def adds(self) -> bool:
        return isinstance(self.inner, graph.AddOp)

    @staticmethod
    def of(root: graph.QuantizeOp) -> Combination | None:
        if not Grid.of(root).is_per_tensor or Grid.of(root).scales[0] == 1:
            return None
        value, relu = before_relu(root.input)
        op = defining(value, graph.AddOp) or defining(value, graph.MulOp)
        if op is None:
            return None
        a, b = _codes_of(op.lhs), _codes_of(op.rhs)
        if a is None or b is None:
            return None
        return Combination(root, op, a, b, relu)

    @property
    def zero_point(self) -> int:
        return Grid.of(self.root).zero_point

    @property
    def qmin(self) -> int:
        return least_code(self.root, self.relu)

    def terms(self) -> list[Terms]:
        """The forms to try, the cheapest first."""
        scale = np.float64(Grid.of(self.root).scales[0])
        (sa, za), (sb, zb) = ((np.float64(g.scales[0]), g.zero_point) for g in self.grids)
        first, second = np.float32(sa / scale), np.float32(sb / scale)
        if not self.adds:
            return [Terms(np.float32(1), np.float32(sa * sb / scale), np.float32(0), (za, zb))]
        kept = [z if _is_requantized(op) else 0 for op, z in ((self.a, za), (self.b, zb))]
        forms = []
        for ka, kb in dict.fromkeys(((kept[0], kept[1]), (0, 0), (za, zb))):
            constant = np.float32(-((za - ka) * sa + (zb - kb) * sb) / scale)
            forms.append(Terms(first, second, constant, (ka, kb)))
        return forms

    @property
    def grids(self) -> tuple[Grid, Grid]:
        return Grid.of(self.a), Grid.of(self.b)

    def reals(self) -> Array:
        """What the model rounds, in codes past the zero point, [256, 256] f32."""
        a, b = self._operand(self.a)[:, None], self._operand(self.b)[None, :]
        value = a + b if self.adds else a * b
        value = np.maximum(value, 0) if self.relu else value
        return np.asarray(value / Grid.of(self.root).scales[0])

    def _operand(self, op: graph.DequantizeOp) -> Array:
        return dequantize(all_codes(value_dtype(op.input)), op.scales, op.zero_points, 0)

    def rewritten_reals(self, terms: Terms, pairs: tuple[Array, Array]) -> Array:
        """The same as the new ops compute it, for the given pairs of codes."""
        a, b = (
            (all_codes(value_dtype(op.input))[i].astype(np.int32) - z).astype(np.float32)
            for op, i, z in zip((self.a, self.b), pairs, terms.zero_points, strict=True)
        )
        if not self.adds:
            return np.asarray(a * (b * terms.second))
        total = a * terms.first + b * terms.second
        return np.asarray(total + terms.constant if terms.constant else total)

    def codes(self, reals: Array, qmin: int) -> Array:
        one, z = np.ones(1, np.float32), np.asarray([self.zero_point])
        qmax, dtype = self.root.qmax.value.data, value_dtype(self.root.result)
        return quantize(reals, one, z, 0, qmin, qmax, dtype)


def _codes_of(value: SSAValue) -> graph.DequantizeOp | None:
    op = defining(value, graph.DequantizeOp)
    if op is None or not is_code(op.input) or not Grid.of(op).is_per_tensor:
        return None
    return op


def _is_requantized(op: graph.DequantizeOp) -> bool:
    return isinstance(op.input.owner, graph.RequantizeOp)


def exact_terms(combination: Combination) -> Terms | None:
    """Constants with which all 65 536 pairs of codes come out as the model says."""
    reals = combination.reals()
    expected = combination.codes(reals, combination.root.qmin.value.data)
    # Only values this close to an edge between codes can come out differently: a quick first look.
    # A quicker one is at what was different for other constants.
    near = _pairs(np.abs(reals - np.floor(reals) - 0.5) < _SLACK)
    everything = _pairs(np.ones(reals.shape, bool))
    telling = _pairs(np.zeros(reals.shape, bool))
    for form in combination.terms():
        for terms in _neighbours(form, combination.adds):
            if _difference(combination, terms, expected, telling) is not None:
                continue
            found = _difference(combination, terms, expected, near)
            if found is None:
                found = _difference(combination, terms, expected, everything)
            if found is None:
                return terms
            telling = (np.append(telling[0], found[0]), np.append(telling[1], found[1]))
    return None


def _pairs(chosen: Array) -> tuple[Array, Array]:
    first, second = np.nonzero(chosen)
    return first, second


def _difference(
    combination: Combination, terms: Terms, expected: Array, pairs: tuple[Array, Array]
) -> tuple[int, int] | None:
    """One of these pairs of codes that comes out differently, if there is one."""
    found = combination.codes(combination.rewritten_reals(terms, pairs), combination.qmin)
    different = np.flatnonzero(found != expected[pairs])
    return (pairs[0][different[0]], pairs[1][different[0]]) if len(different) else None


def _neighbours(terms: Terms, adds: bool) -> Iterator[Terms]:
    for first, second, constant in _MOVES:
        if (first and not adds) or (constant and not terms.constant):
            continue
        yield Terms(
            _moved(terms.first, first),
            _moved(terms.second, second),
            _moved(terms.constant, constant),
            terms.zero_points,
        )


def _moved(value: np.float32, units: int) -> np.float32:
    return np.float32(value + units * np.spacing(value)) if value else value


class AbsorbScale(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        combination = Combination.of(op)
        terms = None if combination is None else exact_terms(combination)
        if combination is None or terms is None:
            return
        ops = _combined(combination, terms)
        quantized = graph.QuantizeOp(
            ops[-1].results[0],
            1.0,
            combination.zero_point,
            type_of(op.result).element_type,
            op.axis_index,
            combination.qmin,
            op.qmax.value.data,
        )
        replace(rewriter, op, [*ops, quantized])


def _combined(combination: Combination, terms: Terms) -> list[Operation]:
    """The ops in front of the quantize, in the source layers of those that they replace."""
    a, b = (
        graph.DequantizeOp(op.input, scale, zero_point)
        for op, scale, zero_point in zip(
            (combination.a, combination.b),
            (terms.first, terms.second),
            terms.zero_points,
            strict=True,
        )
    )
    inherit_layer(a, combination.a)
    inherit_layer(b, combination.b)
    inner: graph.BinaryOp = type(combination.inner)(a.result, b.result)
    added: list[Operation] = [inner]
    if terms.constant:
        constant = graph.ConstantOp(np.full((1,) * len(shape_of(inner.result)), terms.constant))
        added += [constant, graph.AddOp(inner.result, constant.result)]
    for op in added:
        inherit_layer(op, combination.inner)
    return [a, b, *added]


@dataclass(frozen=True)
class AbsorbOutputScale(ModulePass):
    name = "absorb-output-scale"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [AbsorbScale()])
