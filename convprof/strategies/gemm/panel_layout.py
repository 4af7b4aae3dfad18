"""The order of the elements of packed panels, for sums with one or several elements per step.

An instruction for bf16 adds the products of two neighbouring elements of a row of ``a`` and of a
column of ``b`` to one sum (k-pairs); for int8, of four (k-quads). The elements of such a group are
next to each other in memory, and zeros fill the last group:

    a (m, k)  ->  rows    (m, steps, group)
    b (k, n)  ->  panels  (panels, steps, width, group)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convprof.integers import ceil_div, round_up

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class PanelLayout:
    """The panels of a matrix ``b (k, n)`` and the rows of the ``a (m, k)`` that multiplies them."""

    k: int
    width: int
    """Columns of a panel."""
    k_group: int = 1
    """Elements of a sum per step: 1 for f32 and f64, 2 for bf16, 4 for int8."""

    @property
    def steps(self) -> int:
        """Steps of a sum."""
        return ceil_div(self.k, self.k_group)

    @property
    def depth(self) -> int:
        """Elements of a row of ``a``, or of a column of ``b``, in whole groups."""
        return round_up(self.k, self.k_group)

    @property
    def step_elements(self) -> int:
        """Elements from one step of a panel to the next."""
        return self.width * self.k_group

    @property
    def elements(self) -> int:
        """Elements of a panel."""
        return self.depth * self.width

    def rows(self, a: Array) -> Array:
        """Return ``a (..., m, k)`` as ``(..., steps, group)``."""
        whole = filled_up(a, a.shape[-2], self.depth)
        return whole.reshape(*a.shape[:-1], self.steps, self.k_group)

    def panels(self, b: Array) -> Array:
        """Return ``b (..., k, n)`` as ``(..., panels, steps, width, group)``."""
        *batch, _, n = b.shape
        count = ceil_div(n, self.width)
        whole = filled_up(b, self.depth, count * self.width)
        apart = whole.reshape(*batch, self.steps, self.k_group, count, self.width)
        first = len(batch)
        steps, group, panel, column = range(first, first + 4)
        return apart.transpose(*range(first), panel, steps, column, group)


def filled_up(matrices: Array, rows: int, columns: int) -> Array:
    """Return the matrices as ``(..., rows, columns)``, with zeros at their ends."""
    if matrices.shape[-2:] == (rows, columns):
        return matrices
    whole = np.zeros((*matrices.shape[:-2], rows, columns), matrices.dtype)
    whole[..., : matrices.shape[-2], : matrices.shape[-1]] = matrices
    return whole
