"""Softmax and the normalizations in float32: sequences of separately rounded operations over
canonical reductions.

    softmax:     e = exp(x − max);  y = e / Σe
    layer_norm:  mean = Σx / n;  d = x − mean;  v = Σ(d·d) / n;  y = (d / sqrt(v + ε)) · weight +
    bias batch_norm:  y = ((x − mean) / sqrt(variance + ε)) · weight + bias

exp is `functions.exp`; the order inside max and Σ is that of `numerics` (16 lanes over the last
axis, else sequential); every division is a true division.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dialects.tensors import Array
from ..functions import evaluate_unary
from ..numerics import reduce


def softmax(x: Array, axis: int) -> Array:
    with np.errstate(all="ignore"):
        exponentials = evaluate_unary("exp", x - reduce("max", x, [axis]))
        return np.asarray(exponentials / reduce("sum", exponentials, [axis]))


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """Over the last axis."""
    last = [x.ndim - 1]
    with np.errstate(all="ignore"):
        difference = x - reduce("mean", x, last)
        variance = reduce("mean", difference * difference, last)
        return np.asarray(difference / np.sqrt(variance + np.float32(epsilon)) * weight + bias)


def batch_norm(x: Array, parameters: Sequence[Array], epsilon: float) -> Array:
    """Along axis 1; parameters = weight, bias, mean, variance, each of shape [channels]."""
    shape = [-1 if i == 1 else 1 for i in range(x.ndim)]
    weight, bias, mean, variance = (p.reshape(shape) for p in parameters)
    with np.errstate(all="ignore"):
        return np.asarray((x - mean) / np.sqrt(variance + np.float32(epsilon)) * weight + bias)
