"""Comparisons and choices, element by element: masks of tokens. A truth value is 1 or 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import finite, shown
from convprof.problems.ops.base import Op, broadcast

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Compare", "Select"]

Relation: TypeAlias = Literal["equal", "not equal", "less", "at most", "more", "at least"]
RELATIONS: dict[Relation, Callable[[Array, Array | float], Array]] = {
    "equal": np.equal,
    "not equal": np.not_equal,
    "less": np.less,
    "at most": np.less_equal,
    "more": np.greater,
    "at least": np.greater_equal,
}
"""By name, each relation of two arrays."""


@dataclass(frozen=True, slots=True)
class Compare(Op):
    """1 where the relation of ``a`` and ``b`` is true, else 0; ``b`` may be one number."""

    kind: ClassVar[str] = "compare"
    arity: ClassVar[int] = 0

    relation: Relation
    number: float | None = None
    """The number that every element is compared with; None: a second activation."""

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise ProblemError(
                f"relation {shown(self.relation)}: use one of {', '.join(RELATIONS)}"
            )
        finite(number=self.number)

    @property
    def text(self) -> str:
        """``compare: equal 0``."""
        number = "" if self.number is None else f" {self.number:g}"
        return f"{self.kind}: {self.relation}{number}"

    def output(self, *inputs: Shape) -> Shape:
        """Return the larger size of every axis."""
        return broadcast(self, inputs, 2 if self.number is None else 1)

    def flops(self, *inputs: Shape) -> int:
        """Return one per result."""
        return math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return the truth values as numbers; NumPy repeats sizes of 1."""
        a, *others = operands
        b = others[0] if others else self.number or 0.0
        return RELATIONS[self.relation](a, b).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Select(Op):
    """``a`` where the condition is not 0, else ``b``.

    Inputs: the condition, then ``a`` and ``b`` unless they are one number each.
    """

    kind: ClassVar[str] = "select"
    arity: ClassVar[int] = 0

    then: float | None = None
    """The number in the place of ``a``."""
    otherwise: float | None = None
    """The number in the place of ``b``."""

    def __post_init__(self) -> None:
        finite(then=self.then, otherwise=self.otherwise)

    def output(self, *inputs: Shape) -> Shape:
        """Return the largest size of every axis."""
        return broadcast(self, inputs, 1 + (self.then is None) + (self.otherwise is None))

    def flops(self, *inputs: Shape) -> int:
        """Return one per result."""
        return math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return the chosen elements; NumPy repeats sizes of 1."""
        condition, *others = operands
        a = others.pop(0) if self.then is None else self.then
        b = others.pop(0) if self.otherwise is None else self.otherwise
        return np.where(condition != 0, a, b)
