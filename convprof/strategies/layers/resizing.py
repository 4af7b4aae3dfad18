"""Linear interpolation of images: both axes at once in NCHW, rows and then columns in NHWC."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.elementwise import Operand, RowsTile
from convprof.codegen.kernels.resize import ResizedRows
from convprof.codegen.tile_list import TileList, kernel
from convprof.integers import round_up
from convprof.strategies.layers.stages import KernelContext, parts, plan_of
from convprof.strategies.plan import Buffer, Packed, Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.problems.ops.resizing import Neighbours
    from convprof.strategies.base import Setting

ROWS, COLUMNS = "row distances", "column distances"
BETWEEN = "between rows"
"""The image with its rows interpolated, in NHWC."""
VECTORS = 8
"""Vectors of results of a tile in NCHW: with whole factors, most tiles have one kernel."""
TOGETHER = 16
"""Rows of a tile in NHWC, which writes one column: the lines of its neighbour stay in the cache."""


def resize(op: ops.Resize, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a linear interpolation."""
    plan, context = plan_of(problem), KernelContext(setting)
    h, w = problem.inputs[0][2:]
    rows, columns = op.neighbours(h, 0), op.neighbours(w, 1)
    plan.packed = {ROWS: _distances(rows, setting)}
    if setting.layout == "nhwc":
        n, c, p, _ = problem.output
        plan.packed[COLUMNS] = _distances(columns, setting)
        plan.workspaces = {BETWEEN: Buffer((n, p, w, c), setting.types.accumulator)}
        plan.lendable_workspaces = frozenset({BETWEEN})
        plan.steps = [_between_rows(problem, rows, context)]
        plan.steps.append(_between_columns(problem, columns, context))
    else:
        plan.steps = [_in_nchw(problem, rows, columns, context)]
    return plan


def _distances(neighbours: Neighbours, setting: Setting) -> Packed:
    distance = neighbours.distance
    return Packed(Buffer(distance.shape, setting.types.accumulator), lambda: distance, ())


def _in_nchw(
    problem: Operation, rows: Neighbours, columns: Neighbours, context: KernelContext
) -> Stage:
    """Return a task for each row of the result in some planes."""
    ((n, c, h, w),), (_, _, p, q) = problem.inputs, problem.output
    tiles = TileList()
    together = max(1, context.elements(n * c * p * q) // q)
    for plane, planes in parts(n * c, together):
        kernels, firsts, places = [], [], []
        for place, count in parts(q, VECTORS * context.lanes):
            part = slice(place, place + count)
            first = int(columns.before[place])
            needed = int(columns.after[place + count - 1]) + 1 - first
            tile = ResizedRows(
                types=context.setting.types,
                lanes=context.lanes,
                planes=planes,
                x_plane=h * w,
                y_plane=p * q,
                pixels=min(w - first, round_up(needed, context.lanes)),
                before=tuple((columns.before[part] - first).tolist()),
                after=tuple((columns.after[part] - first).tolist()),
                distances=tuple(columns.distance[part].tolist()),
                fused=context.isa.fused,
            )
            kernels.append(kernel(tile, context.isa))
            firsts.append(first)
            places.append(place)
        above, below = (
            (plane * h + each[:, None]) * w + np.array(firsts) for each in (rows.before, rows.after)
        )
        row = np.arange(p)[:, None]
        y = (plane * p + row) * q + np.array(places)
        tiles.add_each(kernels, above, below, row, y, tasks=True)
    return context.stage("resize", tiles, (X, X, ROWS, Y))


def _between_rows(problem: Operation, rows: Neighbours, context: KernelContext) -> Stage:
    """Return the interpolation of whole rows of pixels with their channels."""
    ((n, c, h, w),), p = problem.inputs, problem.output[2]
    tiles = TileList()
    items, row = np.arange(n)[:, None, None], np.arange(p)[:, None]
    pieces = parts(w * c, context.elements(n * p * w * c))
    within = np.array([first for first, _ in pieces])
    above, below = (
        ((items * h + each[:, None]) * w * c + within).reshape(n * p, -1)
        for each in (rows.before, rows.after)
    )
    y = ((items * p + row) * w * c + within).reshape(n * p, -1)
    of = context.setting.types
    to_between = replace(of, result=of.accumulator)
    kernels = [
        kernel(_tile(context, to_between, (1, length), (0, 0, 0)), context.isa)
        for _, length in pieces
    ]
    tiles.add_each(kernels, above, below, np.tile(row, (n, 1)), y)
    return context.stage("resize rows", tiles, (X, X, ROWS, BETWEEN))


def _between_columns(problem: Operation, columns: Neighbours, context: KernelContext) -> Stage:
    """Return the interpolation of pixels, a column of some rows at a time."""
    (n, c, p, q), w = problem.output, problem.inputs[0][3]
    of = context.setting.types
    from_between = replace(of, source=of.accumulator)
    tiles = TileList()
    for first, rows in parts(n * p, TOGETHER):
        before, after = ((first * w + each) * c for each in (columns.before, columns.after))
        column = np.arange(q)
        tile = kernel(_tile(context, from_between, (rows, c), (w * c, w * c, q * c)), context.isa)
        y = (first * q + column) * c
        offsets = (each[None, :] for each in (before, after, column, y))
        tiles.add_each([tile] * q, *offsets, tasks=True)
    return context.stage("resize columns", tiles, (BETWEEN, BETWEEN, COLUMNS, Y))


def _tile(
    context: KernelContext, types: Types, sizes: tuple[int, int], apart: tuple[int, int, int]
) -> RowsTile:
    """Return the interpolation between two arrays at one distance; ``apart`` is between rows."""
    first, second, result = apart
    return RowsTile(
        types=types,
        lanes=context.lanes,
        rows=sizes[0],
        length=sizes[1],
        operands=(
            Operand(first, across=True),
            Operand(second, across=True),
            Operand(0, across=False, role="accumulator"),
        ),
        y_row=result,
        step="between",
        registers=context.isa.registers,
        fused=context.isa.fused,
    )
