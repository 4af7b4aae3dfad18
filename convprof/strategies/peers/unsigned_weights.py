"""Weights of 8 and 4 bits as libraries store them: unsigned numbers with zero points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.grouped_weights import GroupedWeights

    Array = np.ndarray[Any, Any]


BYTE = 8
"""Bits of a byte: other weights share one."""


@dataclass(frozen=True)
class Unsigned:
    """Weights, of which the ones without zero points have the middle of their range as such."""

    whole: Array
    """u8 ``(k, n)``."""
    scales: Array
    """f32 ``(groups, n)``."""
    zeros: Array
    """u8 ``(groups, n)``."""
    bits: int

    @classmethod
    def of(cls, weights: GroupedWeights, stored: Sequence[Array], k: int) -> Unsigned:
        """Return the weights of columns of ``k``. ``stored``: the operands of the problem."""
        half = 1 << (weights.bits - 1)
        signed = weights.whole(stored[0], k)
        whole = (signed.astype(np.int16) + half).astype(np.uint8)
        scales = stored[1]
        zeros = stored[2] if weights.has_zero_points else np.full(scales.shape, half, np.uint8)
        return cls(whole, scales, zeros, weights.bits)

    def packed(self, numbers: Array) -> Array:
        """Return bytes of numbers of 8 or 4 bits along the last axis, the lower half first."""
        if self.bits == BYTE:
            return numbers
        even = numbers if numbers.shape[-1] % 2 == 0 else np.pad(numbers, ((0, 0), (0, 1)))
        halves: Array = even[..., ::2] | even[..., 1::2] << 4
        return halves
