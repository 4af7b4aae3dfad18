"""Register-tile kernels: a block of the result stays in vector registers while the sum runs.

    c[i, :]  (+)=  sum over segments g, steps t of  a[rows[i] + a_g + t * a_step] * b[b_g + t, :]

A kernel is generated for one shape of tile, with every stride and every count in it a constant, so
that its inner loop is loads, broadcasts and fused multiply-adds and nothing else. Rows of ``a`` may
start anywhere, which makes a convolution read in place (rows are pixels, segments are filter rows)
the same kernel as a matrix product (one segment).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.half_code import HalfCode
from convprof.codegen.kernels.tile_code import Code
from convprof.codegen.kernels.tile_form import TileForm

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer


@dataclass(frozen=True)
class Tile(TileForm):
    """One kernel: ``void tile(T *a, T *b, T *c)``."""

    def _code(self, w: Writer) -> str:
        code = Code if self.multiply.across == 1 else HalfCode
        return code(self, w).text()
