"""Cache and register tiles: four rows by four reduction steps at a time, blocks that fit L1.

Removes the limit of ``reordered``: four rows of ``c`` use a loaded row of ``b``, and a row of ``c``
is updated four times per load and store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import GROUPED, PRODUCTS
from convprof.problems import Gemm
from convprof.strategies import sums
from convprof.strategies.gemm.dequantised import weights_buffer, with_dequantised
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import Plan, Stage, X
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting


class Tiled(Planned[Gemm]):
    """Blocked for registers and caches, one thread."""

    name = "tiled"
    kind = "gemm"
    summary = "cache and register tiles, one thread"
    dtypes = PRODUCTS
    grouped = GROUPED

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        """One stage over the tiles of the product."""
        blocking = OffsetBlocking.choose(
            g.m, g.n, g.batch, threads=setting.threads, b=setting.types.weights
        )
        sizes = (g.m, g.n, g.k, g.batch)
        stage = Stage(
            "gemm",
            offset_gemm,
            blocking.tiles(g.m, g.n, g.batch),
            (X, weights_buffer(g), sums.buffer(setting.types)),
            late_table(sizes, blocking, lambda: Offsets.dense(*sizes)),
        )
        return sums.with_rounding(with_dequantised(Plan(steps=[stage]), g), g, setting)
