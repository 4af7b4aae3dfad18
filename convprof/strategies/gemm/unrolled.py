"""``fma`` with its loops over rows and steps unrolled until the vector registers are full.

Removes the limit of ``fma``: only four rows use a loaded vector of ``b``, each step includes the
loop's counter, and eight sums are just enough to hide the latency of two multiply-adds a cycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.isa import register_rows, register_vectors
from convprof.integers import ceil_div, even_block
from convprof.strategies.gemm.vectorized import Vectorized

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.problems import Gemm


class Unrolled(Vectorized):
    """Register tiles as large as the registers allow, several steps per iteration."""

    name = "unrolled"
    summary = "fma, unrolled into all vector registers, several steps per iteration"
    fused: ClassVar[bool] = True
    unroll: ClassVar[int] = 0

    def tile(self, g: Gemm, isa: Isa, lanes: int) -> tuple[int, int]:
        """Return rows and vectors that leave no register unused."""
        vectors = register_vectors(ceil_div(g.n, lanes), isa)
        return even_block(g.m, register_rows(vectors, isa)), vectors
