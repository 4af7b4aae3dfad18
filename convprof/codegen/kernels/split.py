"""Kernels that split f32 into pieces of bf16, whose sum is the number or nearly so.

    x = x0 + x1 + x2        x0 = bf16(x), x1 = bf16(x - x0), x2 = bf16(x - x0 - x1)

The differences are exact. Each piece has 8 significant bits and is rounded to nearest, so that two
pieces have an error of 2**-17 of x, and three none, where x is far from the smallest f32. (Henry,
Tang & Heinecke 2019, "Leveraging the bfloat16 Artificial Intelligence Datatype for Higher-Precision
Computations".) A number that bf16 rounds to infinity, above 3.39e38, gives NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.base import Kernel
from convprof.codegen.kernels.elements import rounded, widened
from convprof.codegen.writer import over_channels
from convprof.dtypes import DTYPES

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

BF16 = DTYPES["bf16"]
PAIRS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    2: ((1, 0), (0, 0), (0, 1)),
    3: ((2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)),
}
"""The products of pieces of ``a`` and ``b`` that are added, by number of pieces: all but those
smaller than the error of a piece. Neighbours share a piece, which stays in registers."""


@dataclass(frozen=True)
class SplitRow(Kernel):
    """``void tile(f32 *a, f32 *, bf16 *c)``: ``c[p * apart + i]`` is the ``p``-th piece of a[i]."""

    pieces: int
    columns: int
    apart: int
    """Elements of ``c`` from one piece to the next."""

    @property
    def _computes_in(self) -> DType:
        return self.types.source

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads of f32 and stores of 16 bits."""
        lines = w.typed(BF16).declarations().splitlines()
        return w.declarations() + "\n".join(line for line in lines if "masked" in line) + "\n"

    def _code(self, w: Writer) -> str:
        short = w.typed(BF16)

        def body(w: Writer, column: str, mask: str | None) -> None:
            rest, target = w.load(w.at("%a", column), mask), short.at("%c", column)
            for number in range(self.pieces):
                piece = rounded(w, rest, BF16)
                short.store(piece, short.at(target, number * self.apart), mask)
                rest = w.add(f"fsub {w.vector} {rest}, {widened(w, piece, BF16)}")

        return over_channels(w, self.columns, body)
