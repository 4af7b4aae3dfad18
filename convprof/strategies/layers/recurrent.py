"""Recurrent layers: one product for the inputs of all steps, then step after step.

A step is one stage: its tasks are vectors of units, each with the panel of the recurrent matrix
that ``bind`` has packed for it. A thread has the same units in every step, and so the same panels.
A GRU that resets first has two stages per step: the gates, and the product with the scaled results.
All steps read the same tables of tiles, at other places of the buffers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.recurrent import (
    MOVED,
    RESET,
    SHARED,
    HiddenGate,
    RecurrentStep,
    ResetGates,
)
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
    row_major,
    rows_stage,
)
from convprof.strategies.plan import WEIGHTS, Buffer, Packed, Place, Repeated, Stage, Y

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
    Kind = type[RecurrentStep | ResetGates | HiddenGate]

PRODUCTS, PANELS, BIASES, CELLS = "products", "recurrent_panels", "biases", "cells"
"""Of the inputs, of the recurrent matrix, of both products, of an LSTM (of a GRU: results)."""
TIMES, ALIVE, STATE = "times", "alive", "state"
"""With lengths: the number of each step, which steps each item has, and the latest results."""
SPARE = 4
"""Registers that hold no sum: a result before, and the weights of a gate in flight."""


def recurrent(op: ops.Recurrent, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``Recurrent``."""
    steps, n, c = problem.inputs[0]
    context, total = KernelContext(setting), setting.types.accumulator
    wide = KernelContext(_summed(setting))
    plan = plan_of(problem)
    columns = op.directions * op.gates * op.units
    _add_products(plan, Gemm(m=steps * n, n=columns, k=c), setting)
    state = Buffer((op.directions, n, op.units), total)
    scratch = {PRODUCTS: Buffer((steps, n, columns), total), CELLS: state}
    if op.has_lengths:
        scratch[ALIVE] = Buffer((steps, n), total)
    if _keeps_results(op):
        scratch[STATE] = state
    plan.workspaces |= scratch
    plan.lendable_workspaces |= scratch.keys()
    blocks = ceil_div(op.units, context.lanes)
    panels = Buffer(
        (op.directions, blocks, op.units, op.gates, context.lanes), setting.types.weights
    )
    plan.packed[PANELS] = Packed(panels, _panels(op, context.lanes), ("recurrent",))
    if op.bias:
        rows = Buffer((op.directions, _bias_rows(op), op.units), total)
        plan.packed[BIASES] = Packed(rows, _biases(op, total), ("bias",))
    plan.steps += [_moved(state, names, wide) for names in _first_states(op, problem)]
    if op.has_lengths:
        plan.packed[TIMES] = Packed(Buffer((steps,), total), lambda: _times(steps), ())
        plan.steps.append(_alive(steps, n, activations(problem)[-1], wide))
    plan.steps += _Steps(op, problem, context).all()
    if op.has_lengths:
        plan.steps.append(_without_others(op, steps, n, context))
    last = STATE if _keeps_results(op) else CELLS
    kept = [last] * op.keeps_last + [CELLS] * op.keeps_cells
    for row, name in enumerate(kept, steps):
        plan.steps.append(_moved(state, (name, Y), context, row * op.directions * n * op.units))
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
    return op.gates + _scales_product(op)


def _scales_product(op: ops.Recurrent) -> bool:
    """Whether a gate scales the recurrent product, with its bias, of another gate."""
    return op.cell == "gru" and not op.reset_first


def _biases(op: ops.Recurrent, total: DType) -> Callable[[Array], Array]:
    """Return the function that adds both biases; they stay apart if a gate scales one of them."""

    def packed(bias: Array) -> Array:
        exact = bias.astype(total.array_type)
        of_input, of_before = exact.reshape(op.directions, 2, op.gates, op.units).swapaxes(0, 1)
        both: Array = of_input + of_before
        if not _scales_product(op):
            return both
        return np.concatenate((both[:, :2], of_before[:, 2:], of_input[:, 2:]), axis=1)

    return packed


def _first_states(op: ops.Recurrent, problem: Operation) -> list[tuple[str, str]]:
    """Return the copies of initial states to where the steps update them: names of two buffers."""
    if not op.states:
        return []
    names = activations(problem)
    if op.cell == "gru":
        return [(names[1], CELLS)]
    cells = [(names[2], CELLS)] if op.cell == "lstm" else []
    return cells + [(names[1], STATE)] * _keeps_results(op)


def _keeps_results(op: ops.Recurrent) -> bool:
    """Whether the latest results are not the cells, and kept for items that end before others."""
    return op.cell != "gru" and (op.has_lengths or op.keeps_last)


def _moved(
    states: Buffer, buffers: tuple[str, str], context: KernelContext, start: int = 0
) -> Stage:
    """Return the stage that copies states to cells, or cells to the result from ``start`` on."""
    count = int(np.prod(states.shape))
    roles: dict[str, Role] = {CELLS: "accumulator", STATE: "accumulator"}
    nest = Nest((count,), ((1,), (1,)))
    return rows_stage(
        "states", "affine", nest, buffers, context,
        starts=(0, start), constants=(1.0, 0.0), roles=roles,
    )  # fmt: skip


