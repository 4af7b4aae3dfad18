"""Attention whose operands are rearranged from activations: the nodes of a file as one operation.

Queries, keys and values are read where they are: heads of a projection, thirds of a joined
projection, keys that several heads share. The scores are never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.attention import CAUSAL, NO_MASK, OF_PAIRS
from convprof.problems.attention import Attention as Problem
from convprof.problems.ops.base import Op
from convprof.problems.ops.byte_attention import ByteAttention
from convprof.problems.ops.normalisation import Softmax
from convprof.problems.ops.products import MatMul

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.ops.rearranged import Rearranged
    from convprof.problems.shapes import Shape

__all__ = ["RearrangedAttention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RearrangedAttention(Op):
    """(x, ...[, mask]) -> (n, heads, t, d): softmax(scale Q K^T, masked) V.

    Q is (n, heads, t, d); K and V are (n, heads / sharing, s, d), all of them parts of the first
    inputs. ``mask`` is the operation between scores and softmax: the sum with one more activation
    or with a tensor of its own.
    """

    kind: ClassVar[str] = "fused attention"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 0

    queries: Rearranged
    keys: Rearranged
    values: Rearranged
    sources: tuple[int, int, int] = (0, 1, 2)
    """The inputs that queries, keys and values are parts of."""
    scale: float
    heads: int
    sharing: int = 1
    mask: Op | None = None
    tokens_first: bool = False
    """Whether the result is (n, t, heads, d)."""

    @property
    def text(self) -> str:
        """``attention 12 heads, masked``."""
        shared = f" share {self.heads // self.sharing} of keys" if self.sharing > 1 else ""
        masked = "" if self.mask is None else ", causal" if self.mask.is_causal else ", masked"
        return f"attention {self.heads} head{'s' if self.heads > 1 else ''}{shared}{masked}"

    @property
    def parts(self) -> tuple[tuple[Rearranged, int], ...]:
        """Queries, keys and values: each with the number of its input."""
        return tuple(zip((self.queries, self.keys, self.values), self.sources, strict=True))

    @property
    def own_inputs(self) -> int:
        """The number of inputs before the mask."""
        return 1 + max(self.sources)

    def problem_of(self, *inputs: Shape) -> Problem:
        """Return the sizes; a mask has a number for each pair, in any number of axes."""
        if len(inputs) < self.own_inputs:
            raise self.misfit(inputs[0], f"it needs {self.own_inputs} inputs")
        queries, keys, values = (part.output(inputs[number]) for part, number in self.parts)
        n, heads, tokens, dim = queries
        if keys != values or keys[:2] != (n, heads // self.sharing) or keys[3:] != (dim,):
            raise self.misfit(
                inputs[self.sources[1]], f"its keys {keys} do not fit queries {queries}"
            )
        added = NO_MASK if self.mask is None else OF_PAIRS
        return Problem(
            batch=n,
            heads=heads,
            tokens=tokens,
            dim=dim,
            keys=keys[2],
            key_heads=keys[1],
            mask=CAUSAL if self.mask and self.mask.is_causal else added,
        )

    def byte_attention(self, *inputs: Shape) -> ByteAttention:
        """Return the parts as they are."""
        q, k, v = ((number, part.reference) for part, number in self.parts)
        return ByteAttention(self.problem_of(*inputs), self.scale, (q, k, v), self._arranged)

    def _arranged(self, heads: Array) -> Array:
        return heads.transpose(0, 2, 1, 3) if self.tokens_first else heads

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, heads, t, d) or (n, t, heads, d)."""
        n, heads, tokens, dim = self.problem_of(*inputs).shape
        return (n, tokens, heads, dim) if self.tokens_first else (n, heads, tokens, dim)

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the tensor of the mask, if it has one that a strategy cannot do without."""
        if self.mask is None or self.mask.is_causal:
            return {}
        own = (self.problem_of(*inputs).scores, *inputs[self.own_inputs :])
        return {**self.mask.weights(*own), **self.mask.buffers(*own)}

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of both products."""
        return sum(op.macs(*shapes) for op, *shapes in self._parts(*inputs))

    def flops(self, *inputs: Shape) -> int:
        """Return the sum over the products, the mask and the softmax."""
        return sum(op.flops(*shapes) for op, *shapes in self._parts(*inputs))

    def _parts(self, *inputs: Shape) -> tuple[tuple[Op, *tuple[Shape, ...]], ...]:
        """Return the operations, each with the shapes it reads; keys are repeated."""
        p = self.problem_of(*inputs)
        scores, keys = p.scores, (p.batch, p.heads, p.keys, p.dim)
        product = MatMul(transpose_b=True, scale=self.scale)
        mask = ((self.mask, scores, *inputs[self.own_inputs :]),) if self.mask else ()
        return (product, p.shape, keys), *mask, (Softmax(), scores), (MatMul(), scores, keys)

    def reference(self, *operands: Array) -> Array:
        """Return what the operations compute one after the other."""
        added = operands[self.own_inputs :]
        queries, *shared = (part.reference(operands[number]) for part, number in self.parts)
        keys, values = (np.repeat(each, self.sharing, axis=1) for each in shared)
        scores = MatMul(transpose_b=True, scale=self.scale).reference(queries, keys)
        if self.mask is not None:
            fixed = self.mask.fixed(scores.shape)
            scores = self.mask.reference(scores, *added) if fixed is None else scores + fixed
        mixed = MatMul().reference(Softmax().reference(scores), values)
        return self._arranged(mixed)
