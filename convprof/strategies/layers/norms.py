"""Norms and softmax: sums along rows, or along columns for an image in NCHW."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.normalisation import (
    InstanceNormColumns,
    InstanceNormRows,
    LayerNormColumns,
    LayerNormRows,
    RmsNormRows,
    SoftmaxRows,
)
from convprof.codegen.kernels.response_norm import Response, ResponseColumns, ResponseRows
from convprof.codegen.tile_list import TileList, kernel
from convprof.problems.shapes import channel_axis
from convprof.strategies.layers.arranging import copy_stage
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    input_strides,
    parts,
    plan_of,
    result_strides,
)
from convprof.strategies.plan import Buffer, Packed, Plan, Stage, X, Y

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting

VECTORS = 4
"""Vectors of pixels of a tile where channels are not contiguous."""
ORDERED = "ordered"


def layer_norm(op: ops.LayerNorm, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the channels of a pixel or token, normalised."""
    context, plan = KernelContext(setting), plan_of(problem)
    (strides,) = input_strides(problem, setting.layout)
    axis = channel_axis(problem.output)
    channels = problem.output[axis]
    if not op.bias:
        zeros = Buffer((channels,), setting.types.weights)
        plan.packed = {"bias": Packed(zeros, lambda: np.zeros(channels), ())}
    if strides[axis] == 1:
        rows = math.prod(problem.output) // channels

        def tile(rows: int) -> LayerNormRows:
            return LayerNormRows(
                setting.types, context.lanes, rows, channels, op.eps, fused=context.isa.fused
            )

        plan.steps = [
            _rows("layer norm", (rows, channels), tile, (X, "weight", "bias", Y), context)
        ]
    else:
        _, _, h, w = problem.output

        def column(pixels: int) -> LayerNormColumns:
            return LayerNormColumns(
                setting.types,
                context.lanes,
                pixels,
                channels,
                h * w,
                op.eps,
                fused=context.isa.fused,
            )

        plan.steps = [_columns("layer norm", problem, column, (X, "weight", "bias", Y), context)]
    return plan


def rms_norm(op: ops.RmsNorm, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the channels of a token, divided by the root of their mean square."""
    context, plan = KernelContext(setting), plan_of(problem)
    channels = problem.output[-1]
    rows = math.prod(problem.output) // channels

    def tile(rows: int) -> RmsNormRows:
        return RmsNormRows(
            setting.types, context.lanes, rows, channels, op.eps, fused=context.isa.fused
        )

    plan.steps = [_rows(op.kind, (rows, channels), tile, (X, "weight", Y), context)]
    return plan


def instance_norm(op: ops.InstanceNorm, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the pixels of each channel, normalised."""
    context, plan = KernelContext(setting), plan_of(problem)
    n, c, h, w = problem.output
    buffers = (X, "weight", "bias", Y)
    tiles = TileList()
    types, lanes, fused = setting.types, context.lanes, context.isa.fused
    if setting.layout == "nchw":
        blocks = parts(c, max(1, context.elements(n * c * h * w) // (h * w)))
        kernels = [
            kernel(InstanceNormRows(types, lanes, rows, h * w, op.eps, fused=fused), context.isa)
            for _, rows in blocks
        ]
        apart = h * w
    else:
        blocks = parts(c, VECTORS * lanes)
        kernels = [
            kernel(
                InstanceNormColumns(types, lanes, some, h * w, c, op.eps, fused=fused), context.isa
            )
            for _, some in blocks
        ]
        apart = 1
    channels = np.array([first for first, _ in blocks])
    places = np.arange(n)[:, None] * c * h * w + channels * apart
    tiles.add_each(kernels, places, channels, channels, places)
    plan.steps = [context.stage(op.kind, tiles, buffers)]
    return plan


def response_norm(op: ops.ResponseNorm, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of each channel of a pixel over a power of its neighbours' squares."""
    context, plan = KernelContext(setting), plan_of(problem)
    n, c, h, w = problem.output
    (strides,) = input_strides(problem, setting.layout)
    before, after = op.window
    response = Response(c, before, after, op.alpha / op.size, op.bias, round(4 * op.beta))
    if strides[1] == 1:

        def tile(rows: int) -> ResponseRows:
            return ResponseRows(
                setting.types, context.lanes, rows, response, fused=context.isa.fused
            )

        plan.steps = [_rows(problem.op.kind, (n * h * w, c), tile, (X, Y), context)]
    else:

        def column(pixels: int) -> ResponseColumns:
            return ResponseColumns(
                setting.types, context.lanes, pixels, response, h * w, fused=context.isa.fused
            )

        plan.steps = [_columns(op.kind, problem, column, (X, Y), context)]
    return plan


def _columns(
    phase: str,
    problem: Operation,
    tile: Callable[[int], LayerNormColumns | ResponseColumns],
    buffers: tuple[str, ...],
    context: KernelContext,
) -> Stage:
    """Return the stage over some pixels of every image; vectors per channel are shared."""
    n, c, h, w = problem.output
    tiles = TileList()
    blocks = parts(h * w, VECTORS * context.lanes)
    kernels = [kernel(tile(count), context.isa) for _, count in blocks]
    places = np.arange(n)[:, None] * c * h * w + np.array([first for first, _ in blocks])
    tiles.add_each(kernels, places, *[0] * (len(buffers) - 2), places)
    return context.stage(phase, tiles, buffers)


def softmax(_: ops.Softmax, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a softmax along the last axis."""
    return _softmax(problem, setting, is_log=False)


def log_softmax(_: ops.LogSoftmax, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of the logarithm of a softmax along the last axis."""
    return _softmax(problem, setting, is_log=True)


def _softmax(problem: Operation, setting: Setting, *, is_log: bool) -> Plan:
    context, plan = KernelContext(setting), plan_of(problem)
    (strides,) = input_strides(problem, setting.layout)
    shape = problem.output
    source = X
    if strides != result_strides(problem, setting.layout):
        # An image in NHWC: its last axis is not dense, and its result is no image.
        source = ORDERED
        plan.workspaces = {ORDERED: Buffer(shape, setting.types.source)}
        plan.lendable_workspaces = frozenset({ORDERED})
        nest = Nest(shape, (strides, result_strides(problem, setting.layout)))
        plan.steps = [copy_stage(nest, (X, ORDERED), context)]
    rows, length = math.prod(shape[:-1]), shape[-1]

    def tile(rows: int) -> SoftmaxRows:
        return SoftmaxRows(
            setting.types,
            context.lanes,
            rows,
            length,
            is_log,
            fused=context.isa.fused,
        )

    plan.steps.append(_rows(problem.op.kind, (rows, length), tile, (source, Y), context))
    return plan


def _rows(
    phase: str,
    shape: tuple[int, int],
    tile: Callable[[int], LayerNormRows | ResponseRows | RmsNormRows | SoftmaxRows],
    buffers: tuple[str, ...],
    context: KernelContext,
) -> Stage:
    """Return the stage over whole rows; threads share all buffers but the first and last."""
    rows, length = shape
    per_tile = max(1, context.elements(rows * length) // length)
    tiles = TileList()
    for first, count in parts(rows, per_tile):
        place = first * length
        tiles.add(kernel(tile(count), context.isa), place, *[0] * (len(buffers) - 2), place)
    return context.stage(phase, tiles, buffers)
