"""Operations that are a convolution or a matrix product: where nearly all the time goes."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.checks import finite, size
from convprof.problems.conv2d import Conv2d
from convprof.problems.epilogue import Epilogue
from convprof.problems.gemm import Gemm
from convprof.problems.ops.base import Array, Op, window_text
from convprof.problems.shapes import Shape, channels

if TYPE_CHECKING:
    from convprof.dtypes import Types

__all__ = ["Convolution", "Linear", "MatMul", "Product", "Weighted"]


class Product(Op):
    """An operation that has a problem; besides the MACs, all results take equally many steps."""

    __slots__ = ()

    @abstractmethod
    def problem(self, *inputs: Shape) -> Conv2d | Gemm:
        """Return the problem, without bias and name."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps per element of the result besides the MACs: a bias added, a factor applied."""

    def flops(self, *inputs: Shape) -> int:
        """Return 2 per MAC and the steps per element of the result."""
        return self.problem(*inputs).flops + self.steps * math.prod(self.output(*inputs))

    def bytes_min(self, types: Types, *inputs: Shape) -> int:
        """Return the bytes of the problem and of a bias."""
        bias = self.weights(*inputs).get("bias", (0,))
        return self.problem(*inputs).bytes_min(types) + types.accumulator.bytes * math.prod(bias)


class Weighted(Product):
    """A product of an activation and a learned ``weight``, and, if ``bias``, a learned bias.

    A strategy computes it as a problem of its own. No other op is computed in that way.
    """

    __slots__ = ()

    is_layer: ClassVar[bool] = True

    bias: bool

    @property
    def steps(self) -> int:
        """One for the bias."""
        return int(self.bias)

    @abstractmethod
    def fan_in(self, weight: Shape) -> int:
        """Return the products behind one result, from the shape of the weight."""

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:
        """Return the standard deviation that gives results the variance ``gain``."""
        if name == "weight":
            return 0.0, math.sqrt(gain / self.fan_in(shape))
        return super().distribution(name, shape, gain)

    def layer(self, *inputs: Shape) -> Conv2d | Gemm:
        """Return the problem with the bias in its epilogue."""
        return replace(self.problem(*inputs), epilogue=Epilogue(bias=self.bias))


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Weighted):
    """(n, c, h, w) -> (n, k, p, q); the fields are the fields of Conv2d."""

    kind: ClassVar[str] = "conv"
    makes_images: ClassVar[bool] = True

    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] | tuple[int, int, int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = False

    @classmethod
    def square(
        cls,
        k: int,
        side: int,
        *,
        stride: int = 1,
        pad: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Convolution:
        """Return a filter of side x side; without ``pad``, a stride of 1 keeps the image's size."""
        around = side // 2 if pad is None else pad
        return cls(
            k=k,
            r=side,
            s=side,
            stride=(stride, stride),
            pad=(around, around),
            groups=groups,
            bias=bias,
        )

    @property
    def text(self) -> str:
        """``conv 3x3 s2``, ``conv 3x3 g32``: filter, stride and groups where they are not 1."""
        groups = f" g{self.groups}" if self.groups > 1 else ""
        return f"{self.kind} {window_text(self.r, self.s, self.stride)}{groups}"

    def problem(self, *inputs: Shape) -> Conv2d:
        """Return the convolution of an image of that shape."""
        n, c, h, w = self.image(*inputs)
        return Conv2d(
            n=n,
            c=c,
            h=h,
            w=w,
            k=self.k,
            r=self.r,
            s=self.s,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
            groups=self.groups,
        )

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, k, p, q)."""
        return self.problem(*inputs).y_shape("nchw")

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (k, c / groups, r, s) and ``bias`` (k,)."""
        weight: dict[str, Shape] = {"weight": self.problem(*inputs).weight_shape}
        return weight | ({"bias": (self.k,)} if self.bias else {})

    def with_bias(self) -> Convolution:
        """Return the same convolution with a bias."""
        return replace(self, bias=True)

    def along_results(self, vector: Array) -> Array:
        """Return the vector as (k, 1, 1, 1)."""
        return vector[:, None, None, None]

    def fan_in(self, weight: Shape) -> int:
        """Return c / groups x r x s."""
        return math.prod(weight[1:])

    def reference(self, *operands: Array) -> Array:
        """Return the convolution plus the bias."""
        x, weight, *bias = operands
        product = self.problem(x.shape).reference((x, weight))
        return product + bias[0][:, None, None] if bias else product


@dataclass(frozen=True, slots=True)
class Linear(Weighted):
    """(..., k) -> (..., outputs): every row times the same matrix. An image has no rows."""

    kind: ClassVar[str] = "linear"
    keeps_images: ClassVar[bool] = False

    outputs: int
    bias: bool = True

    @property
    def without_size(self) -> Linear:
        """The layer of one result."""
        return self.of_size(1)

    def of_size(self, outputs: int) -> Linear:
        """Return the same layer with another number of results."""
        return replace(self, outputs=outputs)

    def problem(self, *inputs: Shape) -> Gemm:
        """Return the product of all rows, of all images, with the matrix."""
        (x,) = self.checked(inputs)
        if len(x) not in (2, 3):
            raise self.misfit(x, "it needs features (n, c) or tokens (n, t, c)")
        return Gemm(m=math.prod(x[:-1]), n=self.outputs, k=x[-1])

    def output(self, *inputs: Shape) -> Shape:
        """Return the input's shape with as many channels as there are outputs."""
        return (*inputs[0][:-1], self.problem(*inputs).n)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (inputs, outputs), the problem's B, and ``bias`` (outputs,)."""
        weight: dict[str, Shape] = {"weight": (channels(inputs[0]), self.problem(*inputs).n)}
        return weight | ({"bias": (self.outputs,)} if self.bias else {})

    def with_bias(self) -> Linear:
        """Return the same product with a bias."""
        return replace(self, bias=True)

    def fan_in(self, weight: Shape) -> int:
        """Return the number of inputs."""
        return weight[0]

    def reference(self, *operands: Array) -> Array:
        """Return the product plus the bias."""
        x, weight, *bias = operands
        product = self.problem(x.shape).reference((x, weight)).reshape(self.output(x.shape))
        return product + bias[0] if bias else product


@dataclass(frozen=True, slots=True)
class MatMul(Product):
    """``scale`` x a (..., m, k) @ b (..., k, n): two activations, as many products as they hold.

    With ``transpose_b``, b is (..., n, k).
    """

    kind: ClassVar[str] = "matmul"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 2

    transpose_b: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        finite(scale=self.scale)

    @property
    def steps(self) -> int:
        """One for the factor."""
        return int(self.scale != 1.0)

    def problem(self, *inputs: Shape) -> Gemm:
        """Return the products as one batch."""
        a, b = self.checked(inputs)
        k, n = (b[-1:], b[-2:-1]) if self.transpose_b else (b[-2:-1], b[-1:])
        if len(a) < len(("m", "k")) or a[:-2] != b[:-2] or a[-1:] != k or not n:
            raise self.misfit(b, f"it does not fit the first input {a}")
        return Gemm(m=a[-2], n=n[0], k=a[-1], batch=size("batch", math.prod(a[:-2])))

    def output(self, *inputs: Shape) -> Shape:
        """Return (..., m, n)."""
        problem = self.problem(*inputs)
        return (*inputs[0][:-2], problem.m, problem.n)

    def reference(self, *operands: Array) -> Array:
        """Return the batch of products times the factor."""
        a, b = operands
        product: Array = self.scale * np.matmul(a, b.swapaxes(-1, -2) if self.transpose_b else b)
        return product
