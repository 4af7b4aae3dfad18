"""What rounding operands of f32 to a shorter type costs, before any arithmetic.

A measurement verifies the arithmetic: its reference has the rounded operands. A user who chooses
a type has operands of f32, and needs the whole error. It is computed here for a sum of the
problem's length: operands as they are drawn, uniform in [-1, 1), rounded, multiplied in float64,
and the result rounded.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.tensors import relative_error

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types
    from convprof.problems.grouped_weights import GroupedWeights

    Array = np.ndarray[Any, Any]

SIDE = 48
"""Rows and columns of the product: 2304 sums."""
LONGEST = 1 << 14
"""Longer sums have the same relative error: operand errors are independent."""


@functools.lru_cache(maxsize=64)
def rounding_error(
    of: Types, terms: int, seed: int = 0, grouped: GroupedWeights | None = None
) -> float:
    """Return ``max|y - y64| / max|y64|`` of a product of operands that were rounded.

    ``grouped``: the weights have 8 or 4 bits.
    """
    random = np.random.default_rng(seed)
    length = min(max(1, terms), LONGEST)
    x = random.random((SIDE, length)) * 2 - 1
    weights = random.random((length, SIDE)) * 2 - 1
    exact = x @ weights
    stored = _in_groups(weights, grouped) if grouped else _rounded(weights, of.weights, axis=0)
    rounded = _rounded(x, of.source) @ stored
    if of.requantises or not of.result.is_exact:
        rounded = _rounded(rounded, of.result)
    return relative_error(rounded, exact)


def _in_groups(weights: Array, of: GroupedWeights) -> Array:
    """Return the values of weights with a scale, and perhaps a zero point, per group and column."""
    length = len(weights)
    padded = np.pad(weights, ((0, -length % of.group), (0, 0)))
    groups = padded.reshape(-1, of.group, SIDE)
    if of.has_zero_points:
        least = np.minimum(np.min(groups, axis=1, keepdims=True), 0)
        most = np.maximum(np.max(groups, axis=1, keepdims=True), 0)
        scale = (most - least) / ((1 << of.bits) - 1)
        zero = np.rint(-least / scale)
        whole = np.clip(np.rint(groups / scale) + zero, 0, (1 << of.bits) - 1) - zero
    else:
        scale = np.max(np.abs(groups), axis=1, keepdims=True) / ((1 << (of.bits - 1)) - 1)
        whole = np.rint(groups / scale)
    scaled: Array = whole * scale
    return scaled.reshape(-1, SIDE)[:length]


def _rounded(values: Array, to: DType, axis: int | None = None) -> Array:
    """Return the values that the type represents.

    Integers have a scale: the range of all values, or of each column (``axis=0``), over the range
    of the type; unsigned integers have a zero point in its middle too (Jacob et al. 2018,
    "Quantization and training of neural networks for efficient integer-arithmetic-only inference").
    """
    if not to.is_exact:
        rounded: Array = values.astype(to.array_type).astype(np.float64)
        return rounded
    limits = np.iinfo(to.array_type)
    half = (limits.max - limits.min) // 2
    scale = np.max(np.abs(values), axis=axis, keepdims=True) / half
    whole: Array = np.clip(np.rint(values / scale), -half, half)
    scaled: Array = whole * scale
    return scaled
