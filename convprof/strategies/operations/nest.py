"""Loops over arrays that lie anyhow: sizes, and a stride per array and axis; as few as can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.operation import IMAGE_AXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.problems.operation import Operation, Shape

    Offsets = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Nest:
    """``sizes`` of the axes and for each array ``strides`` in elements, 0 where it is repeated."""

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    def joined(self) -> Nest:
        """Return the same loops, the last array's smallest stride innermost, as few as can be.

        Axes of 1 are left out, and neighbours are joined where all arrays allow it.
        """
        order = sorted(range(len(self.sizes)), key=lambda axis: -self.strides[-1][axis])
        axes: list[tuple[int, tuple[int, ...]]] = []
        for axis in order:
            size = self.sizes[axis]
            steps = tuple(strides[axis] for strides in self.strides)
            if size == 1:
                continue
            if axes and axes[-1][1] == tuple(size * step for step in steps):
                axes[-1] = (axes[-1][0] * size, steps)
            else:
                axes.append((size, steps))
        if not axes:
            axes.append((1, tuple(1 for _ in self.strides)))
        sizes, steps_of = zip(*axes, strict=True)
        return Nest(sizes, tuple(zip(*steps_of, strict=True)))

    def offsets(self, axes: Iterable[int]) -> list[Offsets]:
        """Return for each array where the loops over these axes get, in their order."""
        chosen = list(axes)
        sizes = [self.sizes[axis] for axis in chosen]
        grid = np.indices(sizes).reshape(len(sizes), math.prod(sizes)) if sizes else None
        if grid is None:
            return [np.zeros(1, np.int64) for _ in self.strides]
        return [
            np.asarray([strides[axis] for axis in chosen]) @ grid  # whole numbers
            for strides in self.strides
        ]


def row_major(shape: Shape) -> tuple[int, ...]:
    """Return the strides of an array that is dense and in order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def lying(shape: Shape, *, image: bool, layout: str) -> tuple[int, ...]:
    """Return the strides of an activation of a logical shape, which may be an image in NHWC."""
    if not image or layout == "nchw":
        return row_major(shape)
    _, c, h, w = shape
    return h * w * c, 1, w * c, c


def inputs_lying(problem: Operation, layout: str) -> list[tuple[int, ...]]:
    """Return the strides of each activation that an operation reads."""
    return [
        lying(shape, image=problem.laid_out and len(shape) == IMAGE_AXES, layout=layout)
        for shape in problem.inputs
    ]


def result_lying(problem: Operation, layout: str) -> tuple[int, ...]:
    """Return the strides of its result."""
    return lying(problem.output, image=problem.gives_image, layout=layout)


def parts(extent: int, most: int) -> list[tuple[int, int]]:
    """Return ``(first, length)`` of pieces of ``most``, the last one what is left."""
    return [(first, min(most, extent - first)) for first in range(0, extent, most)]


def repeated(strides: Sequence[int], shape: Shape) -> tuple[int, ...]:
    """Return the strides with 0 along the axes of one element, which are repeated."""
    return tuple(0 if size == 1 else stride for stride, size in zip(strides, shape, strict=True))
