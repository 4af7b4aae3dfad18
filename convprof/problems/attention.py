"""Scaled dot-product attention (Vaswani et al. 2017): what each token takes from every other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from convprof.problems import checks
from convprof.problems.checks import check_name
from convprof.problems.formatting import format_attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """softmax(Q K^T / sqrt(dim)) V, for every head of every item of the batch, without a mask.

    Q, K, V and the result are ``(batch, heads, tokens, dim)``, ``dim`` per head. A problem has two
    operands: Q is the first; K and V, stacked, are the second, ``(2, batch, heads, tokens, dim)``.
    Neither is constant between calls, so that nothing of them may be prepared beforehand.

    ``macs`` are those of the two products. The softmax is counted apart, by its ``exponentials``.
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
        # The strategies that keep the whole matrix of scores are not the only reason: the work
        # grows as it does.
        checks.elements("the scores", (self.batch, self.heads, self.tokens, self.tokens))

    @property
    def items(self) -> int:
        """Heads of all items of the batch: so many independent problems."""
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
        """Exponentials of the softmax, one per score; with each come some four additions more."""
        return self.items * self.tokens**2

    def operand_shapes(self, layout: str) -> tuple[tuple[int, ...], tuple[int, ...]]:  # noqa: ARG002
        """Return the shapes of Q, and of K and V stacked; attention has no layout."""
        return self.shape, (2, *self.shape)

    def result_shape(self, layout: str) -> tuple[int, ...]:  # noqa: ARG002
        """Return the shape of the result; attention has no layout."""
        return self.shape

    def bytes_min(self, itemsize: int) -> int:
        """Return the minimum bytes that must move: Q, K and V read once, the result written."""
        return 4 * self.items * self.tokens * self.dim * itemsize

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
        """The canonical text, e.g. ``attention:1x12x197x64``."""
        return format_attention(self)

    def with_batch(self, n: int) -> Attention:
        """Return the same attention over ``n`` items."""
        return replace(self, batch=n)
