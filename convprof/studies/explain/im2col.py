"""The patch matrix of a convolution, built from index arrays, and what it costs.

The index arrays come from the textbook construction with ``np.repeat`` and ``np.tile``: element
``(t, u)`` of the patch matrix is ``padded[k[t], i0[t] + i1[u], j0[t] + j1[u]]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.studies.explain.example import direct_sums, drawn
from convprof.studies.explain.patch_cost import Cost, cost, variants
from convprof.studies.explain.shrink import Limits, difference, shrink

if TYPE_CHECKING:
    from convprof.problems import Conv2d

    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Booleans = np.ndarray[Any, np.dtype[np.bool_]]


DEFAULT = "mb1ic2ih4oc2kh3ph1"
LIMITS = Limits(outputs=4, channels=2, filters=2)
GREATEST_WEIGHT = 1


@dataclass(frozen=True, eq=False)
class Index:
    """One index array: its name, the NumPy that makes it for the shown problem, its values."""

    name: str
    formula: str
    values: Integers


@dataclass(frozen=True, eq=False)
class Im2col:
    """The page: everything is of the problem ``shown``, ``named`` is what the user named.

    The patch matrix and the product belong to the first group.
    """

    named: Conv2d
    shown: Conv2d
    reduction: str
    """What was cut to make ``shown``; empty for nothing."""
    x: Integers
    """(c, h, w), from 1 to 9."""
    padded: Integers
    """(c, h + top + bottom, w + left + right)."""
    border: Booleans
    """Where ``padded`` is padding, one plane for all channels."""
    rows: tuple[Index, ...]
    """k, i0, j0: one value per row of the patch matrix."""
    columns: tuple[Index, ...]
    """i1, j1: one value per column."""
    patches: Integers
    """(cg * r * s, p * q)."""
    zeros: Booleans
    """Which patch elements are zeros of the padding."""
    weights: Integers
    """(kg, cg * r * s), from -1 to 1."""
    product: Integers
    """``weights @ patches``: (kg, p * q)."""
    direct: Integers
    """The same outputs summed tap by tap, without a patch matrix."""
    checked: int
    """Outputs compared, of all groups."""
    largest_difference: int
    """Between products and direct sums, of all groups."""
    copies: Integers
    """(h, w): how often an input element is copied; the same in every channel."""
    cost: Cost
    """Of ``shown``."""
    named_cost: Cost
    variants: tuple[Cost, ...]
    """Of ``shown`` with another stride, dilation or padding."""


def im2col(named: Conv2d, seed: int) -> Im2col:
    """Work the example: integers drawn from the seed, the product checked against direct sums.

    Raises TooLargeError where counting the copies of ``named`` would not fit the memory.
    """
    p = shrink(named, LIMITS)
    random = np.random.default_rng(seed)
    x, filters = drawn(p, random, GREATEST_WEIGHT)
    top, left, bottom, right = p.pads
    around = ((top, bottom), (left, right))
    padded = np.pad(x, ((0, 0), *around))
    border = np.pad(np.zeros((p.h, p.w), bool), around, constant_values=True)
    rows, columns = row_indices(p), column_indices(p)
    k, i0, j0 = (index.values[:, None] for index in rows)
    i1, j1 = (index.values for index in columns)
    grouped = padded.reshape(p.groups, p.cg, *padded.shape[1:])
    matrices = filters.reshape(p.groups, p.kg, -1)
    products = np.stack(
        [w @ planes[k, i0 + i1, j0 + j1] for w, planes in zip(matrices, grouped, strict=True)]
    )
    direct = direct_sums(p, padded, filters).reshape(products.shape)
    return Im2col(
        named=named,
        shown=p,
        reduction=difference(named, p),
        x=x,
        padded=padded,
        border=border,
        rows=rows,
        columns=columns,
        patches=grouped[0][k, i0 + i1, j0 + j1],
        zeros=border[i0 + i1, j0 + j1],
        weights=matrices[0],
        product=products[0],
        direct=direct[0],
        checked=products.size,
        largest_difference=int(np.max(np.abs(products - direct))),
        copies=_times_copied(p, i0 + i1, j0 + j1),
        cost=cost("shown", p),
        named_cost=cost("named", named),
        variants=tuple(variants(p)),
    )


def row_indices(p: Conv2d) -> tuple[Index, ...]:
    """Return k, i0 and j0: channel, row and column of each row of the patch matrix."""
    r, s, c = p.r, p.s, p.cg
    down, across = p.dilation
    return (
        Index("k", f"np.repeat(np.arange({c}), {r * s})", np.repeat(np.arange(c), r * s)),
        Index(
            "i0",
            f"np.tile(np.repeat({_times(down)}np.arange({r}), {s}), {c})",
            np.tile(np.repeat(down * np.arange(r), s), c),
        ),
        Index(
            "j0",
            f"np.tile({_times(across)}np.arange({s}), {r * c})",
            np.tile(across * np.arange(s), r * c),
        ),
    )


def column_indices(p: Conv2d) -> tuple[Index, ...]:
    """Return i1 and j1: where in the padded image the patch of each column starts."""
    down, across = p.stride
    return (
        Index(
            "i1",
            f"np.repeat({_times(down)}np.arange({p.p}), {p.q})",
            np.repeat(down * np.arange(p.p), p.q),
        ),
        Index(
            "j1",
            f"np.tile({_times(across)}np.arange({p.q}), {p.p})",
            np.tile(across * np.arange(p.q), p.p),
        ),
    )


def _times(factor: int) -> str:
    return f"{factor} * " if factor != 1 else ""


def _times_copied(p: Conv2d, rows: Integers, columns: Integers) -> Integers:
    """Return how often each input element of the first channel occurs in the patch matrix."""
    top, left, _, _ = p.pads
    taps = p.r * p.s
    i, j = rows[:taps] - top, columns[:taps] - left
    inside = (i >= 0) & (i < p.h) & (j >= 0) & (j < p.w)
    count = np.zeros((p.h, p.w), np.int64)
    np.add.at(count, (i[inside], j[inside]), 1)
    return count
