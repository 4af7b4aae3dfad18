"""Running sums and places of extremes: neighbours of the other axes are the lanes of a vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.along_axis import AlongAxis
from convprof.codegen.tile_list import TileList, kernel
from convprof.strategies.layers.stages import KernelContext, parts, plan_of
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
    shape = problem.inputs[0]
    outer, count = math.prod(shape[:axis]), shape[axis]
    inner = math.prod(shape[axis + 1 :])
    context, plan = KernelContext(setting), plan_of(problem)
    lanes = context.lanes if inner > 1 else 1
    kept = count if what.startswith("sum") else 1
    last = (count - 1) * inner if reverse else 0
    tiles, items = TileList(), np.arange(outer)
    for first, alive in parts(inner, lanes):
        tile = AlongAxis(setting.types, lanes, what, count, -inner if reverse else inner, alive)
        source = items * count * inner + first + last
        target = items * kept * inner + first + last * (kept > 1)
        tiles.add(kernel(tile, context.isa), source, target)
    plan.steps = [context.stage(problem.op.kind, tiles, (X, Y))]
    return plan
