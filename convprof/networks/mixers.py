"""What mixes information between the tokens of an image: self-attention, and convolutions.

All read and return (tokens, channels) of the same sizes. Biases are not counted, nor are the layer
norm before and the residual addition after, which all of them share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.errors import ProblemError
from convprof.problems import Attention, Conv2d, Gemm
from convprof.problems.checks import size

if TYPE_CHECKING:
    from convprof.problems import Problem

CHANNELS_PER_HEAD = 64
"""As in every Vision Transformer of Dosovitskiy et al. 2020 but the largest."""
MOST_TOKENS = 2**16
"""Attention's work grows with their square: with more tokens one call takes minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Square images of ``image`` pixels a side, cut into patches of ``patch``: tokens of ``dim``.

    There is no class token. ``heads`` share the channels of attention. Raises ProblemError
    ``FIELD=VALUE: reason`` for sizes that do not divide, and for more than 2**16 tokens an image.
    """

    image: int = 224
    patch: int = 16
    dim: int = 768
    heads: int = 12
    mb: int = 1

    def __post_init__(self) -> None:
        for key in ("patch", "dim", "heads", "mb", "image"):
            object.__setattr__(self, key, size(key, getattr(self, key)))
        if self.image % self.patch:
            below = self.image // self.patch * self.patch
            near = f"{below} or {below + self.patch}" if below else f"{self.patch}"
            raise ProblemError(
                f"patches of {self.patch} do not divide it; use {near}, or another patch",
                field="image",
                value=self.image,
            )
        if self.tokens > MOST_TOKENS:
            largest = self.patch * math.isqrt(MOST_TOKENS)
            raise ProblemError(
                f"{self.tokens:,} tokens, and attention's work grows with their square; use at "
                f"most {largest} at patches of {self.patch}",
                field="image",
                value=self.image,
            )
        if self.dim % self.heads:
            raise ProblemError(
                f"must divide dim={self.dim}; change one of them", field="heads", value=self.heads
            )

    @property
    def side(self) -> int:
        """Tokens a side."""
        return self.image // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        return self.side**2


def default_heads(dim: int) -> int:
    """Return how many heads of 64 channels there are; ProblemError if 64 does not divide them."""
    if size("dim", dim) % CHANNELS_PER_HEAD:
        raise ProblemError(
            f"not a multiple of {CHANNELS_PER_HEAD}, the usual channels of a head; use a multiple, "
            "or give the number of heads",
            field="dim",
            value=dim,
        )
    return dim // CHANNELS_PER_HEAD


@dataclass(frozen=True, slots=True)
class Part:
    """One problem of a mixer."""

    name: str
    problem: Problem
    parameters: int
    """Weights; none between two activations."""
    quadratic: bool = False
    """Whether its work grows with the square of the tokens; else it grows linearly."""


@dataclass(frozen=True, slots=True)
class Mixer:
    """Problems that are computed one after the other."""

    name: str
    parts: tuple[Part, ...]

    @property
    def parameters(self) -> int:
        """Weights of all parts."""
        return sum(part.parameters for part in self.parts)

    @property
    def flops(self) -> int:
        """FLOPs of all parts: 1 MAC = 2 FLOPs; the softmax is not in it."""
        return sum(part.problem.flops for part in self.parts)

    @property
    def quadratic_flops(self) -> int:
        """FLOPs of the parts that grow with the square of the tokens."""
        return sum(part.problem.flops for part in self.parts if part.quadratic)

    @property
    def linear_flops(self) -> int:
        """FLOPs of the other parts."""
        return self.flops - self.quadratic_flops


def mixers(grid: Grid) -> tuple[Mixer, ...]:
    """Return the mixers of a grid: the self-attention block first, then the convolutions."""
    return attention(grid), convolution(grid), separable(grid)


def attention(grid: Grid) -> Mixer:
    """Return the self-attention block: 4 dim^2 weights, 8 t dim^2 + 4 t^2 dim FLOPs of t tokens."""
    name, rows, dim = "attention", grid.mb * grid.tokens, grid.dim

    def projection(part: str, columns: int) -> Part:
        problem = Gemm(m=rows, n=columns, k=dim, name=f"{name}: {part}")
        return Part(part, problem, dim * columns)

    product = Attention(
        batch=grid.mb,
        heads=grid.heads,
        tokens=grid.tokens,
        dim=dim // grid.heads,
        name=f"{name}: softmax(QK^T)V",
    )
    return Mixer(
        name,
        (
            projection("QKV projection", 3 * dim),
            Part("softmax(QK^T)V", product, 0, quadratic=True),
            projection("output projection", dim),
        ),
    )


def convolution(grid: Grid) -> Mixer:
    """Return the 3x3 convolution: 9 dim^2 weights, 18 t dim^2 FLOPs."""
    name = "conv3x3"
    return Mixer(name, (_conv(grid, name, "conv 3x3", 3),))


def separable(grid: Grid) -> Mixer:
    """Return the depthwise 7x7 and pointwise pair: 49 dim + dim^2 weights, 2 t times as many FLOPs.

    ConvNeXt's filter (Liu et al. 2022), with one pointwise convolution instead of its two.
    """
    name = "depthwise7x7+pointwise"
    return Mixer(
        name,
        (
            _conv(grid, name, "depthwise 7x7", 7, groups=grid.dim),
            _conv(grid, name, "pointwise", 1),
        ),
    )


def _conv(grid: Grid, mixer: str, part: str, taps: int, groups: int = 1) -> Part:
    """Return a convolution from ``dim`` to ``dim`` channels that keeps the grid's size."""
    problem = Conv2d(
        n=grid.mb,
        c=grid.dim,
        h=grid.side,
        w=grid.side,
        k=grid.dim,
        r=taps,
        s=taps,
        pad=(taps // 2, taps // 2),
        groups=groups,
        name=f"{mixer}: {part}",
    )
    return Part(part, problem, math.prod(problem.weight_shape))


def quadratic_overtakes(block: Mixer, tokens: int) -> float:
    """Return at how many tokens the block's quadratic FLOPs are as many as its linear ones.

    ``block`` is for ``tokens`` tokens. For attention: 2 dim, whatever the heads.
    """
    return tokens * block.linear_flops / block.quadratic_flops


def overtakes(block: Mixer, other: Mixer, tokens: int) -> float | None:
    """Return from how many tokens the block takes more FLOPs than another mixer, which is linear.

    Both are for ``tokens`` tokens. None if it always does. Against the 3x3 convolution: 2.5
    dim, for 18 t dim^2 = 8 t dim^2 + 4 t^2 dim.
    """
    room = other.flops - block.linear_flops
    return tokens * room / block.quadratic_flops if room > 0 else None
