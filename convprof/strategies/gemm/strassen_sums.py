"""The memory of a thread for Strassen's algorithm: left factors, and sums of products.

Both have the rows of one pass, and blocks for the inner levels: on two levels, a factor or a kept
sum of the outer level has four blocks, one for each block of the inner level.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.strassen import KEPT, STEPS, Blocks, Factor, Term
from convprof.integers import round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.dtypes import Types
    from convprof.problems import Gemm

ALIASED_BYTES = 2048
"""Rows of ``a`` a multiple of 2 KiB apart share two sets of L1."""
QUARTERS = tuple(itertools.product(range(2), repeat=2))
"""The blocks of a matrix on one level: down, across."""


def existing(size: int, block: int, number: int) -> int:
    """Return how many elements the ``number``-th block has, of ``size`` in blocks of ``block``."""
    return max(0, min(block, size - number * block))


class Cut(NamedTuple):
    """A part of a span, and which blocks exist in it."""

    span: range
    exist: list[bool]


def cuts(span: range, size: int, block: int, numbers: Sequence[int]) -> Iterator[Cut]:
    """Yield the parts of a span of a block in which the same ones of some blocks exist."""
    ends = [existing(size, block, number) for number in numbers]
    edges = sorted({span.start, span.stop, *(end for end in ends if end in span)})
    for lo, hi in itertools.pairwise(edges):
        yield Cut(range(lo, hi), [end >= hi for end in ends])


@dataclass(frozen=True)
class Levels:
    """Blocks for each level; level 0 is the outermost one."""

    count: int

    def blocks(self, level: int) -> int:
        """Return the blocks of one matrix of a level: one for each block of the inner levels."""
        return self.side(level) ** 2

    def side(self, level: int) -> int:
        """Return how many of these blocks are next to each other."""
        return 1 << self.count - 1 - level

    def before(self, level: int) -> int:
        """Return the blocks of the levels inside this one; they are first in memory."""
        return sum(map(self.blocks, range(level + 1, self.count)))

    @property
    def all(self) -> int:
        """The blocks of a matrix of each level."""
        return self.before(-1)


class Summed(NamedTuple):
    """A part of a left factor."""

    kernel: Factor
    target: int
    """Where it starts in the memory of the factors."""
    source: int
    """Where its blocks start in ``a``."""


class LeftFactors:
    """The left factors of the products of a pass, in the memory of its thread."""

    def __init__(self, whole: Gemm, block: Gemm, levels: int, rows: int, steps: int) -> None:
        """``rows`` and ``steps`` of a factor, at most; ``block``: the product of two blocks."""
        self._whole, self._block, self._rows, self._steps = whole, block, rows, steps
        self._levels = Levels(levels)

    def row(self, types: Types) -> int:
        """Return the elements from one row to the next: whole lines."""
        size = types.source.bytes
        line = LINE_BYTES // size
        row = round_up(self._steps, line)
        return row + (line if row * size % ALIASED_BYTES == 0 else 0)

    def elements(self, types: Types) -> int:
        """Return the elements of the factors of all levels."""
        return self._levels.all * self._rows * self.row(types)

    def needed(self, number: int) -> Iterator[tuple[int, Blocks]]:
        """Yield the levels whose factor is needed before a product, and the signs of its blocks.

        A factor of an outer level serves all products of the inner levels.
        """
        for level in range(self._levels.count):
            step, rest = divmod(number, len(STEPS) ** (self._levels.count - 1 - level))
            if rest == 0:
                yield level, STEPS[step % len(STEPS)].a

    def additions(self, number: int) -> int:
        """Return the additions for each element of a factor that is needed before a product."""
        return sum(
            self._levels.blocks(level) * (sum(map(abs, signs)) - 1)
            for level, signs in self.needed(number)
        )

    def summed(
        self, number: int, z: int, rows: range, steps: range, common: Factor
    ) -> Iterator[Summed]:
        """Yield the parts of the factors that are needed before a product, the outermost first."""
        size = self._rows * common.target_row
        for level, signs in self.needed(number):
            side = self._levels.side(level)
            for i, j in itertools.product(range(side), repeat=2):
                unit = self._levels.before(level) + i * side + j
                kernel = replace(common, signs=signs)
                if level == 0:
                    for part in self._outermost(kernel, z, (rows, steps), (i, j)):
                        yield part._replace(target=part.target + unit * size)
                    continue
                outer = self._levels.before(level - 1) - unit
                places = tuple(
                    (outer + (down * side + i) * 2 * side + across * side + j) * size
                    for down, across in QUARTERS
                )
                yield Summed(replace(kernel, places=places, inner=True), unit * size, 0)

    def _outermost(
        self, kernel: Factor, z: int, spans: tuple[range, range], block: tuple[int, int]
    ) -> Iterator[Summed]:
        """Yield the parts of a block of a factor that is a sum of blocks of ``a``."""
        g, whole, half, (i, j) = self._block, self._whole, self._levels.side(0), block
        rows, steps = spans
        down_cuts = cuts(rows, whole.m, g.m, (i, half + i))
        across_cuts = cuts(steps, whole.k, g.k, (j, half + j))
        for lower, right in itertools.product(down_cuts, across_cuts):
            row, column = lower.span.start, right.span.start
            places = tuple(
                half * (down * g.m * whole.k + across * g.k)
                if lower.exist[down] and right.exist[across]
                else None
                for down, across in QUARTERS
            )
            some = replace(
                kernel,
                places=places,
                rows=len(lower.span),
                columns=len(right.span),
                row=whole.k,
            )
            source = (z * whole.m + i * g.m + row) * whole.k + j * g.k + column
            target = (row - rows.start) * kernel.target_row + column - steps.start
            yield Summed(some, target, source)


class KeptSums:
    """The sums of products that a thread keeps, in blocks of some elements."""

    def __init__(self, levels: int, elements: int) -> None:
        """``elements`` of a block: the part of a result that a pass computes."""
        self._levels, self._elements = Levels(levels), elements

    @property
    def elements(self) -> int:
        """The elements of all levels."""
        return KEPT * self._levels.all * self._elements

    def starts(self, term: Term) -> Iterator[int]:
        """Yield where the sums start that a product reads and writes, the innermost level first.

        Three for each level: before, after, ended.
        """
        for level in reversed(range(self._levels.count)):
            inner = range(level + 1, self._levels.count)
            down, across = (term.block(axis, inner) for axis in (0, 1))
            block = KEPT * self._levels.before(level) + down * self._levels.side(level) + across
            flow = term.flows[level]
            for slot in (flow.before, flow.after, flow.ended):
                yield (block + (slot or 0) * self._levels.blocks(level)) * self._elements
