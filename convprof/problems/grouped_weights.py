"""Weights of 8 or 4 bits with a scale for each group of a column, as language models store them.

    b[t, j] = scales[t // group, j] * (whole[t, j] - zeros[t // group, j])

An int8 is a number of s8. Two int4 share a byte: rows 2t (low half) and 2t + 1 (high half), each a
number from 0 to 15 that means -8 to 7. They are symmetric: there are no zero points, a weight of 0
is 0, or 8 of an int4. A uint8 or uint4 (GPTQ, AWQ, ``MatMulNBits`` of ONNX Runtime) has a zero
point for each group of a column, a byte each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.dtypes import DTYPES, listed
from convprof.errors import ProblemError
from convprof.integers import ceil_div
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.tensors import Array

WIDTHS = {"int8": 8, "int4": 4, "uint8": 8, "uint4": 4}
"""Bits of a weight, by name."""
SYMMETRIC = ("int8", "int4")
"""The types without zero points."""
GROUPS = (16, 32, 64, 128, 256)
DEFAULT_GROUP = 128
CHANNEL = 0
"""The group of weights with one scale per column: it becomes the length of the column."""
SCALES, ZEROS = "scales", "zeros"
"""The operands, and the buffers, of the scales and of the zero points."""
ZERO = 8
"""The half byte that means 0."""


@dataclass(frozen=True, slots=True)
class GroupedWeights:
    """The type of such weights; ProblemError for an unknown type."""

    dtype: str
    group: int
    """Neighbouring elements of a column that share a scale; ``CHANNEL``: all of them."""

    def __post_init__(self) -> None:
        if self.dtype not in WIDTHS:
            raise ProblemError(
                f"use {listed(WIDTHS, 'or')}", field="weight_dtype", value=self.dtype
            )

    @property
    def bits(self) -> int:
        """Bits of a weight, without its part of a scale."""
        return WIDTHS[self.dtype]

    @property
    def has_zero_points(self) -> bool:
        """Whether a weight of a group is 0 where it is the group's zero point."""
        return self.dtype not in SYMMETRIC

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the operands after the weights."""
        return (SCALES, ZEROS) if self.has_zero_points else (SCALES,)

    def of_columns(self, k: int) -> GroupedWeights:
        """Return the weights of columns of ``k``; ProblemError for a group they cannot have."""
        if self.group == CHANNEL:
            return GroupedWeights(self.dtype, k)
        if self.group not in (*GROUPS, k):
            sizes = ", ".join(map(str, GROUPS))
            raise ProblemError(
                f"use one of {sizes}, or channel for a scale per column",
                field="group",
                value=self.group,
            )
        return self

    def operands(self, k: int, n: int) -> tuple[TensorSpec, ...]:
        """Return the weights of a ``b (k, n)``, their scales and zero points, as in memory."""
        per_byte = 8 // self.bits
        stored = DTYPES["u8" if per_byte > 1 or self.has_zero_points else "s8"]
        shape = (ceil_div(k, self.group), n)
        specs = (
            TensorSpec("b", (ceil_div(k, per_byte), n), None, stored, constant=True),
            TensorSpec(SCALES, shape, None, DTYPES["f32"], constant=True, positive=True),
        )
        if not self.has_zero_points:
            return specs
        most = (0.0, (1 << self.bits) - 1.0)
        zeros = TensorSpec(ZEROS, shape, None, DTYPES["u8"], constant=True, limits=most)
        return (*specs, zeros)

    def whole(self, weights: Array, k: int) -> Array:
        """Return the whole numbers (k, n) of the weights in memory, as if they were symmetric."""
        import numpy as np  # late: `convprof --help` must not load it

        if self.bits == WIDTHS["int8"]:
            return weights if not self.has_zero_points else (weights ^ 128).view(np.int8)
        halves = np.stack([weights & 15, weights >> 4], axis=1).astype(np.int8)
        whole: Array = halves.reshape(-1, weights.shape[-1])[:k] - ZERO
        return whole

    def dequantised(self, stored: Sequence[Array], k: int) -> Array:
        """Return ``b (k, n)`` in float64. ``stored``: the operands, or the same columns of each."""
        import numpy as np  # late: `convprof --help` must not load it

        weights, scales, *zeros = stored
        whole = self.whole(weights, k).astype(np.float64)
        for each in zeros:
            distance = each.astype(np.float64) - (1 << (self.bits - 1))
            whole -= np.repeat(distance, self.group, axis=0)[:k]
        product: Array = whole * np.repeat(scales.astype(np.float64), self.group, axis=0)[:k]
        return product
