"""Scaled dot-product attention (Vaswani et al. 2017): what each token takes from every other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems import checks
from convprof.problems.base import Problem
from convprof.problems.checks import check_name, quoted
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.tensors import Array, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Problem):
    """softmax(Q K^T / sqrt(dim)) V, for every head of every item of the batch, without a mask.

    Q, K, V and the result are ``(batch, heads, tokens, dim)``, ``dim`` per head. A problem has two
    operands: Q is the first; K and V, stacked, are the second, ``(2, batch, heads, tokens, dim)``.
    Neither is constant between calls, so that nothing of them may be prepared beforehand.

    ``macs`` counts the two products. The softmax is counted separately, by its ``exponentials``.
    ``name`` takes no part in comparisons. Raises ProblemError for impossible sizes.
    """

    kind: ClassVar[str] = "attention"

    batch: int = 1
    heads: int
    tokens: int
    dim: int
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in ("batch", "heads", "tokens", "dim"):
            object.__setattr__(self, key, checks.size(key, getattr(self, key)))
        check_name(self.name)
        checks.elements("K and V", (2, *self.shape))
        # A limit for strategies that never store the scores too: the work grows with their number.
        checks.elements("the scores", (self.batch, self.heads, self.tokens, self.tokens))

    @property
    def items(self) -> int:
        """The number of independent problems: the heads of all items of the batch."""
        return self.batch * self.heads

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, tokens, dim): Q, K, V and the result, each."""
        return self.batch, self.heads, self.tokens, self.dim

    @property
    def macs(self) -> int:
        """Multiply-accumulates of Q K^T and of P V: each ``tokens**2 * dim`` per head."""
        return 2 * self.items * self.tokens**2 * self.dim

    @property
    def flops(self) -> int:
        """Floating-point operations of the products: 1 MAC = 2 FLOPs. The softmax is not in it."""
        return 2 * self.macs

    @property
    def exponentials(self) -> int:
        """Exponentials of the softmax, one per score. Each comes with about four additions."""
        return self.items * self.tokens**2

    @property
    def has_minibatch(self) -> bool:
        """It has: batch."""
        return True

    @property
    def terms(self) -> int:
        """The products behind a score, and then the weighted values behind an element."""
        return self.dim + self.tokens

    @property
    def roundings(self) -> int:
        """Of the weights of the values, and of the result."""
        return 2

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:  # noqa: ARG002
        """Return Q, and K and V stacked; attention has no layout."""
        return (
            TensorSpec("q", self.shape, None, types.source),
            TensorSpec("kv", (2, *self.shape), None, types.source),
        )

    def result(self, layout: str, types: Types) -> TensorSpec:  # noqa: ARG002
        """Return the result; attention has no layout."""
        return TensorSpec("o", self.shape, None, types.result)

    def dims(self) -> dict[str, Any]:
        """Return the sizes for JSON."""
        return {
            "batch": self.batch,
            "heads": self.heads,
            "tokens": self.tokens,
            "dim": self.dim,
        }

    @property
    def descriptor(self) -> str:
        """The canonical text, ``attention:BATCHxHEADSxTOKENSxDIM[n"name"]``."""
        return f"attention:{'x'.join(map(str, self.shape))}{quoted(self.name)}"

    def with_batch(self, n: int) -> Attention:
        """Return the same attention over ``n`` items."""
        return replace(self, batch=n)

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return attention in float64, (batch, heads, tokens, dim), or its values at some points.

        Head by head, all scores of the rows that are needed.
        """
        import numpy as np  # late: `convprof --help` must not load it

        q, kv = operands
        if points is None:
            result: Array = np.empty(self.shape)
            for head in np.ndindex(self.batch, self.heads):
                result[head] = _attend(q[head], kv[0][head], kv[1][head])
            return result
        item, token, column = np.unravel_index(points, (self.items, self.tokens, self.dim))
        queries, keys, values = (x.reshape(self.items, self.tokens, self.dim) for x in (q, *kv))
        results: Array = np.empty(len(points))
        for head in np.unique(item):
            here = item == head
            rows, back = np.unique(token[here], return_inverse=True)
            attended = _attend(queries[head][rows], keys[head], values[head])
            results[here] = attended[back, column[here]]
        return results


def _attend(q: Array, k: Array, v: Array) -> Array:
    """Return ``softmax(q k^T / sqrt(dim)) v`` for some rows of ``q``."""
    import numpy as np  # late: `convprof --help` must not load it

    both = q.astype(np.float64), k.astype(np.float64)
    scores = np.einsum("id,jd->ij", *both, optimize=True) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    sums = np.einsum("ij,jd->id", weights, v.astype(np.float64), optimize=True)
    attended: Array = sums / weights.sum(axis=1, keepdims=True)
    return attended
