"""Weights of 8 or 4 bits with a scale for each group of a column, as language models store them.

    b[t, j] = scales[t // group, j] * whole[t, j]

An int8 is a number of s8. Two int4 share a byte: rows 2t (low half) and 2t + 1 (high half), each a
number from 0 to 15 that means -8 to 7. Scales are symmetric: 0 is 0, or 8 of an int4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.dtypes import DTYPES
from convprof.errors import ProblemError
from convprof.integers import ceil_div
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from convprof.problems.tensors import Array

WIDTHS = {"int8": 8, "int4": 4}
"""Bits of a weight, by name."""
GROUPS = (32, 64, 128)
SCALES = "scales"
"""The operand, and the buffer, of the scales."""
ZERO = 8
"""The half byte that means 0."""


@dataclass(frozen=True, slots=True)
class GroupedWeights:
    """The type of such weights; ProblemError for an unknown type or group."""

    dtype: str
    group: int
    """Neighbouring elements of a column that share a scale."""

    def __post_init__(self) -> None:
        if self.dtype not in WIDTHS:
            raise ProblemError(f"use {' or '.join(WIDTHS)}", field="weight_dtype", value=self.dtype)
        if self.group not in GROUPS:
            sizes = ", ".join(map(str, GROUPS))
            raise ProblemError(f"use one of {sizes}", field="group", value=self.group)

    @property
    def bits(self) -> int:
        """Bits of a weight, without its part of a scale."""
        return WIDTHS[self.dtype]

    def operands(self, k: int, n: int) -> tuple[TensorSpec, TensorSpec]:
        """Return the weights of a ``b (k, n)`` and their scales, as they are in memory."""
        per_byte = 8 // self.bits
        stored = DTYPES["s8" if per_byte == 1 else "u8"]
        weights = TensorSpec("b", (ceil_div(k, per_byte), n), None, stored, constant=True)
        scales = TensorSpec(
            SCALES, (ceil_div(k, self.group), n), None, DTYPES["f32"], constant=True, positive=True
        )
        return weights, scales

    def whole(self, weights: Array, k: int) -> Array:
        """Return the whole numbers (k, n) that the weights in memory mean."""
        if self.bits == WIDTHS["int8"]:
            return weights
        import numpy as np  # late: `convprof --help` must not load it

        halves = np.stack([weights & 15, weights >> 4], axis=1).astype(np.int8)
        whole: Array = halves.reshape(-1, weights.shape[-1])[:k] - ZERO
        return whole

    def dequantised(self, weights: Array, scales: Array, k: int) -> Array:
        """Return ``b (k, n)`` in float64."""
        import numpy as np  # late: `convprof --help` must not load it

        every = np.repeat(scales.astype(np.float64), self.group, axis=0)[:k]
        product: Array = self.whole(weights, k) * every
        return product
