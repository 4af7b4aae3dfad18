"""The tiles of a matrix product, as ``packed`` chooses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.dtypes import F32
from convprof.integers import ceil_div
from convprof.results import NATIVE
from convprof.strategies.gemm.packed import choose
from convprof.studies.explain.tiling import Tiling

if TYPE_CHECKING:
    from convprof.problems import Gemm


def tiling(g: Gemm) -> Tiling:
    """Return the tiles of one product of the batch, on one thread."""
    isa = isas.find(NATIVE)
    chosen = choose(g, isa, F32, threads=1)
    nr = chosen.vectors * isa.lanes(F32.accumulator.bytes)
    nc, kc, mc = min(chosen.nc, g.n), min(chosen.kc, g.k), min(chosen.mc, g.m)
    panels = sum(ceil_div(min(nc, g.n - j), nr) for j in range(0, g.n, nc))
    tall = sum(ceil_div(min(mc, g.m - i), chosen.rows) for i in range(0, g.m, mc))
    # The second tile each way, where there is one: its surroundings show on every side.
    i = chosen.rows if g.m > chosen.rows and mc > chosen.rows else 0
    j = nr if min(nc, g.n) > nr else 0
    rows = np.arange(i, min(i + chosen.rows, g.m))
    return Tiling(
        strategy="packed",
        words=("row", "column", "step"),
        m=g.m,
        n=g.n,
        k=g.k,
        mr=min(chosen.rows, g.m),
        nr=nr,
        vectors=chosen.vectors,
        mc=mc,
        nc=nc,
        kc=kc,
        block=(0, 0, 0),
        tile_rows=rows,
        tile_column=j,
        macs=g.m * g.n * g.k,
        register_loads=g.k * (g.m * panels + g.n * tall),
        a_elements=g.m * g.k,
        a_block=(mc, kc),
        a_tile=(len(rows), kc),
        a_reads=g.m * g.k * ceil_div(g.n, nc),
        b_reads=g.k * g.n,
        one_of=((g.batch, "products"),),
    )
