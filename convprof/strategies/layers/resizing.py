"""Interpolation of images: both axes at once in NCHW, rows and then columns in NHWC."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.resize import ResizedRows, WeightedRows
from convprof.codegen.tile_list import TileList, kernel
from convprof.integers import ceil_div, round_up
from convprof.strategies.layers.stages import KernelContext, parts, plan_of
from convprof.strategies.plan import Buffer, Packed, Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.codegen.tile_list import TileKernel
    from convprof.dtypes import Types
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.problems.ops.resizing import Taps
    from convprof.strategies.base import Setting

ROWS, COLUMNS = "row weights", "column weights"
BETWEEN = "between rows"
"""The image with its rows interpolated, in NHWC."""
VECTORS, MOST_PICKS = 8, 256
"""Vectors of results of a tile in NCHW: with whole factors, most tiles have one kernel. Fewer, if
these take more permutations: the length of a kernel's code."""
TOGETHER = 16
"""Rows of a tile in NHWC, which writes one column: the lines of its neighbour stay in the cache."""


def resize(op: ops.Resize, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of an interpolation."""
    plan, context = plan_of(problem), KernelContext(setting)
    h, w = problem.inputs[0][2:]
    rows, columns = op.taps(h, 0), op.taps(w, 1)
    plan.packed = {ROWS: _weights(rows, setting)}
    if setting.layout == "nhwc":
        n, c, p, _ = problem.output
        plan.packed[COLUMNS] = _weights(columns, setting)
        plan.workspaces = {BETWEEN: Buffer((n, p, w, c), setting.types.accumulator)}
        plan.lendable_workspaces = frozenset({BETWEEN})
        plan.steps = [_between_rows(problem, rows, context)]
        plan.steps.append(_between_columns(problem, columns, context))
    else:
        plan.steps = [_in_nchw(problem, rows, columns, context)]
    return plan


def _weights(taps: Taps, setting: Setting) -> Packed:
    weights = taps.weights
    return Packed(Buffer(weights.shape, setting.types.accumulator), lambda: weights, ())


def _in_nchw(problem: Operation, rows: Taps, columns: Taps, context: KernelContext) -> Stage:
    """Return a task for each row of the result in some planes."""
    ((n, c, h, w),), (_, _, p, q) = problem.inputs, problem.output
    tiles = TileList()
    together = max(1, context.elements(n * c * p * q) // q)
    pieces = [slice(*bounds) for bounds in _pieces(columns, context)]
    firsts = np.array([columns.pixels[piece.start, 0] for piece in pieces])
    row = np.arange(p)[:, None]
    for plane, planes in parts(n * c, together):
        kernels = [
            kernel(_part_of_row(problem, (rows, columns), piece, planes, context), context.isa)
            for piece in pieces
        ]
        x = ((plane * h + each[:, None]) * w + firsts for each in rows.pixels.T)
        y = (plane * p + row) * q + np.array([piece.start for piece in pieces])
        tiles.add_each(kernels, *x, row * rows.per_result, y, tasks=True)
    return context.stage("resize", tiles, (*[X] * rows.per_result, ROWS, Y))


def _part_of_row(
    problem: Operation, taps: tuple[Taps, Taps], piece: slice, planes: int, context: KernelContext
) -> ResizedRows:
    """Return the tile of a part of a row, which reads the image from its own first pixel on."""
    (_, _, h, w), (_, _, p, q) = problem.inputs[0], problem.output
    rows, columns = taps
    pixels, weights = columns.pixels[piece].T, columns.weights[piece].T
    first, last = int(pixels[0, 0]), int(pixels[-1, -1])
    return ResizedRows(
        types=context.setting.types,
        lanes=context.lanes,
        taps=rows.per_result,
        planes=planes,
        x_plane=h * w,
        y_plane=p * q,
        pixels=min(w - first, round_up(last + 1 - first, context.lanes)),
        columns=tuple(map(tuple, (pixels - first).tolist())),
        weights=tuple(map(tuple, weights.tolist())),
        fused=context.isa.fused,
    )


def _pieces(columns: Taps, context: KernelContext) -> list[tuple[int, int]]:
    """Return the bounds of the parts of a row."""
    pixels = columns.pixels[: context.lanes]
    span = ceil_div(int(pixels[-1, -1] - pixels[0, 0]) + 1, context.lanes)
    vectors = max(1, min(VECTORS, MOST_PICKS // ((span + 1) * columns.per_result)))
    return [
        (first, first + count)
        for first, count in parts(len(columns.pixels), vectors * context.lanes)
    ]


def _between_rows(problem: Operation, rows: Taps, context: KernelContext) -> Stage:
    """Return the interpolation of whole rows of pixels with their channels."""
    ((n, c, h, w),), p = problem.inputs, problem.output[2]
    tiles = TileList()
    items, row = np.arange(n)[:, None, None], np.arange(p)[:, None]
    pieces = parts(w * c, context.elements(n * p * w * c))
    within = np.array([first for first, _ in pieces])
    x = (
        ((items * h + each[:, None]) * w * c + within).reshape(n * p, -1) for each in rows.pixels.T
    )
    y = ((items * p + row) * w * c + within).reshape(n * p, -1)
    of = context.setting.types
    to_between = replace(of, result=of.accumulator)
    kernels = [_tile(context, to_between, rows, (1, length), (0, 0)) for _, length in pieces]
    tiles.add_each(kernels, *x, np.tile(row * rows.per_result, (n, 1)), y)
    return context.stage("resize rows", tiles, (*[X] * rows.per_result, ROWS, BETWEEN))


def _between_columns(problem: Operation, columns: Taps, context: KernelContext) -> Stage:
    """Return the interpolation of pixels, a column of some rows at a time."""
    (n, c, p, q), w = problem.output, problem.inputs[0][3]
    of = context.setting.types
    from_between = replace(of, source=of.accumulator)
    tiles, column = TileList(), np.arange(q)
    for first, rows in parts(n * p, TOGETHER):
        tile = _tile(context, from_between, columns, (rows, c), (w * c, q * c))
        x = ((first * w + each) * c for each in columns.pixels.T)
        offsets = (*x, column * columns.per_result, (first * q + column) * c)
        tiles.add_each([tile] * q, *(each[None, :] for each in offsets), tasks=True)
    buffers = *[BETWEEN] * columns.per_result, COLUMNS, Y
    return context.stage("resize columns", tiles, buffers)


def _tile(
    context: KernelContext, types: Types, taps: Taps, sizes: tuple[int, int], apart: tuple[int, int]
) -> TileKernel:
    """Return the weighted sums of (rows, length); ``apart`` is from row to row."""
    tile = WeightedRows(
        types=types,
        lanes=context.lanes,
        taps=taps.per_result,
        rows=sizes[0],
        length=sizes[1],
        x_row=apart[0],
        y_row=apart[1],
        fused=context.isa.fused,
    )
    return kernel(tile, context.isa)
