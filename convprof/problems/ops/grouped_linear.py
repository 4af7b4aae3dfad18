"""A linear layer whose weights have 8 or 4 bits, with a scale for each group of a column."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.grouped_weights import SCALES, ZEROS, GroupedWeights
from convprof.problems.ops.products import Linear, Weighted
from convprof.problems.shapes import Shape, channels

if TYPE_CHECKING:
    from convprof.problems.gemm import Gemm
    from convprof.problems.ops.base import Array

__all__ = ["GroupedLinear"]

_SPREAD = {8: 20.0, 4: 3.5}
"""By bits, about the standard deviation of random weights from their zero point."""
_BYTE_SPREAD = 20.0
"""Of random bytes about the middle of their range, which they never leave."""


@dataclass(frozen=True, slots=True)
class GroupedLinear(Weighted):
    """Features (n, c) or tokens (n, t, c) times a matrix in 8 or 4 bits; without a bias.

    The learned tensors are the operands of ``GroupedWeights``.
    """

    kind: ClassVar[str] = "grouped linear"
    keeps_images: ClassVar[bool] = False
    has_real_weight: ClassVar[bool] = False

    outputs: int
    grouped_weights: GroupedWeights
    bias: bool = field(default=False, init=False)

    @property
    def text(self) -> str:
        """``linear uint4``."""
        return f"linear {self.grouped_weights.dtype}"

    def problem(self, *inputs: Shape) -> Gemm:
        """Return the product of all rows, of all images, with the matrix."""
        return Linear(self.outputs).problem(*inputs).with_grouped_weights(self.grouped_weights)

    def output(self, *inputs: Shape) -> Shape:
        """Return the input's shape with as many channels as there are outputs."""
        return (*inputs[0][:-1], self.problem(*inputs).n)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight``, ``scales`` and perhaps ``zeros``, as they are in memory."""
        product = self.problem(*inputs)
        of = self.grouped_weights.of_columns(product.k)
        specs = of.operands(product.k, product.n)
        return {name: spec.shape for name, spec in zip(product.parameters, specs, strict=True)}

    def parameters(self, *inputs: Shape) -> int:
        """Return the elements of the matrix that the tensors mean."""
        return channels(inputs[0]) * self.outputs

    def fan_in(self, weight: Shape) -> int:
        """Return the number of inputs, or one more where two share a byte."""
        return weight[0] * 8 // self.grouped_weights.bits

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:
        """Return the mean and the standard deviation of random bytes, scales and zero points."""
        bits, unsigned = self.grouped_weights.bits, self.grouped_weights.has_zero_points
        if name == SCALES:
            terms = shape[0] * self.grouped_weights.group
            return math.sqrt(gain / terms) / _SPREAD[bits], 0.0
        if name == ZEROS:
            return 2.0 ** (bits - 1), 0.0
        return (2.0**7 if unsigned or bits < 8 else 0.0), _BYTE_SPREAD  # noqa: PLR2004  # a byte

    def reference(self, *operands: Array) -> Array:
        """Return the product with the weights that the tensors mean."""
        x, stored, *factors = operands
        product = self.problem(x.shape)
        of = self.grouped_weights.of_columns(product.k)
        whole = stored.astype(of.operands(product.k, product.n)[0].dtype.array_type)
        matrix = of.dequantised((whole, *factors), product.k)
        y: Array = np.matmul(x.astype(np.float64), matrix)
        return y
