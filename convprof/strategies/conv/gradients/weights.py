"""The gradient of the weights on register tiles, x and dy read in place: no patch matrix.

For each tap this is a product whose sum runs over the pixels, in blocks of pixels that stay in L2.
A task sums all taps of some channels, and at the end writes them in the weights' order. Every sum
belongs to one task, so that results do not change from run to run.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.tile_list import runner_address
from convprof.integers import ceil_div
from convprof.problems import BackwardWeights, Conv2d
from convprof.strategies.conv.geometry import PADDED, padded_nhwc
from convprof.strategies.conv.gradients.depthwise import depthwise_weights
from convprof.strategies.conv.gradients.plans import weights_plan
from convprof.strategies.conv.gradients.weight_tiles import SumBlocking, WeightTiles
from convprof.strategies.plan import Buffer, Native, Stage, Y
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

SUMS = "sums"
EFFICIENCY = 0.85
"""The share of two multiply-adds a cycle that the tiles reach."""


class MicrokernelWeights(Tunable[BackwardWeights[Conv2d], SumBlocking]):
    """Register tiles of explicit vectors."""

    name = "microkernel"
    kind = "conv2d-backward-weights"
    summary = "register tiles that sum over the pixels, read in place"
    parallel = True
    generated = True

    def blockings(self, problem: BackwardWeights[Conv2d], setting: Setting) -> list[SumBlocking]:
        """Return register tiles and block sizes to try, the model's choice first."""
        tiles = WeightTiles(problem.forward, setting)
        return distinct(tiles.blockings())

    def cycles(self, problem: BackwardWeights[Conv2d], setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle, and each tile's own cost."""
        tiles = WeightTiles(problem.forward, setting)
        p, chosen = tiles.p, tiles.chosen
        across = p.groups * ceil_div(p.kg, tiles.lanes)
        pixels = p.n * p.p * p.q
        rows = p.cg * tiles.taps
        calls = ceil_div(pixels, chosen.pixels) * rows / chosen.rows * across / chosen.vectors
        return pixels * rows * across / 2 / EFFICIENCY + calls * CALL_CYCLES

    def plan_blocked(
        self, backward: BackwardWeights[Conv2d], setting: Setting, blocking: SumBlocking
    ) -> Plan:
        """Generate the kernels and the list of tiles; NCHW is converted first."""
        p = backward.forward
        if p.cg == p.kg == 1:
            return depthwise_weights(backward, setting)
        tiles = WeightTiles(p, setting, blocking)
        lists = tiles.build()
        tables = [(one_list, one_list.dims()) for one_list in lists]
        padded = padded_nhwc(p)

        def stages(x: str, dy: str) -> list[Stage]:
            pad = []
            if tiles.padded and padded.stages:
                pad = [dataclasses.replace(s, buffers=(x, PADDED)) for s in padded.stages]
                x = PADDED
            buffers = (x, dy, SUMS, Y)
            # Static schedule: the sums of a thread stay in its own cache from block to block.
            return pad + [
                Stage(
                    "tiles",
                    Native(runner_address(len(buffers)), one_list),
                    int(dims[0]),
                    buffers,
                    dims,
                    static_schedule=True,
                    work_fraction=1 / len(tables),
                )
                for one_list, dims in tables
            ]

        plan = weights_plan(backward, setting, stages)
        if tiles.padded:
            padded.declare(plan, setting.types)
        sums = Buffer((tiles.parts, tiles.part_sums), setting.types.accumulator)
        plan.workspaces[SUMS] = sums
        plan.executed_flops = 2 * tiles.executed_macs
        return plan
