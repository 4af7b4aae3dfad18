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
then u2, then u2 + p7; ``SECOND`` has u2 + p5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.kernels.base import Kernel
from convprof.codegen.writer import over_channels

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer

FIRST, SECOND = range(2)
KEPT = 2
"""Sums that are kept."""


class Term(NamedTuple):
    """One of the products: its factors, and the sums to which it is added."""

    a: tuple[int, int, int, int]
    """The factors of a11, a12, a21 and a22."""
    b: tuple[int, int, int, int]
    before: int | None = None
    """The kept sum to which the product is added for ``after``."""
    after: int | None = None
    """The kept sum that is written."""
    ended: int | None = None
    """The kept sum to which the product is added for the result."""
    result: tuple[int, int] = (0, 0)
    """Which block of ``c`` is the result: down, across."""

    @property
    def ends(self) -> bool:
        """Whether the product is the last one of a block of ``c``."""
        return self.ended is not None

    @property
    def additions(self) -> int:
        """How many kept sums are added to the product."""
        return (self.before is not None) + self.ends

    @property
    def is_lower(self) -> bool:
        """Whether all results of the product are in the lower blocks of ``c``."""
        return self.ends and self.result[0] == 1


TERMS = (
    Term((1, 0, 0, 0), (1, 0, 0, 0), after=FIRST),
    Term((0, 1, 0, 0), (0, 0, 1, 0), ended=FIRST, result=(0, 0)),
    Term((-1, 0, 1, 1), (1, -1, 0, 1), before=FIRST, after=FIRST),
    Term((0, 0, 1, 1), (-1, 1, 0, 0), before=FIRST, after=SECOND),
    Term((1, 1, -1, -1), (0, 0, 0, 1), ended=SECOND, result=(0, 1)),
    Term((1, 0, -1, 0), (0, -1, 0, 1), before=FIRST, after=FIRST, ended=SECOND, result=(1, 1)),
    Term((0, 0, 0, 1), (-1, 1, 1, -1), ended=FIRST, result=(1, 0)),
)
"""The products in the order of p1, p2, p6, p5, p3, p7, -p4."""
ACCESSES = sum(term.additions + (term.after is not None) + term.ends for term in TERMS)
"""Kept sums and results that are read or written, for each element of a block of ``c``."""


@dataclass(frozen=True)
class SumRow(Kernel):
    """``void tile(T *a, T *b, T *c)``: a row of the left factor of every product.

    ``a`` is a row of a11 and a12, ``b`` the same row of a21 and a22; ``c[p * apart + i]`` is the
    ``i``-th element of the ``p``-th factor.
    """

    columns: int
    across: int
    """Elements from a row of the left blocks to the row of the right blocks."""
    apart: int
    """Elements from one factor to the next."""
    right: bool = True
    """Whether a12 and a22 have these columns; else they are 0."""
    bottom: bool = True
    """Whether a21 and a22 have this row; else they are 0."""

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.columns, self._body)

    def _body(self, w: Writer, column: str, mask: str | None) -> None:
        blocks = [
            w.load(w.at(w.at(pointer, column), place), mask) if exists else None
            for pointer, place, exists in (
                ("%a", 0, True),
                ("%a", self.across, self.right),
                ("%b", 0, self.bottom),
                ("%b", self.across, self.right and self.bottom),
            )
        ]
        target = w.at("%c", column)
        for number, term in enumerate(TERMS):
            w.store(_combined(w, blocks, term.a), w.at(target, number * self.apart), mask)


def _combined(w: Writer, blocks: list[str | None], factors: tuple[int, ...]) -> str:
    """Write the sum of vectors times 1, 0 or -1; None is a vector of zeros."""
    some = [(block, factor) for block, factor in zip(blocks, factors, strict=True) if block]
    added = [block for block, factor in some if factor > 0]
    total = added[0] if added else "zeroinitializer"
    for block in added[1:]:
        total = w.plus(total, block)
    for block in (block for block, factor in some if factor < 0):
        total = w.add(f"fsub {w.vector} {total}, {block}")
    return total
