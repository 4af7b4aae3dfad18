"""Rows of a table by their numbers, and tensors that are known beforehand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.embedding import EmbeddingRows
from convprof.codegen.tile_list import TileList, kernel
from convprof.strategies.layers.arranging import copy_stage
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    activations,
    input_strides,
    parts,
    plan_of,
    result_strides,
    row_major,
    rows_stage,
)
from convprof.strategies.plan import Plan, X, Y

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting


def embedding(op: ops.Embedding, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a row of a table for every id."""
    context, plan = KernelContext(setting), plan_of(problem)
    (ids,) = problem.inputs
    count = math.prod(ids)
    most = max(1, context.elements(count * op.width) // op.width)
    tiles = TileList()
    for first, some in parts(count, most):
        tile = EmbeddingRows(
            setting.types, context.lanes, some, op.rows, op.width, fused=context.isa.fused
        )
        tiles.add(kernel(tile, context.isa), first, 0, first * op.width)
    plan.steps = [context.stage(op.kind, tiles, (X, "weight", Y))]
    return plan


def chosen_row(_: ops.ChosenRow, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of one row of every item."""
    context, plan = KernelContext(setting), plan_of(problem)
    n, t, c = problem.inputs[0]
    tile = EmbeddingRows(setting.types, context.lanes, 1, t, c, fused=context.isa.fused)
    tiles, item = TileList(), np.arange(n)
    tiles.add_each([kernel(tile, context.isa)], *(item[:, None] * step for step in (1, t * c, c)))
    x, places = activations(problem)
    plan.steps = [context.stage("rows", tiles, (places, x, Y))]
    return plan


def converted(_: ops.Converted, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of rounded numbers within the limits of the result's type."""
    plan = plan_of(problem)
    (strides,) = input_strides(problem, setting.layout)
    nest = Nest(problem.output, (strides, result_strides(problem, setting.layout)))
    least = setting.types.result.lowest
    context, limits = KernelContext(setting), (least, -least)
    plan.steps = [rows_stage("convert", "clip", nest, (X, Y), context, constants=limits)]
    return plan


def known(op: ops.Known, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of a copy of the tensor."""
    plan = plan_of(problem)
    nest = Nest(op.shape, (row_major(op.shape), row_major(op.shape)))
    plan.steps = [copy_stage(nest, ("values", Y), KernelContext(setting))]
    return plan
