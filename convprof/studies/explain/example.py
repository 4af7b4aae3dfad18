"""A convolution of small integers that is worked by hand, and its sums tap by tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from convprof.problems import Conv2d

    Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

GREATEST_INPUT = 9


def drawn(
    p: Conv2d, random: np.random.Generator, greatest_weight: int
) -> tuple[Integers, Integers]:
    """Return an image (c, h, w) from 1 to 9, and weights (k, c / groups, r, s) around 0."""
    x = random.integers(1, GREATEST_INPUT, (p.c, p.h, p.w), endpoint=True)
    return x, random.integers(-greatest_weight, greatest_weight, p.weight_shape, endpoint=True)


def padded(p: Conv2d, x: Integers) -> Integers:
    """Return an image (c, h, w) with the zeros of the padding around it."""
    top, left, bottom, right = p.pads
    return np.pad(x, ((0, 0), (top, bottom), (left, right)))


def direct_sums(p: Conv2d, padded: Integers, filters: Integers) -> Integers:
    """Return (k, p, q): for each tap, the weights times a strided window of the padded image."""
    (sh, sw), (dh, dw) = p.stride, p.dilation
    image = padded.reshape(p.groups, p.cg, *padded.shape[1:])
    taps = filters.reshape(p.groups, p.kg, p.cg, p.r, p.s)
    total = np.zeros((p.groups, p.kg, p.p, p.q), np.int64)
    for r in range(p.r):
        for s in range(p.s):
            window = image[:, :, r * dh :: sh, s * dw :: sw][:, :, : p.p, : p.q]
            total += np.einsum("gkc,gcpq->gkpq", taps[..., r, s], window)
    return total.reshape(p.k, p.p, p.q)
