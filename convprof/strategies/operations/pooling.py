"""Pooling: windows of an image, in NHWC with vectors along the channels, in NCHW along the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.simd.plane_pooling import ImageRowsTile
from convprof.simd.pooling import ChannelsTile
from convprof.simd.tiles import TileList, kernel
from convprof.strategies.operations.large_windows import windows_stage
from convprof.strategies.operations.nest import parts
from convprof.strategies.operations.operands import plan_of
from convprof.strategies.operations.stages import Made
from convprof.strategies.operations.windows import Pooled, channel_parts
from convprof.strategies.plan import Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting

WRITTEN_OUT = 32
"""Windows of at most so many taps are written out; larger ones are loops."""
PIXELS = 4
"""Windows of a tile in NHWC: neighbours share what they both meet."""
VECTORS = 4
"""Vectors of results of a tile in NCHW."""


def pool(problem: Operation, setting: Setting) -> Plan:
    """Return the plan of windows of one size."""
    pooled, made = Pooled.of(problem), Made(setting)
    plan = plan_of(problem, setting)
    if pooled.taps > WRITTEN_OUT:
        stage = windows_stage(pooled, pooled.windows(), made)
    else:
        stage = (_in_nhwc if setting.layout == "nhwc" else _in_nchw)(pooled, made)
    plan.steps = [stage]
    return plan


def _in_nhwc(p: Pooled, made: Made) -> Stage:
    """Return a task for each row of results, or for some of its channels."""
    tiles = TileList(made.setting.dtype)
    rows, columns, c = p.rows, p.columns, p.c
    for item in range(p.n):
        for down, across in p.regions():
            i = np.arange(down.first, down.last)[:, None]
            for first, channels in channel_parts(p.n * rows.out, c, made):
                kernels, x_places, y_places = [], [], []
                for span in across:
                    for begin, count in parts(span.last - span.first, PIXELS):
                        q = span.first + begin
                        tile = ChannelsTile(
                            dtype=made.setting.dtype,
                            lanes=made.lanes,
                            which=p.which,
                            pixels=tuple(j * columns.stride * c for j in range(count)),
                            taps=tuple(
                                (r * columns.size + s) * c
                                for r in range(down.high - down.low)
                                for s in range(span.high - span.low)
                            ),
                            y_pixels=tuple(j * c for j in range(count)),
                            channels=channels,
                            factor=p.factor(down, span),
                            fused=made.isa.fused,
                        )
                        kernels.append(kernel(tile, made.isa))
                        x_places.append(q * columns.stride - columns.before + span.low)
                        y_places.append(q)
                line = item * rows.size + i * rows.stride - rows.before + down.low
                x = (line * columns.size + np.array(x_places)) * c + first
                y = ((item * rows.out + i) * columns.out + np.array(y_places)) * c + first
                tiles.add_each(kernels, x, y, tasks=True)
    return made.stage("pool", tiles, (X, Y))


def _in_nchw(p: Pooled, made: Made) -> Stage:
    """Return a task for the rows of a plane that are alike."""
    tiles = TileList(made.setting.dtype)
    rows, columns = p.rows, p.columns
    planes = np.arange(p.n * p.c)[:, None]
    counted = [
        span for span in columns.spans(count_padding=p.count_padding) for _ in range(*span[:2])
    ]
    for down, _ in p.regions():
        kernels, x_places, y_places = [], [], []
        for q, results in parts(columns.out, VECTORS * made.lanes):
            start = q * columns.stride - columns.before
            end = start + (results - 1) * columns.stride + columns.window
            first, last = max(0, start), min(columns.size, end)
            tile = ImageRowsTile(
                dtype=made.setting.dtype,
                lanes=made.lanes,
                which=p.which,
                rows=down.last - down.first,
                taps=down.high - down.low,
                x_row=columns.size,
                x_step=rows.stride * columns.size,
                y_row=columns.out,
                before=first - start,
                columns=last - first,
                window=columns.window,
                stride=columns.stride,
                factors=tuple(p.factor(down, span) for span in counted[q : q + results]),
                fused=made.isa.fused,
            )
            kernels.append(kernel(tile, made.isa))
            line = down.first * rows.stride - rows.before + down.low
            x_places.append(line * columns.size + first)
            y_places.append(down.first * columns.out + q)
        x = planes * rows.size * columns.size + np.array(x_places)
        y = planes * rows.out * columns.out + np.array(y_places)
        tiles.add_each(kernels, x, y, tasks=True)
    return made.stage("pool", tiles, (X, Y))
