"""Convert an activation between NCHW and NHWC, in square tiles that use whole cache lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.plan import Plan, Stage, X, Y
from convprof.strategies.staged import StagedPrepared

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.problems.reorder import Reorder

TILE = 16
"""Elements on a side: a line of 64 bytes of f32; a tile of f64 still fits L1 many times."""


def transpose(lo, hi, buffers, dims):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Transpose matrices ``(rows, columns)``; a task is a band of ``tile`` rows of one of them."""
    source, target = buffers[0], buffers[1]
    rows, columns, tile = dims[0], dims[1], dims[2]
    bands = (rows + tile - 1) // tile
    for task in range(lo, hi):
        start = task // bands * rows * columns
        i_first = task % bands * tile
        i_end = min(i_first + tile, rows)
        for j_first in range(0, columns, tile):
            j_end = min(j_first + tile, columns)
            for j in range(j_first, j_end):
                for i in range(i_first, i_end):
                    target[start + j * rows + i] = source[start + i * columns + j]


def layout_stage(phase: str, source: str, target: str, shape: tuple[int, int, int]) -> Stage:
    """Return the stage that transposes each of ``n`` matrices: ``shape (n, rows, columns)``."""
    n, rows, columns = shape
    bands = n * -(-rows // TILE)
    return Stage(phase, transpose, bands, (source, target), (rows, columns, TILE))


class Transpose(Strategy):
    """The conversion out of the setting's layout into the other one."""

    name: ClassVar[str] = "transpose"
    kind: ClassVar[str] = "reorder"
    summary: ClassVar[str] = "convert between NCHW and NHWC in tiles of whole cache lines"
    parallel: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """One stage over bands of each image."""
        p: Reorder = problem  # type: ignore[assignment]  # why_not refused other kinds
        pixels = p.h * p.w
        rows, columns = (p.c, pixels) if setting.layout == "nchw" else (pixels, p.c)
        other = "nhwc" if setting.layout == "nchw" else "nchw"
        plan = Plan(p.shape(setting.layout), (0,), p.shape(other))
        plan.steps = [layout_stage("transpose", X, Y, (p.n, rows, columns))]
        return StagedPrepared(self.name, p, setting, plan)
