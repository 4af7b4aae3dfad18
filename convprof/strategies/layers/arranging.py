"""Copies into another order or place: nothing is computed, whole cache lines are moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.transpose import TransposeTile
from convprof.codegen.tile_list import TileList, kernel
from convprof.errors import RefusedError
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    activations,
    add_blocks,
    input_strides,
    parts,
    plan_of,
    repeated,
    result_strides,
    row_major,
    rows_stage,
)
from convprof.strategies.plan import Plan, Stage, X, Y
from convprof.strategies.transposition import COLUMNS, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.problems.shapes import Shape
    from convprof.strategies.base import Setting


def copy_stage(
    nest: Nest, buffers: tuple[str, str], context: KernelContext, starts: Sequence[int] = (0, 0)
) -> Stage:
    """Return the stage that copies the first array to the second, beginning at ``starts``.

    If no axis is dense in both arrays, squares of the two dense axes are transposed.
    """
    nest = nest.joined()
    source, target = nest.strides
    if source[-1] == target[-1] == 1 or (source[-1], target[-1]) == (0, 1):
        return rows_stage("copy", "copy", nest, buffers, context, starts=starts)
    read = source.index(1) if 1 in source else None
    write = len(target) - 1 if target[-1] == 1 else None
    return _transposed(nest, (write, read), buffers, context, starts)


def _transposed(
    nest: Nest,
    axes: tuple[int | None, int | None],
    buffers: tuple[str, str],
    context: KernelContext,
    starts: Sequence[int],
) -> Stage:
    """Return the stage that transposes along the axes dense in the target and in the source.

    None means an axis of one element.
    """
    write, read = axes
    source, target = nest.strides
    rows, apart = (1, 0) if write is None else (nest.sizes[write], source[write])
    columns, target_row = (1, 0) if read is None else (nest.sizes[read], target[read])
    rest = [axis for axis in range(len(nest.sizes)) if axis not in axes]
    begins = [first + start for first, start in zip(nest.offsets(rest), starts, strict=True)]

    def tile(rows: int, columns: int) -> TransposeTile:
        return TransposeTile(
            types=context.setting.types,
            lanes=context.lanes,
            rows=rows,
            columns=columns,
            source_row=apart,
            target_row=target_row,
        )

    blocks = [
        (i, j, kernel(tile(high, wide), context.isa))
        for j, wide in parts(columns, COLUMNS)
        for i, high in parts(rows, ROWS)
    ]
    tiles = TileList()
    nowhere = np.zeros_like(begins[0]), np.zeros(len(blocks), np.int64)
    add_blocks(
        tiles,
        [block[2] for block in blocks],
        [nowhere[0], nowhere[0], *begins],
        [
            nowhere[1],
            nowhere[1],
            np.array([i * apart + j for i, j, _ in blocks]),
            np.array([i + j * target_row for i, j, _ in blocks]),
        ],
    )
    return context.stage("copy", tiles, (buffers[0], buffers[0], *buffers))


def in_order(_: ops.Flatten | ops.Reshape, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a copy of all elements in the order of the logical shape."""
    (strides,) = input_strides(problem, setting.layout)
    (shape,) = problem.inputs
    return _copied(problem, setting, Nest(shape, (strides, row_major(shape))))


def tokens(_: ops.Tokens, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of an image whose pixels become rows."""
    n, c, h, w = problem.inputs[0]
    (strides,) = input_strides(problem, setting.layout)
    return _copied(problem, setting, Nest((n, c, h, w), (strides, (c * h * w, 1, w * c, c))))


def transpose(op: ops.Transpose, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of axes in another order."""
    (strides,) = input_strides(problem, setting.layout)
    permuted = tuple(strides[axis] for axis in op.axes)
    return _copied(problem, setting, Nest(problem.output, (permuted, row_major(problem.output))))


def rearranged(op: ops.Rearranged, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of one copy for several rearrangements; RefusedError if one is not enough."""
    places = op.strides(problem.inputs[0])
    if places is None:
        raise RefusedError(f"{op.text}: more than one copy")
    nest = Nest(places.shape, (places.strides, row_major(places.shape)))
    return _copied(problem, setting, nest, places.start)


def expand(_: ops.Expand, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of elements that are repeated along axes of size 1."""
    ((strides, shape),) = zip(input_strides(problem, setting.layout), problem.inputs, strict=True)
    nest = Nest(problem.output, (repeated(strides, shape), row_major(problem.output)))
    return _copied(problem, setting, nest)


def cut(op: ops.Slice, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a part of an axis."""
    (strides,) = input_strides(problem, setting.layout)
    nest = Nest(problem.output, (strides, result_strides(problem, setting.layout)))
    return _copied(problem, setting, nest, op.start * strides[op.axis])


def part(op: ops.Part, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of consecutive elements of every row, in another shape."""
    (_, row), shape = problem.inputs[0], problem.output
    source = (row, *row_major(shape)[1:])
    nest = Nest(shape, (source, result_strides(problem, setting.layout)))
    return _copied(problem, setting, nest, op.start)


def select_token(op: ops.SelectToken, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of one token of every image."""
    _, t, c = problem.inputs[0]
    return _copied(problem, setting, Nest(problem.output, ((t * c, 1), (c, 1))), op.index * c)


def upsample(op: ops.Upsample, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of pixels that are repeated."""
    n, c, h, w = problem.inputs[0]
    ((image, channel, row, pixel),) = input_strides(problem, setting.layout)
    source = (image, channel, row, 0, pixel, 0)
    image, channel, row, pixel = result_strides(problem, setting.layout)
    target = (image, channel, op.rows * row, row, op.columns * pixel, pixel)
    nest = Nest((n, c, h, op.rows, w, op.columns), (source, target))
    return _copied(problem, setting, nest)


def _copied(problem: Operation, setting: Setting, nest: Nest, start: int = 0) -> Plan:
    plan = plan_of(problem)
    plan.steps = [copy_stage(nest, (X, Y), KernelContext(setting), (start, 0))]
    return plan


def concat(op: ops.Concat, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of activations one after the other along an axis."""
    strides = input_strides(problem, setting.layout)
    pieces = list(zip(activations(problem), problem.inputs, strides, strict=True))
    return _joined(problem, setting, pieces, op.axis)


def class_token(_: ops.ClassToken, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a learned token before the others."""
    ((n, t, c),) = problem.inputs
    return _joined(
        problem,
        setting,
        [("weight", (n, 1, c), (0, 0, 1)), (X, (n, t, c), row_major((n, t, c)))],
        axis=1,
    )


def _joined(
    problem: Operation,
    setting: Setting,
    pieces: Sequence[tuple[str, Shape, tuple[int, ...]]],
    axis: int,
) -> Plan:
    """Return the plan of pieces, each a buffer, a shape and its strides, along an axis."""
    plan = plan_of(problem)
    target = result_strides(problem, setting.layout)
    at = 0
    for name, shape, strides in pieces:
        nest = Nest(shape, (strides, target))
        plan.steps.append(
            copy_stage(nest, (name, Y), KernelContext(setting), (0, at * target[axis]))
        )
        at += shape[axis]
    return plan
