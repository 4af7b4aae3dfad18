"""Register tiles of any types, for tests of their instructions."""

from __future__ import annotations

from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.ways import multiply
from convprof.dtypes import S16, Types, find, types

WORDS = Types(S16, S16, find("s32"), find("s32"))


def a_tile(dtype, isa, rows=3, vectors=2, sharing=2):
    """Return a tile of eight groups a turn, its panels as wide as itself.

    Its way to multiply is the way of a product in which ``sharing`` rows use the same ``b``.
    """
    of, bits = WORDS if dtype == S16.name else types(dtype), isa.bits
    how, lanes = multiply(of, isa, rows=sharing), bits // (8 * of.accumulator.bytes)
    width = vectors * lanes
    return Tile(
        types=of,
        lanes=lanes,
        rows=tuple(i * 400 for i in range(rows)),
        segments=((0, 0),),
        run=100,
        a_step=how.k_group,
        vectors=vectors,
        b_row=width * how.k_group,
        c_rows=tuple(i * width for i in range(rows)),
        columns=width,
        multiply=how,
        fused=isa.fused,
    )
