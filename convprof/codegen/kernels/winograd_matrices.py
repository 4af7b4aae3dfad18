"""The matrices of F(m, taps) in one dimension, for floats and for whole numbers.

A dimension of a filter of ``r`` taps at a stride is a sum over phases: phase ``p`` has every
``stride``-th tap and every ``stride``-th input, from ``p``. It is a convolution of stride 1 with
``taps = ceil(r / stride)`` taps, or one fewer. All phases have the points of F(m, taps), so their
products at a frequency are added, and one output transform serves all. A phase of one tap fewer is
0 at infinity.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

Matrix = tuple[tuple[float, ...], ...]


class Phase(NamedTuple):
    """Every ``stride``-th input of a tile, and the taps that it meets."""

    first: int
    """The first input of the tile, and the first tap of the filter."""
    steps: tuple[Matrix, ...]
    """The matrices of the input transform, in their order."""
    g: Matrix

    @property
    def size(self) -> int:
        """Transformed inputs."""
        return len(self.g)

    @property
    def inputs(self) -> int:
        """Inputs of the phase."""
        return len(self.steps[0][0])

    @property
    def additions(self) -> int:
        """Additions of the input transform of a vector of inputs."""
        return sum(map(_additions, self.steps))


@dataclass(frozen=True)
class Algorithm:
    """F(m, taps) of a filter of ``r`` taps at a stride."""

    m: int
    """Outputs of a tile."""
    bt: Matrix
    g: Matrix
    at: Matrix
    transform_cycles: float | None = None
    """Cycles of both transforms of a tile, of a vector of channels each, as measured."""
    factor: int = 1
    """Whole filters are multiplied by it, so results are divided by it."""
    bt_steps: tuple[Matrix, ...] = ()
    """Matrices that give ``bt`` one after the other, if they need fewer operations."""
    narrower: Algorithm | None = None
    """F(m - 1) at the same points but one, so that it uses the same transformed filters."""
    left_out: int | None = None
    """The frequency of F(m + 1) that F(m), as the narrower one, does not have."""
    r: int = 3
    """Taps of the filter."""
    stride: int = 1

    @property
    def taps(self) -> int:
        """Taps of the phases that have the most."""
        return len(self.g[0])

    @property
    def size(self) -> int:
        """Frequencies: m + taps - 1."""
        return len(self.g)

    @property
    def inputs(self) -> int:
        """Inputs of a tile."""
        return self.stride * (self.m - 1) + self.r

    @property
    def frequencies(self) -> int:
        """Frequencies of the filters: of F(m), or for the narrower F(m) of F(m + 1)."""
        return self.size + (self.left_out is not None)

    @property
    def places(self) -> tuple[int, ...]:
        """The frequencies of the filters that the tile uses."""
        return tuple(place for place in range(self.frequencies) if place != self.left_out)

    @functools.cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the inputs: first the ones with the most taps."""
        steps = self.bt_steps or (self.bt,)
        longest = self.r - self.stride * (self.taps - 1)
        fewer_taps = _without_last_input(steps), tuple(row[:-1] for row in self.g[:-1])
        return tuple(
            Phase(first, *((steps, self.g) if first < longest else fewer_taps))
            for first in range(min(self.stride, self.r))
        )

    @functools.cached_property
    def phases_at(self) -> tuple[int, ...]:
        """The number of phases whose products are added at each frequency."""
        return tuple(sum(i < each.size for each in self.phases) for i in range(self.size))

    @property
    def elements(self) -> int:
        """Transformed inputs of a tile, of all phases."""
        return sum(self.phases_at)

    @property
    def is_unit(self) -> bool:
        """Whether all points are 0, 1, -1 and infinity, so that transforms add and subtract only.

        Then rounded transformed numbers have nearly the errors of rounded operands.
        """
        return all(abs(number) <= 1 for row in self.at for number in row)

    @property
    def output_additions(self) -> int:
        """Additions of the output transform of a vector of products."""
        return _additions(self.at)


Axes = tuple[Algorithm, Algorithm]
"""The algorithms of a tile, down and across."""


def input_operations(down: Algorithm, across: Algorithm) -> tuple[int, int]:
    """Return the additions, and the loads and stores, of the input transform of a tile."""
    additions = sum(
        i.additions * j.inputs + j.additions * i.size for i in down.phases for j in across.phases
    )
    return additions, down.inputs * across.inputs + down.elements * across.elements


def output_operations(down: Algorithm, across: Algorithm) -> tuple[int, int]:
    """Return the additions, and the loads and stores, of the output transform of a tile."""
    additions = down.output_additions * across.size + across.output_additions * down.m
    return additions, down.size * across.size + down.m * across.m


def quotient(factor: int) -> tuple[int, int]:
    """Return the number to multiply with and the bits to shift to the right: divides by a factor.

    For multiples of it that are known modulo 2^32. The odd part of the divisor has an inverse
    modulo 2^32. The power of two is shifted out, so quotients have fewer bits.
    """
    shift = (factor & -factor).bit_length() - 1
    return pow(factor >> shift, -1, 1 << 32), shift


def _without_last_input(steps: tuple[Matrix, ...]) -> tuple[Matrix, ...]:
    """Return the matrices for one input fewer: without all rows that need the last input."""
    shorter, unknown = [], {len(steps[0][0]) - 1}
    for matrix in steps:
        needing = {i for i, row in enumerate(matrix) if any(row[j] for j in unknown)}
        known = [j for j in range(len(matrix[0])) if j not in unknown]
        rows = (row for i, row in enumerate(matrix) if i not in needing)
        shorter.append(tuple(tuple(row[j] for j in known) for row in rows))
        unknown = needing
    return tuple(shorter)


def _additions(matrix: Matrix) -> int:
    """Return the additions of a product of the matrix and a vector."""
    return sum(sum(x != 0 for x in row) - 1 for row in matrix)
