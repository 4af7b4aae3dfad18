"""Running sums and places of extremes: neighbours of the other axes are the lanes of a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen.kernels.along_axis import AlongAxis
from convprof.codegen.tile_list import TileList, kernel
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    input_strides,
    parts,
    plan_of,
    row_major,
)
from convprof.strategies.plan import X, Y

if TYPE_CHECKING:
    from convprof.codegen.kernels.along_axis import What
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan


def running_sum(op: ops.RunningSum, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of sums at every element."""
    return _plan(problem, setting, op.axis, "sum before" if op.exclusive else "sum", op.reverse)


def place(op: ops.Place, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of one place for each element of the other axes."""
    what: dict[tuple[str, bool], What] = {
        ("largest", False): "largest",
        ("largest", True): "last largest",
        ("smallest", False): "smallest",
        ("smallest", True): "last smallest",
    }
    return _plan(problem, setting, op.axis, what[op.of, op.last])


def _plan(
    problem: Operation, setting: Setting, axis: int, what: What, reverse: bool = False
) -> Plan:
    """Return the plan of a stage whose tiles go along the axis, or back from its end."""
    shape, (strides,) = problem.inputs[0], input_strides(problem, setting.layout)
    kept = problem.output == shape
    results = list(row_major(problem.output))
    if not kept:
        results.insert(axis, 0)
    others = [at for at in range(len(shape)) if at != axis]
    nest = Nest(
        tuple(shape[at] for at in others),
        (tuple(strides[at] for at in others), tuple(results[at] for at in others)),
    ).joined()
    *outer, inner = range(len(nest.sizes))
    dense = nest.sizes[inner] > 1 and all(each[inner] == 1 for each in nest.strides)
    context, plan = KernelContext(setting), plan_of(problem)
    lanes = context.lanes if dense else 1
    steps = strides[axis], results[axis]
    end = shape[axis] - 1 if reverse else 0
    source, target = nest.offsets(outer if dense else (*outer, inner))
    tiles = TileList()
    for first, alive in parts(nest.sizes[inner] if dense else 1, lanes):
        forward = -1 if reverse else 1
        tile = AlongAxis(
            setting.types, lanes, what, shape[axis], forward * steps[0], forward * steps[1], alive
        )
        begins = source + first + end * steps[0], target + first + end * steps[1]
        tiles.add(kernel(tile, context.isa), *begins)
    plan.steps = [context.stage(problem.op.kind, tiles, (X, Y))]
    return plan
