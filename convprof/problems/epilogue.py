"""What follows a convolution or a product, element by element: bias, residual, activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from convprof.errors import ProblemError
from convprof.problems.checks import shown

# Functions of one element that networks apply between their products.

Function: TypeAlias = Literal[
    "relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardsigmoid", "hardswish"
]

STEPS: dict[str, int] = {
    "relu": 1,  # max(x, 0)
    "relu6": 2,  # min(max(x, 0), 6)
    "sigmoid": 3,  # 1 / (1 + exp(-x))
    "tanh": 1,
    "silu": 4,  # x sigmoid(x)
    "gelu": 5,  # x / 2 (1 + erf(x / sqrt 2)), the exact form of Hendrycks & Gimpel 2016
    "hardsigmoid": 4,  # min(max(x + 3, 0), 6) / 6
    "hardswish": 5,  # x hardsigmoid(x)
}
"""By name, how many floating-point operations a function counts as."""


BIAS, ADD = "bias", "add"


@dataclass(frozen=True, slots=True)
class Epilogue:
    """y = function(product + bias + residual), in this order; what is not asked for is left out.

    The bias has an element per output channel (k of a convolution, n of a product), the residual
    one per element of the result, in the result's layout. Raises ProblemError for an unknown
    function.
    """

    bias: bool = False
    add: bool = False
    """Whether a residual, another activation, is added."""
    function: Function | None = None

    def __post_init__(self) -> None:
        if self.function is not None and self.function not in STEPS:
            raise ProblemError(f"epilogue {shown(self.function)}: use {', '.join(_WORDS)}")

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return self.bias or self.add or self.function is not None

    @classmethod
    def parse(cls, text: str) -> Epilogue:
        """Read ``bias,add,relu``: any of the three, in this order; ProblemError otherwise."""
        words = [word.strip() for word in text.split(",")]
        for word in words:
            if word not in _WORDS:
                raise ProblemError(f"{shown(word)}: use {', '.join(_WORDS)}")
        functions = [word for word in words if word in STEPS]
        made = cls(BIAS in words, ADD in words, functions[0] if functions else None)  # type: ignore[arg-type]
        if made.text != ",".join(words):
            raise ProblemError(
                f"{shown(text)}: bias, add and one activation, each once and in this order"
            )
        return made

    @property
    def text(self) -> str:
        """``bias,add,relu``; empty if there is nothing to do."""
        words = [BIAS] * self.bias + [ADD] * self.add
        return ",".join([*words, self.function] if self.function else words)

    @property
    def steps(self) -> int:
        """Floating-point operations per element of the result."""
        return self.bias + self.add + (STEPS[self.function] if self.function else 0)


_WORDS = (BIAS, ADD, *STEPS)
NO_EPILOGUE = Epilogue()
