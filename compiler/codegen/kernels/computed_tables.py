"""Vector code for tables that arithmetic computes (codegen/arithmetic_tables.py)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from ...bounds import saturates
from ...dialects import graph
from ...dialects.tensors import all_codes, dense_to_numpy, type_of, value_dtype
from ..arithmetic_tables import Gate, Ramp, gate_of, ramp_of
from .vector_math import LoopMath

if TYPE_CHECKING:
    from .evaluate import Evaluator, Position

Form: TypeAlias = Ramp | Gate


def form_of(op: graph.LutOp) -> Form | None:
    """None for a table that has to be looked up."""
    source, zero_point = op.input.owner, None
    if isinstance(source, graph.RequantizeOp) and _only_saturates(source):
        zero_point = source.zero_point.value.data
    dtypes = (value_dtype(op.input).name, value_dtype(op.result).name)
    form = _form_of(dense_to_numpy(op.table).tobytes(), *dtypes, zero_point)
    if not isinstance(form, Gate) or not isinstance(source, graph.RequantizeOp):
        return form
    # What is beyond all codes is multiplied, too, and then has to fit an i32.
    return form if float(np.abs(source.multipliers).max()) * form.top < 0.5 else None


def _only_saturates(op: graph.RequantizeOp) -> bool:
    """Whether the ends of the type are all that its codes are clamped to."""
    ends = (op.qmin.value.data, op.qmax.value.data)
    return saturates(op) and ends == graph.code_range(type_of(op.result).element_type)


@cache
def _form_of(table: bytes, source: str, result: str, zero_point: int | None) -> Form | None:
    """`zero_point`: of the requantize that makes the codes, if one does."""
    codes = all_codes(source)
    entries = np.frombuffer(table, result)
    gate = None if zero_point is None else gate_of(codes, zero_point, entries)
    return gate or ramp_of(codes, entries)


def real_of(e: Evaluator, op: graph.LutOp, form: Form, at: Position) -> SSAValue:
    """What rounds to the table's entry once it is clamped."""

    def constant(value: float) -> SSAValue:
        return e.parameter(np.asarray([value], np.float32), op, at)

    if isinstance(form, Ramp):
        q = _code(e, op.input, at)
        return _multiply_add(e, q, constant(form.slope), constant(form.offset))
    source, math = op.input.owner, LoopMath(e.b, at.lanes)
    assert isinstance(source, graph.RequantizeOp)
    t = math.rint(e.rescaled(source, at))
    share = _multiply_add(e, t, constant(form.slope), constant(form.middle))
    share = math.minimum(math.maximum(share, math.constant(0.0)), constant(form.top))
    return _multiply_add(e, t, share, constant(form.zero))


def _code(e: Evaluator, value: SSAValue, at: Position) -> SSAValue:
    """A code as f32."""
    source = value.owner
    if isinstance(source, graph.RequantizeOp) and value not in at.known:
        return e.difference(source, np.zeros(1, np.int32), False, at)
    return e.b.convert("int_to_float", e.value(value, at), f32)


def _multiply_add(e: Evaluator, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
    """Rounded once or twice, which makes no difference to a table."""
    if e.target.fma:
        return e.b.fma(a, b, c)
    math = LoopMath(e.b, 1)
    return math.add(math.mul(a, b), c)
