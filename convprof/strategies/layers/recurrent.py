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
    from collections.abc import Callable

    from convprof.codegen.kernels.base import Role
    from convprof.codegen.tile_list import TileKernel
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
    stages = _Steps(op, problem, context)
    plan.steps += [stages.stage(number) for number in range(steps)]
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


def _panels(op: ops.Recurrent, lanes: int) -> Callable[[Array], Array]:
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


def _biases(op: ops.Recurrent, total: DType) -> Callable[[Array], Array]:
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


class _Steps:
    """The stages of the steps, one after the other."""

    def __init__(self, op: ops.Recurrent, problem: Operation, context: KernelContext) -> None:
        """Divide the items into parts whose sums fit the registers, and the units into vectors."""
        self._op, self._context = op, context
        self._steps, self._n, _ = problem.inputs[0]
        self._first_results = activations(problem)[min(op.states, 1)]
        most = max(1, (context.isa.registers - SPARE - op.gates) // op.gates)
        self._parts = parts(self._n, most)
        whole, rest = divmod(op.units, context.lanes)
        self._blocks = [(np.arange(whole), context.lanes)] if whole else []
        self._blocks += [(np.array([whole]), rest)] if rest else []

    def stage(self, number: int) -> Stage:
        """Return the stage of a step in both directions; a task is a vector of units."""
        op, tiles = self._op, TileList()
        has_state = bool(op.states) or number > 0
        for d in range(op.directions):
            for blocks, alive in self._blocks:
                kernels = [self._kernel(items, alive, has_state) for _, items in self._parts]
                tiles.add_each(kernels, *self._offsets(d, number, blocks[:, None]), tasks=True)
        results = Y if number else self._first_results
        biases = BIASES if op.bias else PANELS  # which is not read
        return self._context.stage("steps", tiles, (PRODUCTS, results, PANELS, biases, CELLS, Y))

    def _kernel(self, items: int, alive: int, has_state: bool) -> TileKernel:
        op, context = self._op, self._context
        tile = RecurrentStep(
            types=context.setting.types,
            lanes=context.lanes,
            cell=op.cell,
            gates=op.gates,
            items=items,
            alive=alive,
            units=op.units,
            x_row=op.directions * op.gates * op.units,
            bias=op.bias,
            has_state=has_state,
            fused=context.isa.fused,
        )
        return kernel(tile, context.isa)

    def _offsets(self, d: int, number: int, blocks: Array) -> tuple[Any, ...]:
        """Return for each pointer the starts of a direction's blocks (blocks, 1) and items."""
        op, n, lanes = self._op, self._n, self._context.lanes
        order = op.order(d, self._steps)
        now, before = order[number], order[number - 1] if number else 0
        first = np.array([begin for begin, _ in self._parts])
        columns, units = op.gates * op.units, blocks * lanes
        panels = d * ceil_div(op.units, lanes) + blocks
        return (
            (now * n + first) * op.directions * columns + d * columns + units,
            ((before * op.directions + d) * n + first) * op.units,
            panels * columns * lanes,
            d * _bias_rows(op) * op.units + units,
            (d * n + first) * op.units + units,
            ((now * op.directions + d) * n + first) * op.units + units,
        )
