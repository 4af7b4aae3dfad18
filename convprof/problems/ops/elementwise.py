"""Operations that treat every element alike: activations, sums and products of activations."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import finite, shown
from convprof.problems.epilogue import STEPS, Epilogue, Function
from convprof.problems.functions import FUNCTIONS
from convprof.problems.ops.base import Op, broadcast

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

# fmt: off
__all__ = [
    "Activation", "Add", "Affine", "Clip", "Divide", "Elu", "HardSigmoid", "Maximum", "Minimum",
    "Multiply", "Power",
]
# fmt: on


class _Elementwise(Op):
    """The shape stays; every element takes the same number of steps."""

    __slots__ = ()

    @property
    @abstractmethod
    def steps(self) -> int:
        """The steps for one element, as ``flops`` counts them."""

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        (x,) = self.checked(inputs)
        return x

    def flops(self, *inputs: Shape) -> int:
        """Return the steps for every element."""
        return self.steps * math.prod(self.output(*inputs))


@dataclass(frozen=True, slots=True)
class Activation(_Elementwise):
    """A function of every element."""

    kind: ClassVar[str] = "activation"

    function: Function

    def __post_init__(self) -> None:
        if self.function not in STEPS:
            raise ProblemError(f"activation {shown(self.function)}: use one of {', '.join(STEPS)}")

    @property
    def text(self) -> str:
        """The function's name."""
        return self.function

    @property
    def epilogue(self) -> Epilogue:
        """The function of every element."""
        return Epilogue(function=self.function)

    @property
    def steps(self) -> int:
        """The function's steps."""
        return STEPS[self.function]

    def reference(self, *operands: Array) -> Array:
        """Return the function of every element."""
        (x,) = operands
        return FUNCTIONS[self.function](x)


@dataclass(frozen=True, slots=True)
class Affine(_Elementwise):
    """``factor`` x + ``term`` of every element, the same for all; not learned."""

    kind: ClassVar[str] = "affine"

    factor: float = 1.0
    term: float = 0.0

    def __post_init__(self) -> None:
        finite(factor=self.factor, term=self.term)

    @property
    def steps(self) -> int:
        """One for a factor that is not 1, and one for a term that is not 0."""
        return int(self.factor != 1.0) + int(self.term != 0.0)

    def reference(self, *operands: Array) -> Array:
        """Return ``factor`` x + ``term``."""
        (x,) = operands
        return self.factor * x + self.term


@dataclass(frozen=True, slots=True)
class Clip(_Elementwise):
    """min(max(x, ``low``), ``high``) of every element; None where there is no limit."""

    kind: ClassVar[str] = "clip"

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.low, self.high) if limit is not None]
        if not limits or not all(map(math.isfinite, limits)) or sorted(set(limits)) != limits:
            raise ProblemError(
                f"limits {shown(self.low)} and {shown(self.high)}: use a finite lower limit, "
                "a finite upper limit, or both, the lower one less than the upper one"
            )

    @property
    def text(self) -> str:
        """``clip -1..1``."""
        low, high = ("" if limit is None else f"{limit:g}" for limit in (self.low, self.high))
        return f"{self.kind} {low}..{high}"

    @property
    def steps(self) -> int:
        """One comparison per limit."""
        return (self.low is not None) + (self.high is not None)

    def reference(self, *operands: Array) -> Array:
        """Return every element within the limits."""
        (x,) = operands
        return np.clip(x, self.low, self.high)


