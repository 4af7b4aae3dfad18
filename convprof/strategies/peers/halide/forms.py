"""The order of an array in memory, as a word: one letter per axis, the outermost first.

A capital is the blocks of the axis whose small letter comes last: ``gKrsck`` is (groups, blocks of
output channels, r, s, c, output channels within a block).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """An order of axes, the last of them cut into blocks of ``width`` if there is a capital."""

    order: str
    width: int = 1

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in memory, for the size of each axis."""
        return tuple(self._extent(axis, sizes) for axis in self.order)

    def at(self, place: Mapping[str, Any]) -> list[Any]:
        """Return the indices of the element at ``place``, innermost first as in Halide."""
        return [self._index(axis, place) for axis in reversed(self.order)]

    def arranged(self, array: Array, axes: str) -> Array:
        """Return ``array``, whose axes are ``axes``, in this form; blocks are filled with zeros.

        The result is a view where nothing moves.
        """
        names = axes
        if self._blocked:
            last = self.order[-1]
            where = axes.index(last)
            extent = array.shape[where]
            missing = -extent % self.width
            array = np.pad(array, [(0, missing if a == last else 0) for a in axes])
            shape = array.shape
            blocks = (extent + missing) // self.width
            array = array.reshape(*shape[:where], blocks, self.width, *shape[where + 1 :])
            names = axes.replace(last, last.upper() + last)
        return np.ascontiguousarray(array.transpose([names.index(axis) for axis in self.order]))

    @property
    def _blocked(self) -> bool:
        return not self.order.islower()

    def _extent(self, axis: str, sizes: Mapping[str, int]) -> int:
        if axis.isupper():
            return ceil_div(sizes[axis.lower()], self.width)
        return self.width if self._is_within(axis) else sizes[axis]

    def _index(self, axis: str, place: Mapping[str, Any]) -> Any:
        if axis.isupper():
            return place[axis.lower()] // self.width
        return place[axis] % self.width if self._is_within(axis) else place[axis]

    def _is_within(self, axis: str) -> bool:
        return self._blocked and axis == self.order[-1]
