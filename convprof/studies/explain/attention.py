"""Self-attention over the patches of a small image, row by row, against a 3x3 convolution.

Tokens are the patches, row by row. ``Q = T Wq``, ``K = T Wk``, ``V = T Wv``; one head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Attention, Conv2d
from convprof.problems.tensors import relative_error
from convprof.studies.explain.kernels import ATTENTION, Checked, check

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]
    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Booleans = np.ndarray[Any, np.dtype[np.bool_]]

FEATURES = 4
"""Of a token: the pixels of its 2x2 patch."""
DIM = 2
"""Of a query, a key and a value."""
PATCH = 2
"""Pixels across a patch."""
GREATEST_PIXEL = 1
"""Pixels are 0 or 1, so that scores are small and no weight takes all."""
LAYERS = 3
"""Layers through which it is followed which patches reach an output."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Which patches an output depends on after some layers: it changes when the patch changes."""

    layers: int
    convolution: Booleans
    """(side, side)."""
    attention: Booleans


@dataclass(frozen=True, eq=False)
class AttentionPage:
    """The page."""

    problem: Attention
    side: int
    image: Integers
    """(2 side, 2 side): the pixels."""
    tokens: Integers
    """(tokens, 4): the pixels of each patch."""
    projections: tuple[Integers, Integers, Integers]
    """Wq, Wk, Wv: (4, 2) each."""
    q: Integers
    k: Integers
    v: Integers
    """(tokens, 2) each."""
    token: int
    """The one whose row is worked by hand: the patch in the middle."""
    products: Integers
    """Q K^T: (tokens, tokens)."""
    scores: Array
    """Products / sqrt(dim)."""
    powers: Array
    """exp(score - largest of the row)."""
    weights: Array
    """Powers / sum of the row."""
    output: Array
    """weights V: (tokens, 2)."""
    reaches: tuple[Reach, ...]
    """Of the output of patch 0, in a corner."""
    order: float
    """How far outputs of tokens in another order are from the outputs in that order, relatively."""
    checked: tuple[Checked, ...]


def attention(side: int, seed: int) -> AttentionPage:
    """Work the example: small integers drawn from the seed."""
    random = np.random.default_rng(seed)
    pixels = side * PATCH
    image = random.integers(0, GREATEST_PIXEL, (pixels, pixels), endpoint=True)
    tokens = patches(image)
    shape = (FEATURES, DIM)
    wq, wk, wv = (random.integers(-1, 1, shape, endpoint=True) for _ in range(3))
    q, k, v = tokens @ wq, tokens @ wk, tokens @ wv
    problem = Attention(heads=1, tokens=len(tokens), dim=DIM)
    scores = q @ k.T / np.sqrt(DIM)
    powers, weights = softmax(scores)
    output = weights @ v
    order = random.permutation(len(tokens))
    other = softmax(q[order] @ k[order].T / np.sqrt(DIM))[1] @ v[order]
    operands = q[None, None], np.stack([k, v])[:, None, None]
    return AttentionPage(
        problem=problem,
        side=side,
        image=image,
        tokens=tokens,
        projections=(wq, wk, wv),
        q=q,
        k=k,
        v=v,
        token=side // 2 * side + side // 2,
        products=q @ k.T,
        scores=scores,
        powers=powers,
        weights=weights,
        output=output,
        reaches=tuple(reach(side, layers, 0) for layers in range(1, LAYERS + 1)),
        order=relative_error(other, output[order]),
        checked=check(problem, operands, output[None, None], ATTENTION),
    )


def patches(image: Integers) -> Integers:
    """Return (tokens, 4): the pixels of each 2x2 patch, row by row."""
    side = len(image) // PATCH
    split = image.reshape(side, PATCH, side, PATCH).swapaxes(1, 2)
    return split.reshape(side * side, PATCH * PATCH)


def softmax(scores: Array) -> tuple[Array, Array]:
    """Return the powers of each row, less its largest score, and the same over their sum."""
    powers: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights: Array = powers / powers.sum(axis=1, keepdims=True)
    return powers, weights


def reach(side: int, layers: int, output: int) -> Reach:
    """Change each patch, and see whether an output after that many layers changes."""
    count = side * side
    start = np.linspace(0, 1, count)
    convolution, attended = np.zeros(count, bool), np.zeros(count, bool)
    for patch in range(count):
        moved = start.copy()
        moved[patch] += 1
        convolution[patch] = _convolved(moved, layers)[output] != _convolved(start, layers)[output]
        attended[patch] = _attended(moved, layers)[output] != _attended(start, layers)[output]
    return Reach(layers, convolution.reshape(side, side), attended.reshape(side, side))


def _convolved(values: Array, layers: int) -> Array:
    """Return one number per patch after 3x3 convolutions with padding 1, weights all 1."""
    side = round(len(values) ** 0.5)
    p = Conv2d(c=1, h=side, w=side, k=1, r=3, s=3, pad=(1, 1))
    for _ in range(layers):
        image = values.reshape(1, 1, side, side)
        values = p.reference((image, np.ones(p.weight_shape))).reshape(-1)
    return values


def _attended(values: Array, layers: int) -> Array:
    """Return one number per patch after attention whose query, key and value are that number."""
    for _ in range(layers):
        values = softmax(np.outer(values, values))[1] @ values
    return values


def layers_to_reach(side: int) -> int:
    """Return after how many 3x3 layers an output in one corner reads the corner across."""
    return max(1, side - 1)