def _times(steps: int) -> Array:
    """Return the number of each step; the first one is less than any length."""
    times = np.arange(steps, dtype=np.float64)
    times[0] = -np.inf
    return times


def _alive(steps: int, n: int, lengths: str, context: KernelContext) -> Stage:
    """Return the stage that writes 1 for each step that an item has, else 0; not rounded."""
    nest = Nest((steps, n), ((0, 1), (1, 0), (n, 1)))
    roles: dict[str, Role] = {TIMES: "accumulator"}
    return rows_stage("lengths", "is more", nest, (lengths, TIMES, ALIVE), context, roles=roles)


def _without_others(op: ops.Recurrent, steps: int, n: int, context: KernelContext) -> Stage:
    """Return the stage that makes the results of steps that an item does not have 0."""
    sizes = steps, op.directions, n, op.units
    nest = Nest(sizes, (row_major(sizes), (n, 0, 1, 0), row_major(sizes)))
    roles: dict[str, Role] = {ALIVE: "accumulator"}
    return rows_stage("lengths", "multiply", nest, (Y, ALIVE, Y), context, roles=roles)


class _Steps:
    """The stages of the steps, one after the other.

    In a step, a direction reads and writes other places than in the step before: ``MOVED``.
    """

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
        self._kinds: list[Kind] = [ResetGates, HiddenGate] if op.reset_first else [RecurrentStep]

    def all(self) -> list[Repeated]:
        """Return the first step, which reads other results before, and the other steps."""
        first = self._repeated(0, 1, has_state=self._op.has_states)
        others = self._steps - 1
        return [first, self._repeated(1, others, has_state=True)] if others else [first]

    def _repeated(self, number: int, rounds: int, *, has_state: bool) -> Repeated:
        """Return some steps, from ``number`` on; a task is a vector of units in a direction."""
        stages, places = [], []
        for kind in self._kinds:
            tiles = TileList()
            for d in range(self._op.directions):
                for blocks, alive in self._blocks:
                    kernels = [
                        self._kernel(kind, d, items, alive, has_state) for _, items in self._parts
                    ]
                    offsets = self._offsets(kind, d, blocks[:, None])
                    tiles.add_each(kernels, *offsets, tasks=True)
            stage = self._context.stage("steps", tiles, self._buffers(kind, number))
            share = 1 / (self._steps * len(self._kinds))
            stages.append(replace(stage, work_fraction=share))
            places.append(self._places(kind, number))
        return Repeated(tuple(stages), rounds, tuple(places))

    def _kernel(
        self, kind: Kind, direction: int, items: int, alive: int, has_state: bool
    ) -> TileKernel:
        op, context = self._op, self._context
        tile = kind(
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
            keeps_results=_keeps_results(op),
            is_masked=op.has_lengths,
            direction=direction,
            function=op.function,
            fused=context.isa.fused,
        )
        return kernel(tile, context.isa)

    def _buffers(self, kind: Kind, number: int) -> tuple[str, ...]:
        """Return the names of the buffers; what a kernel does not read has any name."""
        op = self._op
        biases, alive = BIASES if op.bias else PANELS, ALIVE if op.has_lengths else PRODUCTS
        before = PRODUCTS if kind is HiddenGate else Y if number else self._first_results
        state = STATE if _keeps_results(op) else CELLS
        moved = PRODUCTS, before, Y, alive
        return (PANELS, biases, CELLS, state, *moved * op.directions)

    def _places(self, kind: Kind, number: int) -> tuple[Place, ...]:
        """Return the places of the buffers in the step ``number``, and from step to step."""
        op, types, n = self._op, self._context.setting.types, self._n
        columns, results = op.directions * op.gates * op.units, op.directions * op.units
        x = n * columns * types.accumulator.bytes
        y, h = (n * results * each.bytes for each in (types.result, types.source))
        alive = n * types.accumulator.bytes
        places = [Place()] * len(SHARED)
        for d in range(op.directions):
            order = op.order(d, self._steps)
            now, way = order[number], order.step
            before = Place(order[number - 1] * h, way * h) if number else Place()
            places += [
                Place(now * x, way * x),
                Place(now * x, way * x) if kind is HiddenGate else before,
                Place(now * y, way * y),
                Place(now * alive, way * alive),
            ]
        return tuple(places)

    def _offsets(self, kind: Kind, d: int, blocks: Array) -> tuple[Any, ...]:
        """Return for each pointer the starts of a direction's blocks (blocks, 1) and items."""
        op, n, lanes = self._op, self._n, self._context.lanes
        first = np.array([begin for begin, _ in self._parts])
        columns, units = op.gates * op.units, blocks * lanes
        panels = d * ceil_div(op.units, lanes) + blocks
        items = first * op.directions * columns + d * columns
        state = (d * n + first) * op.units
        moved = (
            items + units,
            items + RESET * op.units if kind is HiddenGate else state,
            state + units,
            first,
        )
        return (
            panels * columns * lanes,
            d * _bias_rows(op) * op.units + units,
            state + units,
            state + units,
            *[0] * (d * len(MOVED)),
            *moved,
            *[0] * ((op.directions - 1 - d) * len(MOVED)),
        )
