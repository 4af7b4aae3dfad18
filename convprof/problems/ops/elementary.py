"""Elementary functions of every element, which follow no product: exponential, logarithm, sine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import shown
from convprof.problems.ops.base import Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Elementary"]

ElementaryFunction: TypeAlias = Literal[
    "exp", "log", "softplus", "mish", "sin", "cos", "floor", "ceil", "round", "sign"
]


def _softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), which does not overflow."""
    return np.logaddexp(x, 0.0)


_FUNCTIONS: dict[ElementaryFunction, tuple[int, Callable[[Array], Array]]] = {
    "exp": (1, np.exp),
    "log": (1, np.log),
    "softplus": (3, _softplus),  # log(1 + exp(x))
    "mish": (5, lambda x: x * np.tanh(_softplus(x))),  # Misra 2019
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "round": (1, np.round),  # halves to the nearest even number
    "sign": (1, np.sign),
}
"""By name, how many floating-point operations a function counts as, and the function."""
_AROUND_ONE = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Elementary(Op):
    """An elementary function of every element."""

    kind: ClassVar[str] = "elementary"

    function: ElementaryFunction

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise ProblemError(f"function {shown(self.function)}: use {', '.join(_FUNCTIONS)}")

    @property
    def text(self) -> str:
        """The function's name."""
        return self.function

    @property
    def limits(self) -> tuple[float, float] | None:
        """Of a logarithm, around 1: it is not defined below 0, and very large near it."""
        return _AROUND_ONE if self.function == "log" else None

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        (x,) = self.checked(inputs)
        return x

    def flops(self, *inputs: Shape) -> int:
        """Return the function's steps for every element."""
        steps, _ = _FUNCTIONS[self.function]
        return steps * math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return the function of every element."""
        (x,) = operands
        _, function = _FUNCTIONS[self.function]
        with np.errstate(all="ignore"):  # as kernels: infinite, or NaN
            return function(x)
