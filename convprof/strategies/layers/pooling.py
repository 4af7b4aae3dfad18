"""Pooling: windows of an image, in NHWC with vectors along the channels, in NCHW along the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.pooling import ChannelsTile, ImageRowsTile, PlanesTile, RegionTile
from convprof.codegen.tile_list import TileList, kernel
from convprof.integers import ceil_div
from convprof.strategies.layers.arranging import copy_stage
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    input_strides,
    parts,
    plan_of,
    result_strides,
)
from convprof.strategies.layers.windows import Axis, Pooled, Window, channel_parts
from convprof.strategies.plan import Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting


WRITTEN_OUT = 32
"""The most taps of a window that is unrolled; larger windows are loops."""
PIXELS = 4
"""Windows of a tile in NHWC: neighbours share the pixels of their overlap."""
VECTORS = 4
"""Vectors of results per tile in NCHW."""


def pool(op: ops.Pool2d, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of windows of one size."""
    pooled, context = Pooled.of(op, problem), KernelContext(setting)
    plan = plan_of(problem)
    if pooled.taps > WRITTEN_OUT:
        stage = windows_stage(pooled, pooled.windows(), context)
    else:
        stage = (_in_nhwc if setting.layout == "nhwc" else _in_nchw)(pooled, context)
    plan.steps = [stage]
    return plan


def _in_nhwc(p: Pooled, context: KernelContext) -> Stage:
    """Return a task for each row of results, or for some of its channels."""
    tiles = TileList()
    rows, columns, c = p.rows, p.columns, p.c
    for item in range(p.n):
        for down, across in p.regions():
            i = np.arange(down.first, down.last)[:, None]
            for first, channels in channel_parts(p.n * rows.out, c, context):
                kernels, x_places, y_places = [], [], []
                for span in across:
                    for begin, count in parts(span.last - span.first, PIXELS):
                        q = span.first + begin
                        tile = ChannelsTile(
                            types=context.setting.types,
                            lanes=context.lanes,
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
                            fused=context.isa.fused,
                        )
                        kernels.append(kernel(tile, context.isa))
                        x_places.append(q * columns.stride - columns.before + span.low)
                        y_places.append(q)
                line = item * rows.size + i * rows.stride - rows.before + down.low
                x = (line * columns.size + np.array(x_places)) * c + first
                y = ((item * rows.out + i) * columns.out + np.array(y_places)) * c + first
                tiles.add_each(kernels, x, y, tasks=True)
    return context.stage("pool", tiles, (X, Y))


def _in_nchw(p: Pooled, context: KernelContext) -> Stage:
    """Return a task for the rows of a plane that use the same rows of their window."""
    tiles = TileList()
    rows, columns = p.rows, p.columns
    planes = np.arange(p.n * p.c)[:, None]
    counted = [
        span for span in columns.spans(count_padding=p.count_padding) for _ in range(*span[:2])
    ]
    for down, _ in p.regions():
        kernels, x_places, y_places = [], [], []
        for q, results in parts(columns.out, VECTORS * context.lanes):
            start = q * columns.stride - columns.before
            end = start + (results - 1) * columns.stride + columns.window
            first, last = max(0, start), min(columns.size, end)
            tile = ImageRowsTile(
                types=context.setting.types,
                lanes=context.lanes,
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
                fused=context.isa.fused,
            )
            kernels.append(kernel(tile, context.isa))
            line = down.first * rows.stride - rows.before + down.low
            x_places.append(line * columns.size + first)
            y_places.append(down.first * columns.out + q)
        x = planes * rows.size * columns.size + np.array(x_places)
        y = planes * rows.out * columns.out + np.array(y_places)
        tiles.add_each(kernels, x, y, tasks=True)
    return context.stage("pool", tiles, (X, Y))


# Pooling in large windows, each computed separately; averages over regions of an image.


def windows_stage(p: Pooled, windows: list[Window], context: KernelContext) -> Stage:
    """Return the stage that computes each window in every plane of every image."""
    in_nhwc = context.setting.layout == "nhwc"
    return (_each_in_nhwc if in_nhwc else _each_in_nchw)(p, windows, context)


def _each_in_nhwc(p: Pooled, windows: list[Window], context: KernelContext) -> Stage:
    """Return a task for each window, or for some of its channels."""
    tiles = TileList()
    h, w, c = p.rows.size, p.columns.size, p.c
    items = np.arange(p.n)
    for window in windows:
        for first, channels in channel_parts(p.n * len(windows), c, context):
            tile = RegionTile(
                types=context.setting.types,
                lanes=context.lanes,
                which=p.which,
                height=window.height,
                width=window.width,
                row=w * c,
                pixel=c,
                channels=channels,
                factor=window.factor,
                fused=context.isa.fused,
            )
            x = ((items * h + window.row) * w + window.column) * c + first
            y = ((items * p.rows.out + window.i) * p.columns.out + window.j) * c + first
            tiles.add(kernel(tile, context.isa), x, y)
    return context.stage("pool", tiles, (X, Y))


def _each_in_nchw(p: Pooled, windows: list[Window], context: KernelContext) -> Stage:
    """Return a task for each window in some planes."""
    tiles = TileList()
    h, w = p.rows.size, p.columns.size
    together = max(1, min(context.elements(p.n * p.c * h * w) // (h * w), p.n * p.c))
    for first, planes in parts(p.n * p.c, together):
        for window in windows:
            tile = PlanesTile(
                types=context.setting.types,
                lanes=context.lanes,
                which=p.which,
                height=window.height,
                width=window.width,
                row=w,
                planes=planes,
                x_plane=h * w,
                y_plane=p.rows.out * p.columns.out,
                factor=window.factor,
                fused=context.isa.fused,
            )
            x = (first * h + window.row) * w + window.column
            y = (first * p.rows.out + window.i) * p.columns.out + window.j
            tiles.add(kernel(tile, context.isa), x, y)
    return context.stage("pool", tiles, (X, Y))


def adaptive_average(_: ops.AdaptiveAverage, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of averages over regions that cover the image."""
    ((n, c, h, w),) = problem.inputs
    p, q = problem.output[2:]
    plan, context = plan_of(problem), KernelContext(setting)
    if (h, w) == (p, q):
        (x,) = input_strides(problem, setting.layout)
        nest = Nest(problem.output, (x, result_strides(problem, setting.layout)))
        plan.steps = [copy_stage(nest, (X, Y), context)]
        return plan
    down, across = _regions(h, p), _regions(w, q)
    windows = [
        Window(i, j, row, column, height, width, 1.0 / (height * width))
        for i, (row, height) in enumerate(down)
        for j, (column, width) in enumerate(across)
    ]
    pooled = Pooled(n, c, Axis(h, p, h, h, 0, 0), Axis(w, q, w, w, 0, 0), "avg", count_padding=True)
    plan.steps = [windows_stage(pooled, windows, context)]
    return plan


def _regions(size: int, count: int) -> list[tuple[int, int]]:
    """Return ``(first, length)`` of each region: floor(i x / p) to ceil((i + 1) x / p)."""
    edges = [(i * size // count, ceil_div((i + 1) * size, count)) for i in range(count)]
    return [(low, high - low) for low, high in edges]
