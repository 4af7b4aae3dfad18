"""Operations that treat every element alike: activations, sums and products of activations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from convprof.errors import ProblemError
from convprof.networks.ops.base import Op, Shape
from convprof.problems.checks import shown

Function: TypeAlias = Literal[
    "relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardsigmoid", "hardswish"
]

_STEPS: dict[str, int] = {
    "relu": 1,  # max(x, 0)
    "relu6": 2,  # min(max(x, 0), 6)
    "sigmoid": 3,  # 1 / (1 + exp(-x))
    "tanh": 1,
    "silu": 4,  # x sigmoid(x)
    "gelu": 5,  # x / 2 (1 + erf(x / sqrt 2)), the exact form of Hendrycks & Gimpel 2016
    "hardsigmoid": 4,  # min(max(x + 3, 0), 6) / 6
    "hardswish": 5,  # x hardsigmoid(x)
}


@dataclass(frozen=True, slots=True)
class Activation(Op):
    """A function of every element; the shape stays."""

    kind: ClassVar[str] = "activation"

    function: Function

    def __post_init__(self) -> None:
        if self.function not in _STEPS:
            raise ProblemError(f"activation {shown(self.function)}: use one of {', '.join(_STEPS)}")

    @property
    def text(self) -> str:
        """The function's name."""
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        (x,) = self.given(inputs)
        return x

    def flops(self, *inputs: Shape) -> int:
        """Return the function's steps for every element."""
        return _STEPS[self.function] * math.prod(self.output(*inputs))


class _Pairwise(Op):
    """One step per element of two activations, of which sizes of 1 are repeated (as in NumPy)."""

    __slots__ = ()

    arity: ClassVar[int] = 2

    def output(self, *inputs: Shape) -> Shape:
        """Return the larger size of every axis."""
        a, b = self.given(inputs)
        if len(a) != len(b) or any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
            raise self.misfit(b, f"it does not fit the first input {a}")
        return tuple(max(x, y) for x, y in zip(a, b, strict=True))

    def flops(self, *inputs: Shape) -> int:
        """Return one per result."""
        return math.prod(self.output(*inputs))


@dataclass(frozen=True, slots=True)
class Add(_Pairwise):
    """The sum of two activations: a residual connection."""

    kind: ClassVar[str] = "add"


@dataclass(frozen=True, slots=True)
class Multiply(_Pairwise):
    """The product of two activations, element by element: the gate of squeeze-and-excitation."""

    kind: ClassVar[str] = "multiply"
