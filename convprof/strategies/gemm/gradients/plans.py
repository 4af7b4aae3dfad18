"""The backward passes of a product, which are products themselves.

    backward-data     dA (m, k)  =  dC (m, n) B^T
    backward-weights  dB (k, n)  =  A^T dC (m, n)

Buffer ``x`` is the first operand (dC, A), ``weights`` the second one (B, dC).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import Gemm
from convprof.strategies.plan import Buffer
from convprof.strategies.transposition import transposed

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Packed

B_TRANSPOSED = "b_transposed"


def data_product(g: Gemm) -> Gemm:
    """Return the product that gives dA with a transposed B."""
    return Gemm(m=g.m, n=g.k, k=g.n, batch=g.batch)


def weights_product(g: Gemm) -> Gemm:
    """Return the product that gives dB with a transposed A."""
    return Gemm(m=g.k, n=g.n, k=g.m, batch=g.batch)


def b_transposed(g: Gemm, setting: Setting) -> Packed:
    """Return the packing of B as ``(batch, n, k)``: it depends on the weights only."""
    return transposed(Buffer((g.batch, g.k, g.n), setting.types.weights), setting)
