"""Normalisations at inference, and the factors and biases per channel that go with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convprof.errors import ProblemError
from convprof.problems.checks import shown
from convprof.problems.ops.base import SMALL, Op
from convprof.problems.shapes import IMAGE_AXES, channel_axis, channels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = [
    "BatchNorm",
    "Bias",
    "InstanceNorm",
    "LayerNorm",
    "LayerScale",
    "LogSoftmax",
    "ResponseNorm",
    "RmsNorm",
    "Softmax",
]

_WIDEST = 64
"""Channels of a response norm's window: published ones have 5."""
_POWERS = tuple(quarters / 4 for quarters in range(1, 9))


class SameShape(Op):
    """The shape stays; every element takes the same number of steps."""

    __slots__ = ()

    steps: ClassVar[int]

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        (x,) = self.checked(inputs)
        if len(x) <= 1:
            raise self.misfit(x, "it needs a minibatch and channels")
        return x

    def flops(self, *inputs: Shape) -> int:
        """Return the steps for every element."""
        return self.steps * math.prod(self.output(*inputs))


def _along_channels(vector: Array, x: Array) -> Array:
    """Return a vector with an element per channel, so that NumPy repeats it along x."""
    axis = channel_axis(x.shape)
    return vector.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def _factors_near_one(name: str) -> tuple[float, float]:
    """Return the distribution of the learned tensors of a norm: its factors have a mean of 1."""
    return (1.0 if name == "weight" else 0.0), SMALL


@dataclass(frozen=True, slots=True)
class _Norm(SameShape):
    """Divided by a square root of a variance or a mean, plus ``eps``."""

    eps: float = 1e-5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise ProblemError(f"eps={shown(self.eps)}: must be finite and not negative")


@dataclass(frozen=True, slots=True)
class BatchNorm(_Norm):
    """(x - mean) / sqrt(variance + eps) x weight + bias, per channel of (n, c, h, w) or (n, c).

    Mean and variance come from the training data (Ioffe & Szegedy 2015): they are buffers, not
    parameters. Per element, a factor and a term remain: two steps.
    """

    kind: ClassVar[str] = "batch norm"
    steps: ClassVar[int] = 2
    is_per_channel: ClassVar[bool] = True
    is_foldable: ClassVar[bool] = True

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` and ``bias`` (c,)."""
        return {"weight": self._vector(inputs), "bias": self._vector(inputs)}

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``running_mean`` and ``running_var`` (c,)."""
        return {"running_mean": self._vector(inputs), "running_var": self._vector(inputs)}

    def _vector(self, inputs: tuple[Shape, ...]) -> Shape:
        x = self.output(*inputs)
        if len(x) not in (2, IMAGE_AXES):
            raise self.misfit(x, "it needs an image (n, c, h, w) or features (n, c)")
        return (x[1],)

    def factor_and_term(self, tensors: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return weight / sqrt(variance + eps), and bias - mean x that factor."""
        exact = {name: array.astype(np.float64) for name, array in tensors.items()}
        factor = exact["weight"] / np.sqrt(exact["running_var"] + self.eps)
        return factor, exact["bias"] - exact["running_mean"] * factor

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 1 for the weight."""
        return _factors_near_one(name)

    def reference(self, *operands: Array) -> Array:
        """Return x normalised with the given mean and variance: nothing is folded."""
        x, *vectors = operands
        weight, bias, mean, variance = (_along_channels(vector, x) for vector in vectors)
        return (x - mean) / np.sqrt(variance + self.eps) * weight + bias


@dataclass(frozen=True, slots=True)
class LayerNorm(_Norm):
    """(x - mean) / sqrt(variance + eps) x weight + bias over the channels of a pixel or token.

    Ba, Kiros & Hinton 2016. Steps: 1 for the mean, 3 for the variance (a difference, its square,
    their sum), 1 to normalise, 1 for the weight and 1 for the bias, where there is one.
    """

    kind: ClassVar[str] = "layer norm"
    steps: ClassVar[int] = 6

    bias: bool = True

    def flops(self, *inputs: Shape) -> int:
        """Return the steps for every element."""
        return (self.steps + self.bias) * math.prod(self.output(*inputs))

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` and, where there is one, ``bias`` (c,)."""
        names = ("weight", "bias") if self.bias else ("weight",)
        return dict.fromkeys(names, (channels(self.output(*inputs)),))

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 1 for the weight."""
        return _factors_near_one(name)

    def reference(self, *operands: Array) -> Array:
        """Return every row normalised with its own mean and variance."""
        x, *vectors = operands
        weight, *bias = (_along_channels(vector, x) for vector in vectors)
        axis = channel_axis(x.shape)
        mean, variance = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
        result: Array = (x - mean) / np.sqrt(variance + self.eps) * weight
        return result + bias[0] if bias else result


@dataclass(frozen=True, slots=True)
class RmsNorm(_Norm):
    """x / sqrt(mean of squares + eps) x weight over the channels of a token.

    Zhang & Sennrich 2019. Steps: 2 for the mean (a square and a sum), 1 to normalise, 1 for the
    weight.
    """

    kind: ClassVar[str] = "rms norm"
    steps: ClassVar[int] = 4

    eps: float = 1e-6

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (c,)."""
        x = self.output(*inputs)
        if len(x) >= IMAGE_AXES:
            raise self.misfit(x, "it needs features (n, c) or tokens (n, t, c)")
        return {"weight": (channels(x),)}

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 1 for the weight."""
        return _factors_near_one(name)

    def reference(self, *operands: Array) -> Array:
        """Return every row divided by the root of its mean square."""
        x, weight = operands
        square = np.mean(x * x, -1, keepdims=True)
        result: Array = x / np.sqrt(square + self.eps) * weight
        return result


