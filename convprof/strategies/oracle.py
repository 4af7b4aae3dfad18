"""The float64 reference: NumPy only, index arrays and einsum, no code shared with any strategy.

The textbook way: pad, build the indices of every patch element with ``repeat`` and ``tile``, pick
the patches out at once, and contract. All of the output, or only some points of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from convprof.problems import Conv2d, Gemm

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
