"""The kernels of FLOP/s ceilings by the width of their registers: vectors, and tile registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.probes import fma, tile_products
from convprof.codegen.probes.tile_products import L1, REGISTERS, TILE_BITS
from convprof.dtypes import COMMON

if TYPE_CHECKING:
    from convprof.codegen.probes.fma import FmaKernel


class Arithmetic(NamedTuple):
    """What a peak is the limit of."""

    dtype: str
    """A type, or a mixture."""
    bits: int
    """Of a register."""
    fused: bool = True
    operands: str = REGISTERS
    """Where the operands are; ``L1`` for the tile ceiling."""


def tile_ceiling(of: Arithmetic) -> Arithmetic | None:
    """Return the arithmetic of the tile ceiling; None if the peak is not one of tile registers."""
    return of._replace(operands=L1) if of.bits == TILE_BITS else None


def kernel(of: Arithmetic, adds: int = 0, chains: int | None = None) -> FmaKernel:
    """Compile the peak kernel of some arithmetic."""
    if of.bits == TILE_BITS:
        product = tile_products.product(of.dtype)
        return tile_products.tile_kernel(product, adds, chains, of.operands)
    return fma.fma_kernel(of.dtype, of.bits, adds, fused=of.fused, chains=chains)


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
