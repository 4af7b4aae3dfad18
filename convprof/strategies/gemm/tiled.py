"""Cache and register tiles: four rows by four reduction steps at a time, blocks that fit L1.

Removes the limit of ``reordered``: a loaded row of ``b`` serves four rows of ``c``, and a row of
``c`` is updated four times per load and store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.offset_gemm import Blocking, Offsets, offset_gemm
from convprof.strategies.plan import WEIGHTS, Plan, Stage, X, Y
from convprof.strategies.plan_runner import StagedPrepared

if TYPE_CHECKING:
    from convprof.problems import Gemm, Problem


class Tiled(Strategy):
    """Blocked for registers and caches, one thread."""

    name: ClassVar[str] = "tiled"
    kind: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "cache and register tiles, one thread"

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """One stage over the tiles of the product."""
        g: Gemm = problem  # type: ignore[assignment]  # why_not refused other kinds
        blocking = Blocking.choose(
            g.m, g.n, g.batch, threads=setting.threads, itemsize=setting.itemsize
        )
        stage = Stage(
            "gemm",
            offset_gemm,
            blocking.tiles(g.m, g.n, g.batch),
            (X, WEIGHTS, Y),
            lambda: Offsets.dense(g.m, g.n, g.k, g.batch).dims(g.m, g.n, g.k, blocking),
        )
        plan = Plan(g.a_shape, g.b_shape, g.c_shape, steps=[stage])
        plan.table_words = 2 * (g.m + g.k) + 3 * g.batch
        return StagedPrepared(self.name, g, setting, plan)
