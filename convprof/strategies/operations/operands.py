"""The buffers of an operation: the activations it reads, its weights and buffers, its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.strategies.plan import Plan, X

if TYPE_CHECKING:
    from convprof.problems.operation import Operation, Shape
    from convprof.strategies.base import Setting


def named(problem: Operation) -> dict[str, Shape]:
    """Return the weights and buffers by the op's own names, with their shapes."""
    op, inputs = problem.op, problem.inputs
    return {**op.weights(*inputs), **op.buffers(*inputs)}


def activations(problem: Operation) -> list[str]:
    """Return the buffer names of what an operation reads, in order: ``x``, ``x1``, ..."""
    return [X, *(f"{X}{i}" for i in range(1, len(problem.inputs)))]


def plan_of(problem: Operation, setting: Setting) -> Plan:
    """Return a plan with all operands and the result, and no steps yet."""
    names = [*activations(problem), *named(problem)]
    shapes = dict(zip(names, problem.operand_shapes(setting.layout), strict=True))
    first = shapes.pop(X)
    return Plan(first, None, problem.result_shape(setting.layout), more=shapes)
