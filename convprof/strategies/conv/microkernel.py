"""Direct convolution on register tiles of explicit vectors, read in place: no copy, no padding.

Removes the limit of ``tiled``: the sums stay in vector registers over the whole reduction, in
vectors as wide as the CPU has. Inner loops are generated for the problem, with every stride as a
constant; at the border, taps in the padding are left out instead of multiplied by zero. NCHW is
converted to NHWC and back inside ``run()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.tile_list import runner_address
from convprof.dtypes import PRODUCTS
from convprof.problems import Conv2d
from convprof.strategies import epilogue, multiplying, requantised
from convprof.strategies.conv import channel_parts
from convprof.strategies.conv.amx_tiles import amx_plan, border_stages
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.depthwise_tiles import DepthwisePlan
from convprof.strategies.conv.filling import FILLED, fill_stages, filled
from convprof.strategies.conv.geometry import PADDED, padded_nhwc
from convprof.strategies.conv.nhwc import add_late, in_tiles, nhwc_plan
from convprof.strategies.plan import Buffer, Native, Stage
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.register_tiles import TilePlan
    from convprof.strategies.plan import Plan

PANELS = "weights_panels"


class Microkernel(Tunable[Conv2d, ConvBlocking]):
    """Register tiles of explicit vectors."""

    name = "microkernel"
    kind = "conv2d"
    summary = "register tiles of explicit vectors, generated for the problem"
    parallel = True
    generated = True
    fuses = True
    dtypes: tuple[str, ...] = PRODUCTS

    def blockings(self, problem: Conv2d, setting: Setting) -> list[ConvBlocking]:
        """Return register tiles and block sizes to try, the model's choice first."""
        tiles = self.tiles(problem, setting)
        parted = channel_parts.blocking(problem, tiles, setting)
        return distinct([*([parted] if parted else []), *tiles.blockings()])

    def cycles(self, problem: Conv2d, setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle; one for depthwise, which has as many loads."""
        return self.tiles(problem, setting).cycles()

    def plan_blocked(self, p: Conv2d, setting: Setting, blocking: ConvBlocking) -> Plan:
        """Generate the kernels and the list of tiles; NCHW is converted on the way in and out."""
        if blocking.parts > 1:
            return channel_parts.plan(p, setting, blocking)
        tiles = self.tiles(in_tiles(p, setting.layout, setting.types), setting)
        tiles.chosen = blocking
        dims, fixed = tiles.build(), tiles.chosen.fixed

        def stages(source: str, target: str) -> list[Stage]:
            copies, read = self.copies(source, p, tiles, setting)
            buffers = tiles.buffers(read, PANELS, target)
            native = Native(runner_address(len(buffers)), tiles.tiles)
            stage = Stage("tiles", native, int(dims[0]), buffers, dims, static_schedule=bool(fixed))
            return [*copies, stage]

        plan = nhwc_plan(p, setting, stages)
        plan.workspaces |= self.copied(p, tiles, setting)
        plan.packed[PANELS] = tiles.packed()
        rows = len(tiles.bias_rows)
        plan.packed |= requantised.packed(p, setting.types, tiles.sums_of_weights, rows)
        plan.lendable_workspaces = frozenset(plan.workspaces)
        if _has_border(p, tiles):
            padded_nhwc(p).declare(plan, setting.types)  # not lendable: its border stays
        add_late(plan, p, setting)
        plan.executed_flops = 2 * tiles.executed_macs + epilogue.flops(p)
        return plan

    def tiles(self, p: Conv2d, setting: Setting) -> TilePlan:
        """Return the tiles, with the model's choice of a blocking."""
        if p.cg == p.kg == 1:
            return DepthwisePlan(p, setting)
        how = multiplying.of_conv2d(p, setting.types, isas.find(setting.isa))
        return amx_plan(p, setting) or DensePlan(filled(p, how.k_group), setting)

    def copies(
        self, source: str, p: Conv2d, tiles: TilePlan, setting: Setting
    ) -> tuple[list[Stage], str]:
        """Return the stages that copy the NHWC image for the tiles, and what the tiles read."""
        if _has_border(p, tiles):
            return border_stages(source, p, setting), PADDED
        fill = fill_stages(source, p, tiles.p, setting)
        return fill, FILLED if fill else source

    def copied(self, p: Conv2d, tiles: TilePlan, setting: Setting) -> dict[str, Buffer]:
        """Return the buffer of the copy of the image; an image with a border is not among them."""
        if tiles.p.c == p.c:
            return {}
        return {FILLED: Buffer((p.n, p.h, p.w, tiles.p.c), setting.types.source)}


def _has_border(p: Conv2d, tiles: TilePlan) -> bool:
    """Whether the tiles read an image that has its padding in memory."""
    return tiles.p.h != p.h or tiles.p.w != p.w