@dataclass(frozen=True, slots=True)
class InstanceNorm(_Norm):
    """(x - mean) / sqrt(variance + eps) x weight + bias, over the pixels of each channel.

    Ulyanov, Vedaldi & Lempitsky 2016: every image has statistics of its own. Steps as for the
    layer norm.
    """

    kind: ClassVar[str] = "instance norm"
    steps: ClassVar[int] = 7

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        return self.image(*inputs)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` and ``bias`` (c,)."""
        return dict.fromkeys(("weight", "bias"), (self.output(*inputs)[1],))

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 1 for the weight."""
        return _factors_near_one(name)

    def reference(self, *operands: Array) -> Array:
        """Return every channel of every image normalised with its own mean and variance."""
        x, *vectors = operands
        weight, bias = (_along_channels(vector, x) for vector in vectors)
        mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
        result: Array = (x - mean) / np.sqrt(variance + self.eps) * weight + bias
        return result


@dataclass(frozen=True, slots=True)
class ResponseNorm(SameShape):
    """x / (bias + alpha / size x sum of squares)^beta of an image, over ``size`` channels.

    The local response norm of Krizhevsky et al. 2012: the window has floor((size - 1) / 2) channels
    before a pixel's own and ceil((size - 1) / 2) after it, less at the ends. Nothing is learned.
    ``beta`` is a multiple of 1/4 (0.75 is published), so that square roots compute the power.
    """

    kind: ClassVar[str] = "response norm"

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.size <= _WIDEST:
            raise ProblemError(f"size={shown(self.size)}: must be 1 to {_WIDEST}")
        if self.beta not in _POWERS:
            raise ProblemError(f"beta={shown(self.beta)}: must be a multiple of 1/4 up to 2")
        if not (math.isfinite(self.alpha + self.bias) and self.alpha >= 0 and self.bias > 0):
            raise ProblemError(
                f"alpha={shown(self.alpha)} and bias={shown(self.bias)}: must be finite, "
                "alpha not negative and bias more than 0"
            )

    @property
    def text(self) -> str:
        """``response norm 5``."""
        return f"{self.kind} {self.size}"

    @property
    def window(self) -> tuple[int, int]:
        """Channels before a pixel's own, and after it."""
        return (self.size - 1) // 2, self.size // 2

    def output(self, *inputs: Shape) -> Shape:
        """Return the same shape."""
        return self.image(*inputs)

    def flops(self, *inputs: Shape) -> int:
        """Return size + 4 steps per element.

        A square, size - 1 sums, a factor, a term, a power and a division.
        """
        return (self.size + 4) * math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return x divided by the power of a padded sliding sum of squares."""
        (x,) = operands
        before, after = self.window
        squares = np.pad(x * x, ((0, 0), (before, after), (0, 0), (0, 0)))
        total = sliding_window_view(squares, self.size, 1).sum(-1)
        result: Array = x / (self.bias + self.alpha / self.size * total) ** self.beta
        return result


@dataclass(frozen=True, slots=True)
class Softmax(SameShape):
    """exp(x - max) / sum along the last axis: five steps for every element."""

    kind: ClassVar[str] = "softmax"
    keeps_images: ClassVar[bool] = False
    steps: ClassVar[int] = 5

    def reference(self, *operands: Array) -> Array:
        """Return the softmax; the largest element is subtracted first, or exp would overflow."""
        (x,) = operands
        powers: Array = np.exp(x - x.max(-1, keepdims=True))
        result: Array = powers / powers.sum(-1, keepdims=True)
        return result


@dataclass(frozen=True, slots=True)
class LogSoftmax(SameShape):
    """x - max - log(sum of exp(x - max)) along the last axis: five steps for every element."""

    kind: ClassVar[str] = "log softmax"
    keeps_images: ClassVar[bool] = False
    steps: ClassVar[int] = 5

    def reference(self, *operands: Array) -> Array:
        """Return the logarithm of the softmax, without the softmax, which may be too small."""
        (x,) = operands
        below: Array = x - x.max(-1, keepdims=True)
        result: Array = below - np.log(np.exp(below).sum(-1, keepdims=True))
        return result


@dataclass(frozen=True, slots=True)
class LayerScale(SameShape):
    """A learned factor per channel (Touvron et al. 2021, CaiT)."""

    kind: ClassVar[str] = "layer scale"
    steps: ClassVar[int] = 1
    is_per_channel: ClassVar[bool] = True
    is_foldable: ClassVar[bool] = True

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (c,)."""
        return {"weight": (channels(self.output(*inputs)),)}

    def factor_and_term(self, tensors: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the learned factor, and 0."""
        factor = tensors["weight"].astype(np.float64)
        return factor, np.zeros(len(factor))

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 0.3."""
        return 0.3, SMALL

    def reference(self, *operands: Array) -> Array:
        """Return x times the factor of its channel."""
        x, weight = operands
        return x * _along_channels(weight, x)


@dataclass(frozen=True, slots=True)
class Bias(SameShape):
    """A learned term per channel."""

    kind: ClassVar[str] = "bias"
    steps: ClassVar[int] = 1
    is_per_channel: ClassVar[bool] = True
    is_foldable: ClassVar[bool] = True

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``bias`` (c,)."""
        return {"bias": (channels(self.output(*inputs)),)}

    def factor_and_term(self, tensors: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return 1, and the learned term."""
        term = tensors["bias"].astype(np.float64)
        return np.ones(len(term)), term

    def reference(self, *operands: Array) -> Array:
        """Return x plus the term of its channel."""
        x, bias = operands
        return x + _along_channels(bias, x)
