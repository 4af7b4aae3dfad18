"""The widths that a kernel can be generated in here, one element included, and its shape."""

from __future__ import annotations

from convprof.errors import RefusedError
from convprof.simd import isa as isas
from convprof.studies.single.costs import element_bits
from convprof.studies.single.repeated import Shape

ROWS, VECTORS, TURN = 6, 2, 4
"""Twelve sums: enough for a latency of four cycles and two multiply-adds per cycle, and with what
else they need they fit into 16 registers."""
FEW_REGISTERS = 16
VECTOR_BITS = (128, 256, 512)


def widths(dtype: str) -> tuple[int, ...]:
    """Return the widths in bits, one element first. RefusedError where nothing is generated."""
    if not isas.available():
        raise RefusedError("no kernels are generated for this CPU; run it on x86-64 or AArch64")
    widest = isas.find(isas.NATIVE).bits
    return (element_bits(dtype), *(bits for bits in VECTOR_BITS if bits <= widest))


def shape(bits: int, dtype: str, *, fused: bool) -> Shape:
    """Return the tile, the same number of rows and vectors in every width."""
    return Shape(ROWS, VECTORS, bits // element_bits(dtype), TURN, fused)


def spelled(bits: int, dtype: str) -> str:
    """Return `scalar` or `256 bits`."""
    return "scalar" if bits == element_bits(dtype) else f"{bits} bits"
