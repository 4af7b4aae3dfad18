"""The gradient of the input on register tiles: a forward convolution of dy per phase of the stride.

When the weights are bound, the filters are rotated by 180 degrees and their channels exchanged. The
forward pass's ``microkernel`` then runs, and writes the pixels of a phase with the stride as their
distance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.codegen.tile_list import runner_address
from convprof.problems import BackwardData, Conv2d
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.depthwise_tiles import DepthwisePlan
from convprof.strategies.conv.gradients.phases import Phase, phases
from convprof.strategies.conv.gradients.plans import data_plan
from convprof.strategies.conv.microkernel import PANELS
from convprof.strategies.plan import Native, Packed, Stage
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    import numpy as np

    from convprof.strategies.base import Setting
    from convprof.strategies.conv.register_tiles import TilePlan
    from convprof.strategies.plan import Plan

    Array = np.ndarray[Any, Any]


class MicrokernelData(Tunable[BackwardData[Conv2d], ConvBlocking]):
    """Register tiles of explicit vectors."""

    name = "microkernel"
    kind = "conv2d-backward-data"
    summary = "register tiles over dy, one convolution per phase of the stride"
    parallel = True
    generated = True

    def blockings(self, problem: BackwardData[Conv2d], setting: Setting) -> list[ConvBlocking]:
        """Return register tiles and block sizes to try, the model's choice first."""
        largest = max(_all(problem, setting), key=lambda tiles: tiles.p.r * tiles.p.s)
        return distinct(largest.blockings())

    def cycles(self, problem: BackwardData[Conv2d], setting: Setting) -> float:
        """Estimate each phase as a convolution."""
        return sum(tiles.cycles() for tiles in _all(problem, setting))

    def plan_blocked(
        self, backward: BackwardData[Conv2d], setting: Setting, blocking: ConvBlocking
    ) -> Plan:
        """Generate the kernels and the lists of tiles; NCHW is converted on the way in and out."""
        phase_tiles = _all(backward, setting)
        for tiles in phase_tiles:
            tall = max(1, min(blocking.block_rows, tiles.p.p))
            tiles.chosen = replace(blocking, block_rows=tall)
        tables = [tiles.build() for tiles in phase_tiles]
        fixed = bool(blocking.fixed)

        def stages(dy: str, dx: str) -> list[Stage]:
            steps = []
            for number, (tiles, dims) in enumerate(zip(phase_tiles, tables, strict=True)):
                buffers = tiles.buffers(dy, f"{PANELS}{number}", dx)
                native = Native(runner_address(len(buffers)), tiles.tiles)
                steps.append(Stage("tiles", native, int(dims[0]), buffers, dims, fixed))
            return steps

        plan = data_plan(backward, setting, stages)
        for number, tiles in enumerate(phase_tiles):
            plan.packed[f"{PANELS}{number}"] = _packed(tiles)
        plan.executed_flops = 2 * sum(tiles.executed_macs for tiles in phase_tiles)
        return plan


def _all(problem: BackwardData[Conv2d], setting: Setting) -> list[TilePlan]:
    """Return the tiles of every phase."""
    p = problem.forward
    kind = DepthwisePlan if p.cg == p.kg == 1 else DensePlan
    return [kind(phase, setting, phase.output) for phase in phases(p)]


def _packed(tiles: TilePlan) -> Packed:
    """Return the packing of a phase's filters from the weights of the forward pass."""
    packed = tiles.packed()
    phase: Phase = tiles.p  # type: ignore[assignment]  # made from one

    def fill(target: Array, weights: Array) -> None:
        packed.fill(target, phase.filters(weights))

    return Packed(packed.buffer, fill, into=True)
