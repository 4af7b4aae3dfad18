"""The float64 reference: NumPy only, index arrays and einsum, no code shared with any strategy.

The textbook way: pad, build the indices of every patch element with ``repeat`` and ``tile``, pick
the patches out at once, and contract. All of the output, or only some points of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.shapes import IMAGE_AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems.attention import Attention
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm

    Array = np.ndarray[Any, Any]
    Points = np.ndarray[Any, np.dtype[np.int64]]


def conv2d(p: Conv2d, x: Array, weights: Array, points: Points | None = None) -> Array:
    """Return the convolution in float64, ``(n, k, p, q)``, or its values at some points.

    ``x (n, c, h, w)``, ``weights (k, c/groups, r, s)``; ``points`` are flat indices into the
    output, for which the result is one-dimensional.
    """
    top, left, bottom, right = p.pads
    image = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    filters = weights.astype(np.float64)
    # Row t of the patch matrix is (c, r, s): each index repeated for the ones inside it and
    # tiled for the ones outside it.
    channel = np.repeat(np.arange(p.cg), p.r * p.s)
    row = np.tile(np.repeat(np.arange(p.r) * p.dilation[0], p.s), p.cg)
    column = np.tile(np.arange(p.s) * p.dilation[1], p.cg * p.r)
    if points is not None:
        n, k, out_row, out_column = np.unravel_index(points, (p.n, p.k, p.p, p.q))
        first = k // p.kg * p.cg
        patches = image[
            n[:, None],
            first[:, None] + channel,
            (out_row * p.stride[0])[:, None] + row,
            (out_column * p.stride[1])[:, None] + column,
        ]
        found: Array = np.einsum("it,it->i", patches, filters.reshape(p.k, -1)[k])
        return found
    out_row = np.repeat(np.arange(p.p) * p.stride[0], p.q)
    out_column = np.tile(np.arange(p.q) * p.stride[1], p.p)
    result = np.empty((p.n, p.groups, p.kg, p.p * p.q))
    grouped = filters.reshape(p.groups, p.kg, -1)
    for item in range(p.n):  # image by image, so that the patch matrices stay small
        for group in range(p.groups):
            planes = image[item, group * p.cg : (group + 1) * p.cg]
            patches = planes[channel[:, None], row[:, None] + out_row, column[:, None] + out_column]
            result[item, group] = np.einsum("kt,ti->ki", grouped[group], patches, optimize=True)
    return result.reshape(p.n, p.k, p.p, p.q)


def attention(p: Attention, q: Array, kv: Array, points: Points | None = None) -> Array:
    """Return attention in float64, ``(batch, heads, tokens, dim)``, or its values at some points.

    ``q`` of that shape, ``kv`` both others, stacked. Head by head, all scores of the rows that are
    needed; ``points`` are flat indices into the output.
    """
    if points is None:
        result: Array = np.empty(p.shape)
        for head in np.ndindex(p.batch, p.heads):
            result[head] = _attend(q[head], kv[0][head], kv[1][head])
        return result
    item, token, column = np.unravel_index(points, (p.items, p.tokens, p.dim))
    queries, keys, values = (x.reshape(p.items, p.tokens, p.dim) for x in (q, *kv))
    found: Array = np.empty(len(points))
    for head in np.unique(item):
        here = item == head
        rows, back = np.unique(token[here], return_inverse=True)
        attended = _attend(queries[head][rows], keys[head], values[head])
        found[here] = attended[back, column[here]]
    return found


def _attend(q: Array, k: Array, v: Array) -> Array:
    """Return ``softmax(q k^T / sqrt(dim)) v`` for some rows of ``q``."""
    both = q.astype(np.float64), k.astype(np.float64)
    scores = np.einsum("id,jd->ij", *both, optimize=True) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    sums = np.einsum("ij,jd->id", weights, v.astype(np.float64), optimize=True)
    attended: Array = sums / weights.sum(axis=1, keepdims=True)
    return attended


def gemm(g: Gemm, a: Array, b: Array, points: Points | None = None) -> Array:
    """Return ``a b`` in float64, or its values at some flat indices of the result."""
    left = a.reshape(g.batch, g.m, g.k)
    right = b.reshape(g.batch, g.k, g.n)
    if points is not None:
        item, i, j = np.unravel_index(points, (g.batch, g.m, g.n))
        rows = left[item, i].astype(np.float64)
        found: Array = np.einsum("it,it->i", rows, right[item, :, j].astype(np.float64))
        return found
    product: Array = np.einsum(
        "bik,bkj->bij", left.astype(np.float64), right.astype(np.float64), optimize=True
    )
    return product.reshape(g.c_shape)


def conv2d_backward_data(
    p: Conv2d, dy: Array, weights: Array, points: Points | None = None
) -> Array:
    """Return dx in float64, ``(n, c, h, w)``, or its values at some flat indices of it.

    ``dy (n, k, p, q)``, ``weights (k, c/groups, r, s)``. Tap by tap: what a tap has read in the
    forward pass gets back the gradient of what it went into.
    """
    if points is not None:
        return _data_points(p, dy, weights, points)
    top, left, bottom, right = p.pads
    padded = np.zeros((p.n, p.groups, p.cg, p.h + top + bottom, p.w + left + right))
    gradient = dy.astype(np.float64).reshape(p.n, p.groups, p.kg, p.p, p.q)
    filters = weights.astype(np.float64).reshape(p.groups, p.kg, p.cg, p.r, p.s)
    for r, s in np.ndindex(p.r, p.s):
        spread = np.einsum("gkc,ngkpq->ngcpq", filters[..., r, s], gradient, optimize=True)
        padded[_read_by(p, r, s)] += spread
    image = padded[..., top : top + p.h, left : left + p.w]
    return image.reshape(p.n, p.c, p.h, p.w)


def _data_points(p: Conv2d, dy: Array, weights: Array, points: Points) -> Array:
    """Return dx at some flat indices: which outputs each of them went into, tap by tap."""
    n, c, row, column = np.unravel_index(points, (p.n, p.c, p.h, p.w))
    outputs = (c // p.cg * p.kg)[:, None] + np.arange(p.kg)
    found = np.zeros(len(points))
    for r, s in np.ndindex(p.r, p.s):
        out_row, rest_row = np.divmod(row + p.pads[0] - r * p.dilation[0], p.stride[0])
        out_column, rest_column = np.divmod(column + p.pads[1] - s * p.dilation[1], p.stride[1])
        meets = (rest_row == 0) & (rest_column == 0)
        meets &= (out_row >= 0) & (out_row < p.p) & (out_column >= 0) & (out_column < p.q)
        at, k = n[meets][:, None], outputs[meets]
        gradient = dy[at, k, out_row[meets][:, None], out_column[meets][:, None]]
        factors = weights[k, (c % p.cg)[meets][:, None], r, s]
        found[meets] += np.einsum(
            "ik,ik->i", gradient.astype(np.float64), factors.astype(np.float64)
        )
    return found


def conv2d_backward_weights(p: Conv2d, x: Array, dy: Array, points: Points | None = None) -> Array:
    """Return dw in float64, ``(k, c/groups, r, s)``, or its values at some flat indices of it.

    ``x (n, c, h, w)``, ``dy (n, k, p, q)``: for every tap what it has read times the gradient of
    what that went into, summed over all images and pixels.
    """
    top, left, bottom, right = p.pads
    border = ((0, 0), (0, 0), (top, bottom), (left, right))
    image = np.pad(x.astype(np.float64), border)
    if points is not None:
        found = np.empty(len(points))
        for i, point in enumerate(points):
            k, c, r, s = np.unravel_index(point, p.weight_shape)
            plane = image[:, k // p.kg * p.cg + c][:, *_read_by(p, int(r), int(s))[1:]]
            found[i] = np.einsum("npq,npq->", plane, dy[:, k].astype(np.float64))
        return found
    grouped = image.reshape(p.n, p.groups, p.cg, *image.shape[2:])
    gradient = dy.astype(np.float64).reshape(p.n, p.groups, p.kg, p.p, p.q)
    result = np.empty((p.groups, p.kg, p.cg, p.r, p.s))
    for r, s in np.ndindex(p.r, p.s):
        read = grouped[_read_by(p, r, s)]
        result[..., r, s] = np.einsum("ngkpq,ngcpq->gkc", gradient, read, optimize=True)
    return result.reshape(p.weight_shape)


def _read_by(p: Conv2d, r: int, s: int) -> tuple[Any, ...]:
    """Return the index of all that one tap reads from a padded image, output by output."""
    top, left = r * p.dilation[0], s * p.dilation[1]
    rows = slice(top, top + (p.p - 1) * p.stride[0] + 1, p.stride[0])
    columns = slice(left, left + (p.q - 1) * p.stride[1] + 1, p.stride[1])
    return ..., rows, columns


def gemm_backward_data(g: Gemm, dc: Array, b: Array, points: Points | None = None) -> Array:
    """Return dA = dC B^T in float64, or its values at some flat indices of it."""
    gradient, right = dc.reshape(g.batch, g.m, g.n), b.reshape(g.batch, g.k, g.n)
    if points is not None:
        item, i, t = np.unravel_index(points, (g.batch, g.m, g.k))
        rows = gradient[item, i].astype(np.float64)
        found: Array = np.einsum("ij,ij->i", rows, right[item, t].astype(np.float64))
        return found
    both = gradient.astype(np.float64), right.astype(np.float64)
    product: Array = np.einsum("bij,btj->bit", *both, optimize=True)
    return product.reshape(g.a_shape)


def gemm_backward_weights(g: Gemm, a: Array, dc: Array, points: Points | None = None) -> Array:
    """Return dB = A^T dC in float64, or its values at some flat indices of it."""
    left, gradient = a.reshape(g.batch, g.m, g.k), dc.reshape(g.batch, g.m, g.n)
    if points is not None:
        item, t, j = np.unravel_index(points, (g.batch, g.k, g.n))
        columns = left[item, :, t].astype(np.float64)
        found: Array = np.einsum("pi,pi->p", columns, gradient[item, :, j].astype(np.float64))
        return found
    both = left.astype(np.float64), gradient.astype(np.float64)
    product: Array = np.einsum("bit,bij->btj", *both, optimize=True)
    return product.reshape(g.b_shape)


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp(-x) would overflow


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * _hardsigmoid(x),
}
"""By name, each function of ``epilogue.STEPS`` of an array in float64."""


def epilogue(
    problem: Conv2d | Gemm, product: Array, operands: Sequence[Array], points: Points | None = None
) -> Array:
    """Return function(product + bias + residual) in float64, all of it or at flat indices.

    ``operands`` are the problem's epilogue's: a bias per output channel, then a residual of
    the result's shape, in NCHW for a convolution.
    """
    steps, more = problem.epilogue, list(operands)
    if not steps:
        return product
    shape = problem.result_shape("nchw")
    total = product
    if steps.bias:
        bias = more.pop(0).astype(np.float64)
        wide = bias[:, None, None] if len(shape) == IMAGE_AXES else bias
        total = total + _picked(np.broadcast_to(wide, shape), points)
    if steps.add:
        total = total + _picked(more.pop(0).astype(np.float64), points)
    return FUNCTIONS[steps.function](total) if steps.function else total


def _picked(values: Array, points: Points | None) -> Array:
    return values if points is None else values[np.unravel_index(points, values.shape)]
