"""Multi-head self-attention on one packed projection (n, t, 3w): queries, keys, values in a row.

Of ``heads`` heads, each takes w / heads neighbouring channels of each third (Vaswani et al. 2017,
"Attention Is All You Need"). In a network the softmax between the two products is an operation of
its own; a plan that never writes the scores down replaces the three by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.attention import Attention as Problem
from convprof.problems.gemm import Gemm
from convprof.problems.ops.base import Op
from convprof.problems.ops.byte_attention import ByteAttention
from convprof.problems.ops.normalisation import Softmax
from convprof.problems.ops.products import Product

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.ops.byte_attention import Part
    from convprof.problems.shapes import Shape

__all__ = ["Attention", "AttentionMix", "AttentionScores"]

_PARTS = 3  # queries, keys, values


@dataclass(frozen=True, slots=True)
class AttentionScores(Product):
    """(n, t, 3w) -> (n, heads, t, t): queries x keys, transposed, / sqrt(w / heads)."""

    kind: ClassVar[str] = "attention qk"
    keeps_images: ClassVar[bool] = False

    heads: int

    @property
    def steps(self) -> int:
        """One, the factor 1 / sqrt(w / heads)."""
        return 1

    def problem(self, *inputs: Shape) -> Gemm:
        """Return one product per head and image, of t x depth and depth x t."""
        (packed,) = self.checked(inputs)
        depth = _depth(self, packed, self.heads)
        n, t, _ = packed
        return Gemm(m=t, n=t, k=depth, batch=n * self.heads)

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, heads, t, t)."""
        t = self.problem(*inputs).m
        return inputs[0][0], self.heads, t, t

    def joined(self, second: Op, third: Op) -> Attention | None:
        """Return the whole attention, if a softmax and the mix of the same heads follow."""
        follow = (second, third) == (Softmax(), AttentionMix(self.heads))
        return Attention(self.heads) if follow else None

    def reference(self, *operands: Array) -> Array:
        """Return queries x keys, transposed, / sqrt(depth) for every head."""
        (packed,) = operands
        queries, keys, _ = _heads(packed, self.heads)
        scores: Array = np.matmul(queries, keys.swapaxes(-1, -2)) / math.sqrt(queries.shape[-1])
        return scores


@dataclass(frozen=True, slots=True)
class AttentionMix(Product):
    """(n, heads, t, t), (n, t, 3w) -> (n, t, w): weights x values, the heads side by side."""

    kind: ClassVar[str] = "attention pv"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 2

    heads: int

    @property
    def steps(self) -> int:
        """None."""
        return 0

    def problem(self, *inputs: Shape) -> Gemm:
        """Return one product per head and image, of t x t and t x depth."""
        weights, packed = self.checked(inputs)
        depth = _depth(self, packed, self.heads)
        n, t, _ = packed
        if weights != (n, self.heads, t, t):
            raise self.misfit(weights, f"these values need {(n, self.heads, t, t)}")
        return Gemm(m=t, n=depth, k=t, batch=n * self.heads)

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, t, w)."""
        problem = self.problem(*inputs)
        return inputs[1][0], problem.m, self.heads * problem.n

    def reference(self, *operands: Array) -> Array:
        """Return weights x values, with the heads of a token in a row."""
        weights, packed = operands
        mixed: Array = np.matmul(weights, _heads(packed, self.heads)[2]).swapaxes(1, 2)
        return mixed.reshape(self.output(weights.shape, packed.shape))


@dataclass(frozen=True, slots=True)
class Attention(Op):
    """(n, t, 3w) -> (n, t, w): scores, their softmax, and values weighed by it, all in one.

    It costs what the three operations cost, and is neither a convolution nor one product.
    """

    kind: ClassVar[str] = "attention"
    keeps_images: ClassVar[bool] = False

    heads: int

    @property
    def text(self) -> str:
        """``attention 12 heads``."""
        return f"{self.kind} {self.heads} head{'s' if self.heads > 1 else ''}"

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, t, w)."""
        (packed,) = self.checked(inputs)
        return (*packed[:2], self.heads * _depth(self, packed, self.heads))

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of both products."""
        return sum(op.macs(*shapes) for op, *shapes in self._parts(*inputs))

    def flops(self, *inputs: Shape) -> int:
        """Return the sum over both products and the softmax."""
        return sum(op.flops(*shapes) for op, *shapes in self._parts(*inputs))

    def problem_of(self, *inputs: Shape) -> Problem:
        """Return the sizes."""
        n, tokens, width = self.output(*inputs)
        return Problem(batch=n, heads=self.heads, tokens=tokens, dim=width // self.heads)

    def byte_attention(self, *inputs: Shape) -> ByteAttention:
        """Return the thirds of the channels as queries, keys and values."""
        p = self.problem_of(*inputs)

        def third(number: int) -> Part:
            return 0, lambda packed: _heads(packed, self.heads)[number]

        def side_by_side(heads: Array) -> Array:
            return heads.swapaxes(1, 2).reshape(self.output(*inputs))

        return ByteAttention(p, p.dim**-0.5, (third(0), third(1), third(2)), side_by_side)

    def _parts(self, *inputs: Shape) -> tuple[tuple[Op, *tuple[Shape, ...]], ...]:
        """Return the three operations, each with the shapes it reads."""
        (packed,) = self.checked(inputs)
        scores = AttentionScores(self.heads)
        square = scores.output(packed)
        return (scores, packed), (Softmax(), square), (AttentionMix(self.heads), square, packed)

    def reference(self, *operands: Array) -> Array:
        """Return what the three operations compute one after the other."""
        (packed,) = operands
        weights = Softmax().reference(AttentionScores(self.heads).reference(packed))
        return AttentionMix(self.heads).reference(weights, packed)


def _depth(op: Op, packed: Shape, heads: int) -> int:
    """Return the channels of one head."""
    if len(packed) != len(("n", "t", "3w")) or heads < 1 or packed[-1] % (_PARTS * heads):
        requirement = f"it needs (n, t, 3w) with w a multiple of the number of heads, {heads}"
        raise op.misfit(packed, requirement)
    return packed[-1] // (_PARTS * heads)


def _heads(packed: Array, heads: int) -> Array:
    """Return queries, keys and values, (3, n, heads, t, depth), of (n, t, 3w)."""
    n, t, width = packed.shape
    parts = packed.reshape(n, t, _PARTS, heads, width // (_PARTS * heads))
    return parts.transpose(2, 0, 3, 1, 4)
