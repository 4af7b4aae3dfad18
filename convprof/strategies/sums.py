"""The buffer of a problem's sums: the result, or a separate one if its elements are too short.

A loop nest that adds to an element of the result again and again would round the element each time.
Sums of bf16 and f16 are f32, and a last stage rounds each of them once. Sums of bytes have 32 bits,
and a last stage makes bytes of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.integers import ceil_div
from convprof.strategies import requantised
from convprof.strategies.plan import Buffer, Plan, Stage, Y

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import Problem, Trainable
    from convprof.problems.tensors import TensorSpec
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

SUMS = "sums"
TASK_ELEMENTS = 1 << 14
"""Sums that a task rounds: enough to outweigh the call."""


def rounded(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy tasks of ``dims[0]`` elements, of ``dims[1]`` in all, to a buffer of another type."""
    sums, c = buffers[0], buffers[1]
    for i in range(lo * dims[0], min(hi * dims[0], dims[1])):
        c[i] = sums[i]


def buffer(types: Types) -> str:
    """Return the name of the buffer in which products are summed."""
    return Y if types.result == types.accumulator else SUMS


def summed(types: Types) -> Types:
    """Return the types of a problem whose results are its sums."""
    return replace(types, result=types.accumulator)


def with_rounding(plan: Plan, p: Trainable, setting: Setting) -> Plan:
    """Add the buffer of the sums, and the stage that shortens them, if the result is shorter."""
    types = setting.types
    if not types.requantises:
        return with_short_results(plan, p, setting)
    _add_sums(plan, p.result(setting.layout, types), types)
    plan.packed |= requantised.packed(p, types)
    plan.steps.append(requantised.stage(p, SUMS, setting))
    return plan


def with_short_results(plan: Plan, p: Problem, setting: Setting) -> Plan:
    """Add the buffer of the sums, and the stage that rounds floats, if the result is shorter."""
    types = setting.types
    if buffer(types) == Y:
        return plan
    result = p.result(setting.layout, types)
    _add_sums(plan, result, types)
    tasks, dims = ceil_div(result.elements, TASK_ELEMENTS), (TASK_ELEMENTS, result.elements)
    plan.steps.append(Stage("round", rounded, tasks, (SUMS, Y), dims, work_fraction=0.0))
    return plan


def _add_sums(plan: Plan, result: TensorSpec, types: Types) -> None:
    plan.workspaces[SUMS] = Buffer(result.shape, types.accumulator)
    plan.lendable_workspaces |= {SUMS}
