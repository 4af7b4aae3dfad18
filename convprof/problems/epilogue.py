"""What follows a convolution or a product, element by element: bias, residual, activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from convprof.errors import ProblemError
from convprof.problems.checks import shown
from convprof.problems.shapes import channel_axis
from convprof.problems.tensors import TensorSpec, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array, Points

# Functions of one element that networks apply between their products.

Function: TypeAlias = Literal[
    "relu", "relu6", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "hardsigmoid", "hardswish"
]

STEPS: dict[Function, int] = {
    "relu": 1,  # max(x, 0)
    "relu6": 2,  # min(max(x, 0), 6)
    "sigmoid": 3,  # 1 / (1 + exp(-x))
    "tanh": 1,
    "silu": 4,  # x sigmoid(x)
    "gelu": 5,  # x / 2 (1 + erf(x / sqrt 2)), the exact form of Hendrycks & Gimpel 2016
    "gelu_tanh": 8,  # x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), their approximation
    "hardsigmoid": 4,  # min(max(x + 3, 0), 6) / 6
    "hardswish": 5,  # x hardsigmoid(x)
}
"""By name, how many floating-point operations a function counts as."""


BIAS, ADD = "bias", "add"
RESIDUAL = "residual"
"""The name of the operand that ``add`` reads."""
BIAS_LIMITS = (-(2.0**15), 2.0**15)
"""Of a bias that is drawn for sums of products of bytes."""


@dataclass(frozen=True, slots=True)
class Epilogue:
    """y = function(product + bias + residual), in this order; parts that are not set are left out.

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
        function = next((function for function in STEPS if function in words), None)
        epilogue = cls(BIAS in words, ADD in words, function)
        if epilogue.text != ",".join(words):
            raise ProblemError(
                f"{shown(text)}: bias, add and one activation, each once and in this order"
            )
        return epilogue

    @property
    def text(self) -> str:
        """``bias,add,relu``; empty if there is nothing to do."""
        words = [BIAS] * self.bias + [ADD] * self.add
        return ",".join([*words, self.function] if self.function else words)

    @property
    def steps(self) -> int:
        """Floating-point operations per element of the result."""
        return self.bias + self.add + (STEPS[self.function] if self.function else 0)

    def operands(self, channels: int, result: TensorSpec, types: Types) -> tuple[TensorSpec, ...]:
        """Return the bias and the residual, where the epilogue has them."""
        limits = BIAS_LIMITS if types.requantises else None
        bias = TensorSpec(BIAS, (channels,), None, types.accumulator, True, limits=limits)
        residual = replace(result, name=RESIDUAL)
        return (*[bias] * self.bias, *[residual] * self.add)

    def reference(
        self, product: Array, operands: Sequence[Array], shape: Shape, points: Points | None = None
    ) -> Array:
        """Return function(product + bias + residual) in float64, all of it or at flat indices.

        ``operands``: a bias, then a residual, where the epilogue has them. ``shape`` is the logical
        shape of the result; ``product`` has that shape, or is its values at the points.
        """
        import numpy as np  # late: `convprof --help` must not load it

        from convprof.problems.functions import FUNCTIONS

        total, more = product, list(operands)
        if self.bias:
            axis = channel_axis(shape)
            bias = more.pop(0).astype(np.float64)
            wide = bias.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            total = total + picked(np.broadcast_to(wide, shape), points)
        if self.add:
            total = total + picked(more.pop(0).astype(np.float64), points)
        return FUNCTIONS[self.function](total) if self.function else total


_WORDS = (BIAS, ADD, *STEPS)
NO_EPILOGUE = Epilogue()
