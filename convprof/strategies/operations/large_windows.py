"""Pooling in windows of many elements, each for itself; averages over regions of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.simd.plane_pooling import PlanesTile
from convprof.simd.pooling import RegionTile
from convprof.simd.tiles import TileList, kernel
from convprof.strategies.operations.arranging import copy_stage
from convprof.strategies.operations.nest import Nest, inputs_lying, parts, result_lying
from convprof.strategies.operations.operands import plan_of
from convprof.strategies.operations.stages import Made
from convprof.strategies.operations.windows import Axis, Pooled, Window, channel_parts
from convprof.strategies.plan import Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting


def windows_stage(p: Pooled, windows: list[Window], made: Made) -> Stage:
    """Return the stage that computes each window in every plane of every image."""
    in_nhwc = made.setting.layout == "nhwc"
    return (_each_in_nhwc if in_nhwc else _each_in_nchw)(p, windows, made)


def _each_in_nhwc(p: Pooled, windows: list[Window], made: Made) -> Stage:
    """Return a task for each window, or for some of its channels."""
    tiles = TileList(made.setting.dtype)
    h, w, c = p.rows.size, p.columns.size, p.c
    items = np.arange(p.n)
    for window in windows:
        for first, channels in channel_parts(p.n * len(windows), c, made):
            tile = RegionTile(
                dtype=made.setting.dtype,
                lanes=made.lanes,
                which=p.which,
                height=window.height,
                width=window.width,
                row=w * c,
                pixel=c,
                channels=channels,
                factor=window.factor,
                fused=made.isa.fused,
            )
            x = ((items * h + window.row) * w + window.column) * c + first
            y = ((items * p.rows.out + window.i) * p.columns.out + window.j) * c + first
            tiles.add(kernel(tile, made.isa), x, y)
    return made.stage("pool", tiles, (X, Y))


def _each_in_nchw(p: Pooled, windows: list[Window], made: Made) -> Stage:
    """Return a task for each window in some planes."""
    tiles = TileList(made.setting.dtype)
    h, w = p.rows.size, p.columns.size
    together = max(1, min(made.elements(p.n * p.c * h * w) // (h * w), p.n * p.c))
    for first, planes in parts(p.n * p.c, together):
        for window in windows:
            tile = PlanesTile(
                dtype=made.setting.dtype,
                lanes=made.lanes,
                which=p.which,
                height=window.height,
                width=window.width,
                row=w,
                planes=planes,
                x_plane=h * w,
                y_plane=p.rows.out * p.columns.out,
                factor=window.factor,
                fused=made.isa.fused,
            )
            x = (first * h + window.row) * w + window.column
            y = (first * p.rows.out + window.i) * p.columns.out + window.j
            tiles.add(kernel(tile, made.isa), x, y)
    return made.stage("pool", tiles, (X, Y))


def adaptive_average(problem: Operation, setting: Setting) -> Plan:
    """Return the plan of averages over regions that cover the image."""
    ((n, c, h, w),) = problem.inputs
    _, _, p, q = problem.output
    plan, made = plan_of(problem, setting), Made(setting)
    if (h, w) == (p, q):
        (x,) = inputs_lying(problem, setting.layout)
        nest = Nest(problem.output, (x, result_lying(problem, setting.layout)))
        plan.steps = [copy_stage(nest, (X, Y), made)]
        return plan
    down, across = _regions(h, p), _regions(w, q)
    windows = [
        Window(i, j, row, column, height, width, 1.0 / (height * width))
        for i, (row, height) in enumerate(down)
        for j, (column, width) in enumerate(across)
    ]
    pooled = Pooled(n, c, Axis(h, p, h, h, 0, 0), Axis(w, q, w, w, 0, 0), "avg", count_padding=True)
    plan.steps = [windows_stage(pooled, windows, made)]
    return plan


def _regions(size: int, count: int) -> list[tuple[int, int]]:
    """Return ``(first, length)`` of each region: floor(i x / p) to ceil((i + 1) x / p)."""
    edges = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return [(low, high - low) for low, high in edges]
