"""Sums in parts of the input channels: for few pixels and channels, and many threads.

    y = sum over parts i of  convolution of x[channels of i] by w[:, channels of i]

The parts are the groups of one convolution, which has the output channels once for each part. So
tiles and packed weights are as for any grouped convolution. A last stage adds the parts of each
pixel.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.tile_list import runner_address
from convprof.integers import ceil_div
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue, launch, multiplying, unfused_epilogue
from convprof.strategies.balance import FEW_THREADS
from convprof.strategies.conv import longest_share
from convprof.strategies.conv.blocking import PartedBlocking
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.nhwc import nhwc_plan
from convprof.strategies.plan import Buffer, Native, Packed, Stage
from convprof.strategies.sum_parts import EVEN, LEAST_STEPS, MOST_PARTS, WORTH, adding_cycles

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.blocking import ConvBlocking
    from convprof.strategies.conv.register_tiles import TilePlan
    from convprof.strategies.kernels import Buffers, Words
    from convprof.strategies.plan import Array, Plan

PANELS, PARTS = "weights_panels", "parts"
TRIED = 2
"""Numbers of parts to try: each one needs a search for its tiles."""


def blocking(p: Conv2d, tiles: TilePlan, setting: Setting) -> PartedBlocking | None:
    """Return the blocking in the best number of parts; None where whole sums are as fast.

    ``tiles`` are the tiles of whole sums.
    """
    types = setting.types
    if setting.threads <= FEW_THREADS or p.groups > 1 or types.result != types.accumulator:
        return None  # sums of parts that are rounded would be rounded twice
    whole = tiles.whole_shares()
    if whole is None or whole.balance >= EVEN:
        return None
    best, cycles = None, WORTH * whole.longest
    transfer, pixels = launch.transfer_cycles(), ceil_div(p.n * p.p * p.q, setting.threads)
    for parts in _counts(p, setting, setting.threads / sum(map(len, whole.tiles))):
        parted = DensePlan(_parted(p, parts), setting)
        divided = longest_share.shares(parted, parted.chosen)
        needed = divided.longest + adding_cycles(pixels * p.k * parts, setting, transfer)
        if needed < cycles:
            best = PartedBlocking(**asdict(parted.chosen), parts=parts)
            cycles = needed
        if divided.balance >= EVEN:
            break  # further parts only have to be added
    return best


def _counts(p: Conv2d, setting: Setting, least: float) -> list[int]:
    """Return a few numbers of parts to try: from ``least`` on, all threads have tiles."""
    counts = (parts for parts in range(2, MOST_PARTS + 1) if parts >= least and p.c % parts == 0)
    return [parts for parts in counts if _are_long(_parted(p, parts), setting)][:TRIED]


def _are_long(parted: Conv2d, setting: Setting) -> bool:
    """Return whether the channels of a part are whole groups, and enough for a sum."""
    how = multiplying.of_conv2d(parted, setting.types, isas.find(setting.isa))
    return parted.cg % how.k_group == 0 and parted.cg * parted.r * parted.s >= LEAST_STEPS


def _parted(p: Conv2d, parts: int) -> Conv2d:
    """Return the convolution whose groups are the parts."""
    return replace(p, k=p.k * parts, groups=parts, epilogue=NO_EPILOGUE)


def added(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write pixels of ``dims[0]`` results: the sums of ``dims[1]`` parts, which are in order."""
    parts, y = buffers[0], buffers[1]
    columns, count = dims[0], dims[1]
    for pixel in range(lo, hi):
        to, first = pixel * columns, pixel * columns * count
        for j in range(columns):
            y[to + j] = parts[first + j] + parts[first + columns + j]
        for part in range(2, count):
            at = first + part * columns
            for j in range(columns):
                y[to + j] += parts[at + j]


def plan(p: Conv2d, setting: Setting, blocking: ConvBlocking) -> Plan:
    """Return the plan of the parts, of the stage that adds them, and of the epilogue."""
    parts = blocking.parts
    tiles = DensePlan(_parted(p, parts), setting)
    tiles.chosen = blocking
    dims = tiles.build()

    def stages(source: str, target: str) -> list[Stage]:
        buffers = tiles.buffers(source, PANELS, PARTS)
        native, fixed = Native(runner_address(len(buffers)), tiles.tiles), bool(blocking.fixed)
        pixels = p.n * p.p * p.q
        return [
            Stage("tiles", native, int(dims[0]), buffers, dims, static_schedule=fixed),
            Stage("add", added, pixels, (PARTS, target), (p.k, parts), work_fraction=0.0),
        ]

    whole = nhwc_plan(p, setting, stages)
    whole.workspaces[PARTS] = Buffer((p.n, p.p, p.q, parts, p.k), setting.types.accumulator)
    whole.lendable_workspaces = frozenset(whole.workspaces)
    whole.packed[PANELS] = _packed(p, parts, tiles.packed())
    if p.epilogue:
        whole.steps.append(unfused_epilogue.stage(p, p.epilogue, setting))
        whole.passes += 1
    whole.executed_flops = 2 * tiles.executed_macs + epilogue.flops(p)
    return whole


def _packed(p: Conv2d, parts: int, of_groups: Packed) -> Packed:
    """Return the packing of the weights: by parts, then as the groups of a convolution."""

    def fill(target: Array, w: Array) -> None:
        by_part = w.reshape(p.k, parts, p.c // parts, p.r, p.s).swapaxes(0, 1)
        of_groups.fill(target, by_part.reshape(parts * p.k, p.c // parts, p.r, p.s))

    return replace(of_groups, rearrange=fill)
