"""The tiles of a convolution in NHWC, as ``microkernel`` chooses them: pixels x output channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div
from convprof.problems.axis import Axis
from convprof.strategies import memory
from convprof.strategies.base import Setting
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.depthwise_tiles import DepthwisePlan
from convprof.strategies.conv.regions import cover, regions
from convprof.studies.explain.tiling import Images, Tiling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Conv2d
    from convprof.strategies.conv.regions import Region
    from convprof.strategies.conv.register_tiles import TilePlan

    Integers = np.ndarray[Any, np.dtype[np.int64]]

WORD = 8
"""Bytes of an index."""


def tiling(p: Conv2d) -> Tiling:
    """Return the tiles of one image and one group, on one thread.

    Raises TooLargeError where listing the tiles would not fit the memory.
    """
    # Listing pixels, taps and channels takes a few dozen bytes each.
    listed = p.p * p.q + p.r * p.s * p.cg + p.k
    memory.require(8 * WORD * listed, f"listing the tiles of {p.descriptor}")
    depthwise = p.cg == p.kg == 1
    plan = (DepthwisePlan if depthwise else DensePlan)(p, Setting(layout="nhwc"))
    chosen = plan.chosen
    n = p.c if depthwise else p.kg
    depth = 1 if depthwise else p.cg
    nr = chosen.vectors * plan.lanes
    panels = ceil_div(n, nr)
    uses = [use for first in range(0, p.p, chosen.block_rows) for use in _uses(p, plan, first)]
    shown = _shown(p, plan)
    channels = n if depthwise else p.cg
    seen = _touched(p)
    blocks = ceil_div(p.p, chosen.block_rows)
    taps = p.r * p.s * depth
    return Tiling(
        strategy="microkernel",
        words=("pixel", "channel", "tap"),
        m=p.p * p.q,
        n=n,
        k=taps,
        mr=len(shown.pixels),
        nr=nr,
        vectors=chosen.vectors,
        mc=chosen.block_rows * p.q,
        nc=n,
        kc=taps,
        block=(shown.first * p.q, 0, 0),
        tile_rows=shown.pixels @ np.array([p.q, 1]),
        tile_column=nr if n > nr else 0,
        macs=sum(use.pixels * use.taps for use in uses) * depth * n,
        register_loads=depth * sum(_loads(use, n, n if depthwise else panels) for use in uses),
        a_elements=seen * channels,
        a_block=(_block_rows(p, shown.first, chosen.block_rows) * p.w, channels),
        a_tile=(len(shown.read), min(nr, n) if depthwise else p.cg),
        # Rows that two blocks share are still in the cache when the second one comes.
        a_reads=seen * channels,
        b_reads=taps * n * blocks,
        one_of=((p.n, "images"), (1 if depthwise else p.groups, "groups")),
        images=Images((p.p, p.q), (p.h, p.w), shown.pixels, shown.read),
        depthwise=depthwise,
    )


@dataclass(frozen=True)
class _Use:
    """Register tiles of one shape: how many, and their pixels and taps."""

    tiles: int
    pixels: int
    """Of all of them."""
    taps: int


def _loads(use: _Use, n: int, a_times: int) -> int:
    """Return the elements loaded: each pixel once per panel of channels, the weights per tile."""
    return use.taps * (use.pixels * a_times + use.tiles * n)


def _covers(p: Conv2d, plan: TilePlan, first: int) -> Iterator[tuple[Region, Any]]:
    last = min(first + plan.chosen.block_rows, p.p)
    for region in regions(p, first, last):
        rows, columns = region.rows, region.columns
        height, width = rows.last - rows.first, columns.last - columns.first
        yield region, cover(height, width, plan.chosen.rows)


def _uses(p: Conv2d, plan: TilePlan, first: int) -> Iterator[_Use]:
    for region, patterns in _covers(p, plan, first):
        for pattern, starts in patterns.items():
            yield _Use(len(starts), len(starts) * len(pattern), len(region.taps))


@dataclass(frozen=True)
class _Shown:
    """One register tile: its output pixels, and the input pixels that they read."""

    first: int
    """The first output row of its block."""
    pixels: Integers
    read: Integers


def _shown(p: Conv2d, plan: TilePlan) -> _Shown:
    """Return a tile of the commonest shape in the middle block."""
    blocks = ceil_div(p.p, plan.chosen.block_rows)
    first = blocks // 2 * plan.chosen.block_rows
    region, pattern, starts = max(
        (
            (region, pattern, starts)
            for region, patterns in _covers(p, plan, first)
            for pattern, starts in patterns.items()
        ),
        key=lambda cover: len(cover[1]) * len(cover[2]) * len(cover[0].taps),
    )
    start = starts[len(starts) // 2]
    pixels = np.array(pattern, np.int64) + start + (region.rows.first, region.columns.first)
    taps = np.array(region.taps, np.int64).reshape(-1, 2)
    corner = pixels * p.stride - p.pads[:2]
    memory.require(4 * WORD * len(corner) * len(taps), f"the inputs of a tile of {p.descriptor}")
    read = (corner[:, None] + taps * p.dilation).reshape(-1, 2)
    return _Shown(first, pixels, np.unique(read, axis=0))


def _touched(p: Conv2d) -> int:
    """Return how many input pixels some output reads."""
    top, left, _, _ = p.pads
    rows = Axis(p.h, p.r, p.stride[0], p.dilation[0]).touched(p.p, top)
    return rows * Axis(p.w, p.s, p.stride[1], p.dilation[1]).touched(p.q, left)


def _block_rows(p: Conv2d, first: int, rows: int) -> int:
    """Return from how many input rows a block of output rows reads."""
    reach = (p.r - 1) * p.dilation[0] + 1
    last = min(first + rows, p.p) - 1
    low = max(0, first * p.stride[0] - p.pads[0])
    high = min(p.h, last * p.stride[0] - p.pads[0] + reach)
    return max(0, high - low)
