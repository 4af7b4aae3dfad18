"""How register tiles multiply the elements of a problem: the way that suits its types and sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen.kernels.f16_blocks import Sums
from convprof.codegen.kernels.ways import multiply

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.dtypes import Types
    from convprof.problems import Gemm
    from convprof.strategies.conv.regions import Convolution


def of_gemm(g: Gemm, types: Types, isa: Isa) -> Multiply:
    """Return how the tiles of a matrix product multiply."""
    return multiply(types, isa, rows=g.m, sums=Sums(g.k, g.batch * g.m * g.n))


def of_conv2d(p: Convolution, types: Types, isa: Isa) -> Multiply:
    """Return how the tiles of a convolution multiply; the channels of a tap are one run."""
    return multiply(types, isa, depth=p.cg, sums=Sums(p.cg, p.n * p.k * p.p * p.q))
