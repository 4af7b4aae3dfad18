"""Recurrent layers: one product for the inputs of all steps, then step after step.

A step is one stage: its tasks are vectors of units, each with the panel of the recurrent matrix
that ``bind`` has packed for it. A thread has the same units in every step, and so the same panels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.recurrent import RecurrentStep
from convprof.codegen.tile_list import TileList, kernel
from convprof.integers import ceil_div
from convprof.problems import Gemm
from convprof.strategies import sums
from convprof.strategies.gemm.prepacked import Prepacked
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    activations,
    parts,
    plan_of,
    rows_stage,
)
from convprof.strategies.plan import WEIGHTS, Buffer, Packed, Stage, Y

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Role
    from convprof.dtypes import DType
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

    Array = np.ndarray[Any, Any]

PRODUCTS, PANELS, BIASES, CELLS = "products", "recurrent_panels", "biases", "cells"
"""Of the inputs, of the recurrent matrix, of both products, of an LSTM (of a GRU: results)."""
SPARE = 4
"""Registers that hold no sum: a result before, and the weights of a gate in flight."""


def recurrent(op: ops.Recurrent, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``Recurrent``."""
    steps, n, c = problem.inputs[0]
    context, total = KernelContext(setting), setting.types.accumulator
    plan = plan_of(problem)
    columns = op.directions * op.gates * op.units
    _add_products(plan, Gemm(m=steps * n, n=columns, k=c), setting)
    plan.workspaces[PRODUCTS] = Buffer((steps, n, columns), total)
    plan.workspaces[CELLS] = Buffer((op.directions, n, op.units), total)
    plan.lendable_workspaces |= {PRODUCTS, CELLS}
    blocks = ceil_div(op.units, context.lanes)
    panels = Buffer(
        (op.directions, blocks, op.units, op.gates, context.lanes), setting.types.weights
    )
    plan.packed[PANELS] = Packed(panels, _panels(op, context.lanes), ("recurrent",))
    if op.bias:
        rows = Buffer((op.directions, _bias_rows(op), op.units), total)
        plan.packed[BIASES] = Packed(rows, _biases(op, total), ("bias",))
    if op.states and op.cell != "rnn":
        state, wide = activations(problem)[-1], KernelContext(_summed(setting))
        plan.steps.append(_moved(plan.workspaces[CELLS], (state, CELLS), wide))
    plan.steps += [_step(op, problem, number, context) for number in range(steps)]
    if op.keeps_cells:
        end = steps * op.directions * n * op.units
        plan.steps.append(_moved(plan.workspaces[CELLS], (CELLS, Y), context, end))
    return plan


def _add_products(plan: Plan, g: Gemm, setting: Setting) -> None:
    """Add the product of all inputs, whose sums are not rounded."""
    product = Prepacked().plan(g, _summed(setting))
    plan.workspaces |= product.workspaces
    plan.lendable_workspaces |= product.lendable_workspaces
    plan.packed |= {
        name: replace(packed, sources=("weight",)) for name, packed in product.packed.items()
    }
    for step in product.steps:
        assert isinstance(step, Stage)  # noqa: S101  # register tiles are stages
        plan.steps.append(step.renamed(Y, PRODUCTS).renamed(WEIGHTS, "weight"))


def _summed(setting: Setting) -> Setting:
    """Return the setting in which results are not rounded."""
    return replace(setting, dtype=sums.summed(setting.types).name)


def _panels(op: ops.Recurrent, lanes: int) -> Any:
    """Return the function that makes (directions, blocks, units before, gates, lanes)."""

    def packed(recurrent: Array) -> Array:
        blocks = ceil_div(op.units, lanes)
        shape = op.directions, op.gates, blocks * lanes, op.units
        wide = np.zeros(shape, recurrent.dtype)
        wide[:, :, : op.units] = recurrent.reshape(op.directions, op.gates, op.units, op.units)
        apart = wide.reshape(op.directions, op.gates, blocks, lanes, op.units)
        return apart.transpose(0, 2, 4, 1, 3)

    return packed


def _bias_rows(op: ops.Recurrent) -> int:
    return op.gates + (op.cell == "gru")


def _biases(op: ops.Recurrent, total: DType) -> Any:
    """Return the function that adds both biases; of a GRU's hidden gate they stay apart."""

    def packed(bias: Array) -> Array:
        exact = bias.astype(total.array_type)
        of_input, of_before = exact.reshape(op.directions, 2, op.gates, op.units).swapaxes(0, 1)
        both: Array = of_input + of_before
        if op.cell != "gru":
            return both
        return np.concatenate((both[:, :2], of_before[:, 2:], of_input[:, 2:]), axis=1)

    return packed


def _moved(
    states: Buffer, buffers: tuple[str, str], context: KernelContext, start: int = 0
) -> Stage:
    """Return the stage that copies states to cells, or cells to the result from ``start`` on."""
    count = int(np.prod(states.shape))
    roles: dict[str, Role] = {CELLS: "accumulator"}
    nest = Nest((count,), ((1,), (1,)))
    return rows_stage(
        "states", "affine", nest, buffers, context,
        starts=(0, start), constants=(1.0, 0.0), roles=roles,
    )  # fmt: skip


def _step(op: ops.Recurrent, problem: Operation, number: int, context: KernelContext) -> Stage:
    """Return the stage of one step, in both directions."""
    steps, n, _ = problem.inputs[0]
    has_state = bool(op.states) or number > 0
    most = max(1, (context.isa.registers - SPARE - op.gates) // op.gates)
    x_row, item = op.directions * op.gates * op.units, op.units
    tiles = TileList()
    for d in range(op.directions):
        now = op.order(d, steps)[number]
        before = op.order(d, steps)[number - 1] if number else 0
        for block, (unit, alive) in enumerate(parts(op.units, context.lanes)):
            tiles.task()
            panel = (d * ceil_div(op.units, context.lanes) + block) * op.gates * op.units
            for first, items in parts(n, most):
                tile = RecurrentStep(
                    context.setting.types, context.lanes, op.cell, op.gates, items, alive,
                    op.units, x_row, op.bias, has_state, fused=context.isa.fused,
                )  # fmt: skip
                tiles.add(
                    kernel(tile, context.isa),
                    (now * n + first) * x_row + d * op.gates * op.units + unit,
                    ((before * op.directions if number else 0) + d) * n * item + first * item,
                    panel * context.lanes,
                    d * _bias_rows(op) * op.units + unit,
                    (d * n + first) * item + unit,
                    ((now * op.directions + d) * n + first) * item + unit,
                )
    results = Y if number else activations(problem)[min(op.states, 1)]
    biases = BIASES if op.bias else PANELS
    return context.stage("steps", tiles, (PRODUCTS, results, PANELS, biases, CELLS, Y))
