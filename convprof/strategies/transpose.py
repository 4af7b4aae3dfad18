"""Convert an activation between NCHW and NHWC: transpose each image through vector registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.plan import Plan, X, Y
from convprof.strategies.staged import StagedPrepared
from convprof.strategies.turn import count_tables, turn_stage

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.problems.reorder import Reorder


class Transpose(Strategy):
    """The conversion out of the setting's layout into the other one."""

    name: ClassVar[str] = "transpose"
    kind: ClassVar[str] = "reorder"
    summary: ClassVar[str] = "convert between NCHW and NHWC in squares of vector registers"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """One stage over blocks of each image."""
        p: Reorder = problem  # type: ignore[assignment]  # why_not refused other kinds
        pixels = p.h * p.w
        rows, columns = (p.c, pixels) if setting.layout == "nchw" else (pixels, p.c)
        other = "nhwc" if setting.layout == "nchw" else "nchw"
        plan = Plan(p.shape(setting.layout), (0,), p.shape(other))
        plan.steps = [turn_stage("transpose", X, Y, (p.n, rows, columns), setting)]
        count_tables(plan)
        return StagedPrepared(self.name, p, setting, plan)
