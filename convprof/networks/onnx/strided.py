"""Where the elements of a rearranged tensor lie in the one that it was made from.

Steps and offsets are in elements of the original, which lies in the order of its shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from convprof.networks.ops import Shape

Run: TypeAlias = tuple[int, int]
"""So many elements, so many steps apart."""


@dataclass(frozen=True, slots=True)
class Strided:
    """Every axis is a nest of runs, the outermost first; an axis of size 1 has none.

    Two axes that were put together need not lie evenly: images and heads as one axis are two runs.
    """

    axes: tuple[tuple[Run, ...], ...]
    offset: int = 0

    @classmethod
    def of(cls, shape: Shape, steps: tuple[int, ...], offset: int = 0) -> Strided:
        """Return a tensor each of whose axes is one run."""
        axes = (
            ((size, step),) if size > 1 else () for size, step in zip(shape, steps, strict=True)
        )
        return cls(tuple(axes), offset)

    @classmethod
    def whole(cls, shape: Shape) -> Strided:
        """Return a tensor as it lies."""
        return cls.of(shape, tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape))))

    def transposed(self, axes: tuple[int, ...]) -> Strided:
        """Return the axes in another order."""
        return Strided(tuple(self.axes[axis] for axis in axes), self.offset)

    def sliced(self, axis: int, start: int, stop: int) -> Strided | None:
        """Return part of an axis; None where that axis is more than one run."""
        runs = self.axes[axis]
        if len(runs) > 1:
            return None
        step = runs[0][1] if runs else 0
        part = ((stop - start, step),) if stop - start > 1 else ()
        axes = (*self.axes[:axis], part, *self.axes[axis + 1 :])
        return Strided(axes, self.offset + start * step)

    def reshaped(self, shape: Shape) -> Strided | None:
        """Return the same elements in another shape; None where a run would have to break."""
        left = _merged([run for axis in self.axes for run in axis])
        axes: list[tuple[Run, ...]] = []
        for size in reversed(shape):
            taken: list[Run] = []
            missing = size
            while missing > 1:
                if not left:
                    return None
                count, step = left.pop()
                used = math.gcd(count, missing)
                if used < min(count, missing):
                    return None
                if used < count:
                    left.append((count // used, step * used))
                taken.insert(0, (used, step))
                missing //= used
            axes.insert(0, tuple(taken))
        return Strided(tuple(axes), self.offset)

    def same(self, other: Strided) -> bool:
        """Whether every element is the same one of the original."""
        mine, theirs = ([_merged(list(axis)) for axis in each.axes] for each in (self, other))
        return (mine, self.offset) == (theirs, other.offset)


def _merged(runs: list[Run]) -> list[Run]:
    """Return the runs with those as one that lie one after the other."""
    merged: list[Run] = []
    for count, step in runs:
        if merged and merged[-1][1] == count * step:
            merged[-1] = (merged[-1][0] * count, step)
        else:
            merged.append((count, step))
    return merged
