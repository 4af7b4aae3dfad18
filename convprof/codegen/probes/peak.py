"""The kernels of FLOP/s ceilings by the width of their registers: vectors, and tile registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen.probes import fma, tile_products
from convprof.codegen.probes.tile_products import TILE_BITS
from convprof.dtypes import COMMON

if TYPE_CHECKING:
    from convprof.codegen.probes.fma import FmaKernel


def kernel(
    dtype: str, bits: int, adds: int = 0, *, fused: bool = True, chains: int | None = None
) -> FmaKernel:
    """Compile the peak kernel of a type, or a mixture, in registers of ``bits`` bits."""
    if bits == TILE_BITS:
        return tile_products.tile_kernel(tile_products.product(dtype), adds, chains)
    return fma.fma_kernel(dtype, bits, adds, fused=fused, chains=chains)


def flops_at_once(dtype: str, bits: int) -> int:
    """Return the operations of one instruction."""
    if bits == TILE_BITS:
        return tile_products.flops_at_once(tile_products.product(dtype))
    return fma.flops_at_once(dtype, bits)


def instruction(dtype: str, bits: int) -> str:
    """Return what multiplies short elements, for people; empty for f32 and f64."""
    if bits == TILE_BITS:
        return tile_products.product(dtype).instruction
    return "" if dtype in COMMON else fma.way(dtype, bits).instruction
