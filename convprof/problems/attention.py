"""Scaled dot-product attention (Vaswani et al. 2017): what each token takes from every other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.errors import ProblemError
from convprof.problems import attention_bytes, checks
from convprof.problems.base import Problem
from convprof.problems.checks import check_name, quoted
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.tensors import Array, Points


NO_MASK, CAUSAL, OF_KEYS, OF_PAIRS = "none", "causal", "keys", "pairs"
MASKS = (NO_MASK, CAUSAL, OF_KEYS, OF_PAIRS)
"""Which scores count: all; only of keys that are not after the query; all, plus an operand that has
a number for each key of an item of the batch, or for each pair of a query and a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Problem):
    """softmax(Q K^T / sqrt(dim) + M) V, for every head of every item of the batch.

    Q and the result are ``(batch, heads, tokens, dim)``, ``dim`` per head. K and V, stacked, are
    the second operand, ``(2, batch, key_heads, keys, dim)``: ``heads / key_heads`` heads of queries
    share a head of keys (Ainslie et al. 2023). No operand is constant between calls, so that
    nothing of them may be prepared beforehand.

    M is 0 without a ``mask``. With ``causal`` the last query has every key, and each query before
    it has one key less; M is minus infinity elsewhere. With ``keys`` and ``pairs`` M is the third
    operand, ``(batch, 1, 1, keys)`` or ``(1, 1, tokens, keys)``.

    ``macs`` counts the two products of the scores that count. The softmax is counted separately, by
    its ``exponentials``. ``name`` takes no part in comparisons. Raises ProblemError for impossible
    sizes.
    """

    kind: ClassVar[str] = "attention"

    batch: int = 1
    heads: int
    tokens: int
    """Queries of a head."""
    dim: int
    keys: int = 0
    """Keys of a head; 0: as many as queries."""
    key_heads: int = 0
    """Heads of keys; 0: as many as heads of queries."""
    mask: str = NO_MASK
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in ("batch", "heads", "tokens", "dim"):
            object.__setattr__(self, key, checks.size(key, getattr(self, key)))
        object.__setattr__(self, "keys", checks.size("keys", self.keys or self.tokens))
        object.__setattr__(
            self, "key_heads", checks.size("key_heads", self.key_heads or self.heads)
        )
        check_name(self.name)
        if self.heads % self.key_heads:
            heads = f"{self.heads} heads of queries cannot share {self.key_heads} heads of keys"
            raise ProblemError(f"{heads}: write a divisor of {self.heads}")
        if self.mask not in MASKS:
            raise ProblemError(f"mask {self.mask!r}: use one of {', '.join(MASKS)}")
        if self.mask == CAUSAL and self.keys < self.tokens:
            needs = f"causal attention of {self.tokens} queries needs as many keys, or more"
            raise ProblemError(f"{needs}, not {self.keys}")
        checks.elements("Q", self.shape)
        checks.elements("K and V", self.stacked)
        # A limit for strategies that never store the scores too: the work grows with their number.
        checks.elements("the scores", self.scores)

    @property
    def items(self) -> int:
        """The number of independent problems: the heads of all items of the batch."""
        return self.batch * self.heads

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, tokens, dim): Q and the result, each."""
        return self.batch, self.heads, self.tokens, self.dim

    @property
    def stacked(self) -> tuple[int, int, int, int, int]:
        """(2, batch, key_heads, keys, dim): K and V."""
        return 2, self.batch, self.key_heads, self.keys, self.dim

    @property
    def scores(self) -> tuple[int, int, int, int]:
        """(batch, heads, tokens, keys): the products of queries and keys."""
        return self.batch, self.heads, self.tokens, self.keys

    @property
    def sharing(self) -> int:
        """Heads of queries that share a head of keys."""
        return self.heads // self.key_heads

    @property
    def earlier(self) -> int:
        """Keys before the first query's own one; with a causal mask, query i has i + 1 more."""
        return self.keys - self.tokens

    @property
    def mask_shape(self) -> tuple[int, int, int, int] | None:
        """The sizes of the operand that is added to (batch, heads, tokens, keys) scores, if any."""
        shapes = {
            OF_KEYS: (self.batch, 1, 1, self.keys),
            OF_PAIRS: (1, 1, self.tokens, self.keys),
        }
        return shapes.get(self.mask)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of Q K^T and of P V: each ``dim`` for a score that counts."""
        return 2 * self.exponentials * self.dim

    @property
    def flops(self) -> int:
        """Floating-point operations of the products: 1 MAC = 2 FLOPs. The softmax is not in it."""
        return 2 * self.macs

    @property
    def exponentials(self) -> int:
        """Exponentials of the softmax, one per score. Each comes with about four additions."""
        return self.items * counted(self.tokens, self.keys, self.mask)

    @property
    def has_minibatch(self) -> bool:
        """It has: batch."""
        return True

    @property
    def terms(self) -> int:
        """The products behind a score, and then the weighted values behind an element."""
        return self.dim + self.keys

    @property
    def roundings(self) -> int:
        """Of the weights of the values, and of the result."""
        return 2

    def known_error(self, types: Types) -> float:
        """Return what the rounding of weights to bytes adds, if they are rounded."""
        return attention_bytes.known_error(self.keys, self.batch * self.key_heads * self.dim, types)

    def why_not_in(self, types: Types) -> str | None:
        """Refuse long heads of bytes: differences of their scores could be too large."""
        if types.requantises and self.dim > attention_bytes.MOST_DIM:
            most = attention_bytes.MOST_DIM
            return f"has up to {most:,} elements in a head of bytes, not {self.dim:,}"
        return None

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:  # noqa: ARG002
        """Return Q, K and V stacked, a mask that is an operand, and the scales of bytes.

        Attention has no layout. The mask of bytes is f32.
        """
        masks = types.scale if types.requantises else types.source
        specs = (
            TensorSpec("q", self.shape, None, types.source),
            TensorSpec("kv", self.stacked, None, types.weights),
            *[TensorSpec("mask", shape, None, masks) for shape in (self.mask_shape,) if shape],
        )
        return (*specs, *attention_bytes.operands(self.keys, types))

    def result(self, layout: str, types: Types) -> TensorSpec:  # noqa: ARG002
        """Return the result; attention has no layout."""
        return TensorSpec("o", self.shape, None, types.result)

    def dims(self) -> dict[str, Any]:
        """Return the sizes and the mask for JSON."""
        keys = ("batch", "heads", "tokens", "dim", "key_heads", "keys", "mask")
        return {key: getattr(self, key) for key in keys}

    @property
    def descriptor(self) -> str:
        """``attention:BATCHxHEADSxTOKENSxDIM[:kvHEADSxKEYS][:MASK][n"name"]``."""
        keys = (self.key_heads, self.keys)
        parts = [
            "x".join(map(str, self.shape)),
            *[f"kv{self.key_heads}x{self.keys}"] * (keys != (self.heads, self.tokens)),
            *[self.mask] * (self.mask != NO_MASK),
        ]
        return f"attention:{':'.join(parts)}{quoted(self.name)}"

    def with_batch(self, n: int) -> Attention:
        """Return the same attention over ``n`` items."""
        return replace(self, batch=n)

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return attention in float64, (batch, heads, tokens, dim), or its values at some points.

        Head by head, all scores of the rows that are needed.
        """
        return self._means(operands, points, None)

    def reference_in(
        self, types: Types, operands: Sequence[Array], points: Points | None = None
    ) -> Array:
        """Return the float64 reference; of bytes as ``attention_bytes`` defines it."""
        if not types.requantises:
            return self.reference(operands, points)
        count = len(operands) - len(attention_bytes.operands(self.keys, types))
        more = operands[count:]
        unit = attention_bytes.unit(more[0], self.dim**-0.5)
        means = self._means(operands[:count], points, unit)
        return attention_bytes.results(means, more, types)

    def _means(self, operands: Sequence[Array], points: Points | None, unit: float | None) -> Array:
        """Return the weighted means of values; ``unit``: what a unit of a score of bytes means."""
        import numpy as np  # late: `convprof --help` must not load it

        every = np.arange(self.tokens)
        if points is None:
            result: Array = np.empty(self.shape)
            for head in np.ndindex(self.batch, self.heads):
                result[head] = self._attend(operands, head, every, unit)
            return result
        item, token, column = np.unravel_index(points, (self.items, self.tokens, self.dim))
        results: Array = np.empty(len(points))
        for number in np.unique(item):
            here = item == number
            rows, back = np.unique(token[here], return_inverse=True)
            head = divmod(int(number), self.heads)
            attended = self._attend(operands, head, rows, unit)
            results[here] = attended[back, column[here]]
        return results

    def _attend(
        self, operands: Sequence[Array], head: tuple[int, ...], rows: Array, unit: float | None
    ) -> Array:
        """Return the results of some queries of one head."""
        import numpy as np  # late: `convprof --help` must not load it

        q, (k, v), *mask = operands
        item, number = head
        keys, values = (x[item, number // self.sharing].astype(np.float64) for x in (k, v))
        queries = q[head][rows].astype(np.float64)
        scores = np.einsum("id,jd->ij", queries, keys, optimize=True)
        if unit is None:
            scores /= np.sqrt(self.dim)
        if mask:
            shape = self.batch, 1, self.tokens, self.keys
            added = np.broadcast_to(mask[0], shape)[item, 0, rows].astype(np.float64)
            scores += added if unit is None else attention_bytes.in_units(added, unit)
        if self.mask == CAUSAL:
            after = np.arange(self.keys) > rows[:, None] + self.earlier
            scores[after] = -np.inf
        if unit is None:
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        else:
            weights = attention_bytes.weights(scores, unit)
        sums = np.einsum("ij,jd->id", weights, values, optimize=True)
        attended: Array = sums / weights.sum(axis=1, keepdims=True)
        return attended


def counted(tokens: int, keys: int, mask: str) -> int:
    """Return how many scores of a head count."""
    after = tokens * (tokens - 1) // 2 if mask == CAUSAL else 0
    return tokens * keys - after
