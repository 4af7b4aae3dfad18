"""Padding as an operation of its own: an image or tokens, copied, with a constant around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.strategies.layers.arranging import copy_stage
from convprof.strategies.layers.stages import (
    KernelContext,
    Nest,
    input_strides,
    plan_of,
    result_strides,
)
from convprof.strategies.plan import Buffer, Packed, Plan, X, Y

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.problems.shapes import Shape
    from convprof.strategies.base import Setting

FILL = "fill"
"""The buffer of the one number that fills the border."""


def pad(op: ops.Pad, problem: Operation, setting: Setting) -> Plan:
    """Return the plan: fill the border, then copy the input."""
    context, plan = KernelContext(setting), plan_of(problem)
    (shape,) = problem.inputs
    (source,) = input_strides(problem, setting.layout)
    target = result_strides(problem, setting.layout)
    fill = Buffer((1,), setting.types.source)
    plan.packed = {FILL: Packed(fill, lambda: np.full(1, op.value), ())}
    for sizes, start in _around(op, problem.output, target, context.lanes):
        nest = Nest(sizes, ((0,) * len(sizes), target))
        plan.steps.append(copy_stage(nest, (FILL, Y), context, (0, start)))
    start = sum(before * step for before, step in zip(op.before, target, strict=True))
    plan.steps.append(copy_stage(Nest(shape, (source, target)), (X, Y), context, (0, start)))
    return plan


def _around(
    op: ops.Pad, shape: Shape, target: tuple[int, ...], lanes: int
) -> list[tuple[Shape, int]]:
    """Return blocks of the result that cover the border, each as its sizes and its start.

    From the outermost axis in memory to the innermost: the block before the input and the block
    after it. If these are shorter than a vector, whole rows are filled, the input's place included.
    """
    sizes, start = list(shape), 0
    blocks: list[tuple[Shape, int]] = []
    for axis in sorted(range(len(sizes)), key=lambda axis: -target[axis]):
        before, after = op.before[axis], op.after[axis]
        counts = [count for count in (before, after) if count]
        if not counts:
            continue
        if min(counts) * target[axis] < lanes:
            return [*blocks, (tuple(sizes), start)]
        total = sizes[axis]
        for count, place in ((before, 0), (after, total - after)):
            if count:
                sizes[axis] = count
                blocks.append((tuple(sizes), start + place * target[axis]))
        sizes[axis] = total - before - after
        start += before * target[axis]
    return blocks
