"""Direct convolution on register tiles of explicit vectors, read in place: no copy, no padding.

Removes the limit of ``tiled``: the sums stay in vector registers over the whole reduction, in
vectors as wide as the CPU has. Inner loops are generated for the problem at hand, every stride a
constant; at the border, taps that meet only padding are left out instead of multiplied by zero.
NCHW is converted to NHWC and back inside ``run()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.simd.tiles import runner_address
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.conv.register_tiles import DensePlan, DepthwisePlan, TilePlan
from convprof.strategies.plan import Native, Plan, Stage, X, Y
from convprof.strategies.staged import StagedPrepared
from convprof.strategies.transpose import layout_stage

if TYPE_CHECKING:
    from convprof.problems import Conv2d, Problem

PANELS = "weights_panels"
NHWC_X, NHWC_Y = "x_nhwc", "y_nhwc"


class MicrokernelPrepared(StagedPrepared):
    """Tiles in place."""

    macs: int

    def executed_flops(self) -> int:
        """Return the FLOPs of the tiles: those of taps on padding are left out."""
        return 2 * self.macs


class Microkernel(Strategy):
    """Register tiles of explicit vectors."""

    name: ClassVar[str] = "microkernel"
    kind: ClassVar[str] = "conv2d"
    summary: ClassVar[str] = "register tiles of explicit vectors, generated for the problem"
    parallel: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Generate the kernels and the list of tiles; NCHW is converted on the way in and out."""
        p: Conv2d = problem  # type: ignore[assignment]  # why_not refused other kinds
        tiles: TilePlan = (DepthwisePlan if p.cg == p.kg == 1 else DensePlan)(p, setting)
        dims = tiles.build()
        plan = Plan(p.x_shape(setting.layout), p.weight_shape, p.y_shape(setting.layout))
        plan.packed[PANELS] = tiles.packed()
        plan.table_words = dims.size
        source, target = X, Y
        if setting.layout == "nchw":
            source, target = NHWC_X, NHWC_Y
            plan.workspaces = {NHWC_X: p.x_shape("nhwc"), NHWC_Y: p.y_shape("nhwc")}
            plan.steps.append(layout_stage("to nhwc", X, source, (p.n, p.c, p.h * p.w)))
        native = Native(runner_address(), tiles)
        stage = Stage("tiles", native, int(dims[0]), (source, PANELS, target), lambda: dims)
        plan.steps.append(stage)
        if setting.layout == "nchw":
            plan.steps.append(layout_stage("to nchw", target, Y, (p.n, p.p * p.q, p.k)))
        prepared = MicrokernelPrepared(self.name, p, setting, plan)
        prepared.macs = tiles.executed_macs
        return prepared