@dataclass(frozen=True, slots=True)
class HardSigmoid(_Elementwise):
    """min(max(``alpha`` x + ``beta``, 0), 1) of every element, with slopes other than 1/6.

    Keras and older files have 0.2 and 0.5. The function ``hardsigmoid`` of ``Activation`` has 1/6
    and 1/2; a layer can compute that one in its epilogue.
    """

    kind: ClassVar[str] = "hard sigmoid"

    alpha: float = 0.2
    beta: float = 0.5

    def __post_init__(self) -> None:
        finite(alpha=self.alpha, beta=self.beta)

    @property
    def text(self) -> str:
        """``hardsigmoid 0.2x+0.5``."""
        return f"hardsigmoid {self.alpha:g}x{self.beta:+g}"

    @property
    def steps(self) -> int:
        """Four: a product, a sum, two comparisons."""
        return 4

    def reference(self, *operands: Array) -> Array:
        """Return ``alpha`` x + ``beta`` within 0 and 1."""
        (x,) = operands
        return np.clip(self.alpha * x + self.beta, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Elu(_Elementwise):
    """``factor`` x above 0, and ``factor`` ``alpha`` (exp(x) - 1) below.

    Clevert et al. 2016, with a factor of 1; Klambauer et al. 2017 (SELU), with 1.05 and 1.67.
    """

    kind: ClassVar[str] = "elu"

    alpha: float = 1.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        finite(alpha=self.alpha, factor=self.factor)

    @property
    def text(self) -> str:
        """``elu``, ``elu 0.5`` or ``selu``."""
        if self.factor != 1.0:
            return "selu"
        return self.kind if self.alpha == 1.0 else f"{self.kind} {self.alpha:g}"

    @property
    def steps(self) -> int:
        """Three, a comparison, an exponential, a difference, and one for each factor but 1."""
        return 3 + (self.alpha != 1.0) + (self.factor != 1.0)

    def reference(self, *operands: Array) -> Array:
        """Return the function of every element."""
        (x,) = operands
        below: Array = self.alpha * np.expm1(np.minimum(x, 0.0))
        return self.factor * np.where(x > 0, x, below)


_EXPONENTS = (0.5, -0.5, -1.0)


@dataclass(frozen=True, slots=True)
class Power(_Elementwise):
    """The square root of every element, its reciprocal, or the reciprocal of the element."""

    kind: ClassVar[str] = "power"

    exponent: float

    def __post_init__(self) -> None:
        if self.exponent not in _EXPONENTS:
            raise ProblemError(
                f"exponent={shown(self.exponent)}: use {', '.join(map(str, _EXPONENTS))}"
            )

    @property
    def text(self) -> str:
        """``power -0.5``."""
        return f"{self.kind} {self.exponent:g}"

    @property
    def limits(self) -> tuple[float, float]:
        """Around 1: the function is not defined, or very large, near 0."""
        return _AROUND_ONE

    @property
    def steps(self) -> int:
        """One for a root, and one for a division."""
        return (self.exponent != -1) + (self.exponent < 0)

    def reference(self, *operands: Array) -> Array:
        """Return the power of every element."""
        (x,) = operands
        with np.errstate(divide="ignore", invalid="ignore"):  # as kernels: infinite, or NaN
            power: Array = x**self.exponent
        return power


_AROUND_ONE = (0.5, 2.0)


class _Pairwise(Op):
    """One step per element of two activations, of which sizes of 1 are repeated (as in NumPy)."""

    __slots__ = ()

    arity: ClassVar[int] = 2

    def output(self, *inputs: Shape) -> Shape:
        """Return the larger size of every axis."""
        return broadcast(self, inputs, self.arity)

    def flops(self, *inputs: Shape) -> int:
        """Return one per result."""
        return math.prod(self.output(*inputs))


@dataclass(frozen=True, slots=True)
class Add(_Pairwise):
    """The sum of two activations: a residual connection."""

    kind: ClassVar[str] = "add"

    @property
    def epilogue(self) -> Epilogue:
        """The sum with the other activation."""
        return Epilogue(add=True)

    def reference(self, *operands: Array) -> Array:
        """Return the sum; NumPy repeats sizes of 1."""
        a, b = operands
        return a + b


@dataclass(frozen=True, slots=True)
class Multiply(_Pairwise):
    """The product of two activations, element by element: the gate of squeeze-and-excitation."""

    kind: ClassVar[str] = "multiply"
    is_gate: ClassVar[bool] = True

    def reference(self, *operands: Array) -> Array:
        """Return the product; NumPy repeats sizes of 1."""
        a, b = operands
        return a * b


@dataclass(frozen=True, slots=True)
class Maximum(_Pairwise):
    """The larger of two activations, element by element: the maxout of Goodfellow et al. 2013."""

    kind: ClassVar[str] = "maximum"

    def reference(self, *operands: Array) -> Array:
        """Return the larger elements; NumPy repeats sizes of 1."""
        a, b = operands
        return np.maximum(a, b)


@dataclass(frozen=True, slots=True)
class Minimum(_Pairwise):
    """The smaller of two activations, element by element."""

    kind: ClassVar[str] = "minimum"

    def reference(self, *operands: Array) -> Array:
        """Return the smaller elements; NumPy repeats sizes of 1."""
        a, b = operands
        return np.minimum(a, b)


@dataclass(frozen=True, slots=True)
class Divide(_Pairwise):
    """The first activation divided by the second one, element by element: a mean over a mask."""

    kind: ClassVar[str] = "divide"

    @property
    def limits(self) -> tuple[float, float]:
        """Around 1: quotients of divisors near 0 are very large."""
        return _AROUND_ONE

    def reference(self, *operands: Array) -> Array:
        """Return the quotients; NumPy repeats sizes of 1."""
        a, b = operands
        with np.errstate(divide="ignore", invalid="ignore"):  # as kernels: infinite, or NaN
            return a / b
