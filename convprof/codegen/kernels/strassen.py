"""Strassen's algorithm in Winograd's form: seven products of blocks instead of eight.

    a = | a11 a12 |    b = | b11 b12 |    c11 = p1 + p2           u2 = p1 + p6
        | a21 a22 |        | b21 b22 |    c12 = u2 + p5 + p3      c22 = u2 + p5 + p7
                                          c21 = u2 + p7 - p4

    p1 = a11 b11                            p5 = (a21 + a22) (b12 - b11)
    p2 = a12 b21                            p6 = (a21 + a22 - a11) (b11 - b12 + b22)
    p3 = (a11 + a12 - a21 - a22) b22        p7 = (a11 - a21) (b22 - b12)
    p4 = a22 (b11 - b12 - b21 + b22)

(Strassen 1969; Winograd 1971; Huang, Smith, Henry & van de Geijn 2016, "Strassen's Algorithm
Reloaded".) Two sums are kept while the products are computed one after the other: ``FIRST`` has p1,
then u2, then u2 + p7; ``SECOND`` has u2 + p5. On two levels, each product is computed in the same
way: 49 products of blocks of blocks, and two kept sums for the inner level.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from convprof.codegen.kernels import partial_sums
from convprof.codegen.kernels.base import Kernel
from convprof.codegen.writer import counted, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.kernels.base import Pointers
    from convprof.codegen.writer import Writer

Blocks: TypeAlias = tuple[int, ...]
"""A sign, 1, 0 (left out) or -1, for each block of a matrix."""

FIRST, SECOND = range(2)
KEPT = 2
"""Sums that are kept on each level."""


class Flow(NamedTuple):
    """The sums to which a product is added, on one level."""

    before: int | None = None
    """The kept sum to which the product is added for ``after``."""
    after: int | None = None
    """The kept sum that is written."""
    ended: int | None = None
    """The kept sum to which the product is added for the result."""
    result: tuple[int, int] = (0, 0)
    """Which block is the result: down, across."""

    @property
    def ends(self) -> bool:
        """Whether the product is the last one of a block of the result."""
        return self.ended is not None

    @property
    def additions(self) -> int:
        """How many kept sums are added to the product."""
        return (self.before is not None) + self.ends


class Step(NamedTuple):
    """One of the products of one level."""

    a: Blocks
    """The signs of a11, a12, a21 and a22."""
    b: Blocks
    flow: Flow


STEPS = (
    Step((1, 0, 0, 0), (1, 0, 0, 0), Flow(after=FIRST)),
    Step((0, 1, 0, 0), (0, 0, 1, 0), Flow(ended=FIRST, result=(0, 0))),
    Step((-1, 0, 1, 1), (1, -1, 0, 1), Flow(FIRST, FIRST)),
    Step((0, 0, 1, 1), (-1, 1, 0, 0), Flow(FIRST, SECOND)),
    Step((1, 1, -1, -1), (0, 0, 0, 1), Flow(ended=SECOND, result=(0, 1))),
    Step((1, 0, -1, 0), (0, -1, 0, 1), Flow(FIRST, FIRST, SECOND, result=(1, 1))),
    Step((0, 0, 0, 1), (-1, 1, 1, -1), Flow(ended=FIRST, result=(1, 0))),
)
"""The products of one level in the order of p1, p2, p6, p5, p3, p7, -p4."""


class Term(NamedTuple):
    """One of the products of the blocks of all levels."""

    a: Blocks
    """The signs of the blocks of ``a``, row by row."""
    b: Blocks
    flows: tuple[Flow, ...]
    """Where the product goes, the outermost level first."""

    @property
    def reached(self) -> tuple[Flow, ...]:
        """Where the product goes, the innermost level first, as far as it ends a block."""
        inner = self.flows[::-1]
        last = next((i for i, flow in enumerate(inner) if not flow.ends), len(inner) - 1)
        return inner[: last + 1]

    @property
    def ends(self) -> bool:
        """Whether the product is the last one of a block of ``c``."""
        return all(flow.ends for flow in self.flows)

    @property
    def additions(self) -> int:
        """How many kept sums are added to the product."""
        return sum(flow.additions for flow in self.reached)

    @property
    def accesses(self) -> int:
        """How many kept sums and blocks of the result are read or written."""
        stores = sum(flow.after is not None for flow in self.reached)
        return self.additions + stores + self.ends

    def block(self, axis: int, levels: range) -> int:
        """Return the number of the block, of some levels, whose sums the product ends.

        ``axis``: 0 down, 1 across. 0 on levels where the product does not end a block.
        """
        number = 0
        for level in levels:
            flow = self.flows[level]
            number = 2 * number + (flow.result[axis] if flow.ends else 0)
        return number


@functools.cache
def terms(levels: int) -> tuple[Term, ...]:
    """Return the products of some levels: 7, 49, ..."""
    return tuple(
        Term(
            a=_nested([step.a for step in steps]),
            b=_nested([step.b for step in steps]),
            flows=tuple(step.flow for step in steps),
        )
        for steps in itertools.product(STEPS, repeat=levels)
    )


def _nested(signs: Sequence[Blocks]) -> Blocks:
    """Return the signs of blocks of blocks, the outermost level first, row by row."""
    grid = np.ones((1, 1), int)
    for each in signs:
        grid = np.kron(grid, np.reshape(each, (2, 2)))
    return tuple(grid.ravel().tolist())


def factor_accesses(levels: int) -> int:
    """Return how many blocks of ``a`` and of its sums are read or written for all left factors."""
    once = sum(sum(map(abs, step.a)) + 1 for step in STEPS)
    # a factor of a level has a block for each block of the inner levels
    return int(once * sum(7**level * 4 ** (levels - 1 - level) for level in range(levels)))


@dataclass(frozen=True)
class Factor(Kernel):
    """A part of the left factor of a product: a sum of blocks of ``a``, or of an outer factor.

    It has the pointers of tiles with partial sums, and ``x`` after them. The sum is written to
    ``a``, for the tiles that follow.
    """

    levels: int
    signs: Blocks
    places: tuple[int | None, ...]
    """Where each block starts; None for a block of zeros."""
    rows: int
    columns: int
    row: int
    """Elements from one row of the blocks to the next."""
    target_row: int
    """Elements from one row of the sum to the next."""
    inner: bool = False
    """Whether the blocks are of an outer factor, which is in ``a``; else they are in ``x``."""

    @property
    def parameters(self) -> Pointers:
        """The pointers of tiles, of which the first is written, and ``a`` itself."""
        return (*partial_sums.pointers(self.levels), ("%x", "source"))

    @property
    def elements(self) -> int:
        """The sums."""
        return self.rows * self.columns

    def _code(self, w: Writer) -> str:
        def row(index: str, vectors: list[str]) -> list[str]:
            source = w.at(self._source, w.add(f"mul i64 {index}, {self.row}"))
            target = w.at("%a", w.add(f"mul i64 {index}, {self.target_row}"))

            def vector(offset: str, mask: str | None, none: str) -> str:
                total = self._sum(w, w.at(source, offset), mask)
                w.store(total, w.at(target, offset), mask)
                return none

            sweep(w, self.columns, vector)
            return vectors

        counted(w, self.rows, row)
        return f"{w.taken()}\n"

    @property
    def _source(self) -> str:
        return "%a" if self.inner else "%x"

    def _sum(self, w: Writer, source: str, mask: str | None) -> str:
        """Write the sum of the vectors of the blocks."""
        some = [
            (sign, w.load(w.at(source, place), mask))
            for sign, place in zip(self.signs, self.places, strict=True)
            if sign and place is not None
        ]
        added = [block for sign, block in some if sign > 0]
        total = added[0] if added else "zeroinitializer"
        for block in added[1:]:
            total = w.plus(total, block)
        for block in (block for sign, block in some if sign < 0):
            total = w.minus(total, block)
        return total
