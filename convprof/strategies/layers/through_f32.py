"""Operations on short floats by way of f32: operands are widened, and the result is rounded.

For operations whose own kernels compute f32 only. It costs a pass over every operand and over the
result.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.kernels.convert import ConvertTile
from convprof.codegen.tile_list import TileList, kernel
from convprof.dtypes import F32, Types
from convprof.strategies.layers.stages import KernelContext, parts
from convprof.strategies.plan import Buffer, Call, Packed, Plan, Stage, Y

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import DType
    from convprof.problems import Operation
    from convprof.strategies.base import Setting

WIDE = "_f32"
"""Ends the name of a buffer that holds an operand or the result in f32."""
WHOLE = F32.source


def through_f32(build: Callable[[Setting], Plan], problem: Operation, setting: Setting) -> Plan:
    """Return the plan that ``build`` makes for f32, between conversions."""
    plan = build(replace(setting, dtype=F32.name))
    types, layout = setting.types, setting.layout
    specs = plan.named(problem.operands(layout, types))
    read = {key for step in plan.steps if isinstance(step, Stage) for key in step.buffers}
    before: list[Stage | Call] = []
    for key, spec in specs.items():
        if key not in read:
            continue
        wide = Buffer(spec.shape, WHOLE)
        if spec.constant:
            plan.packed[key + WIDE] = Packed(wide, np.array, (key,))
        else:
            plan.workspaces[key + WIDE] = wide
            before.append(
                convert_stage(
                    "widen", (key, key + WIDE), (spec.dtype, WHOLE), spec.elements, setting
                )
            )
    result = problem.result(layout, types)
    plan.workspaces[Y + WIDE] = Buffer(result.shape, WHOLE)
    last = convert_stage("round", (Y + WIDE, Y), (WHOLE, result.dtype), result.elements, setting)
    plan.steps = [*before, *(_renamed(step, {*specs, Y}) for step in plan.steps), last]
    return plan


def _renamed(step: Stage | Call, keys: set[str]) -> Stage | Call:
    if isinstance(step, Call):
        raise TypeError(f"{step.phase}: a library reads its own operands")
    return replace(step, buffers=tuple(key + WIDE if key in keys else key for key in step.buffers))


def convert_stage(
    phase: str, buffers: tuple[str, str], dtypes: tuple[DType, DType], count: int, setting: Setting
) -> Stage:
    """Return the stage that converts ``count`` elements from one buffer to another."""
    context = KernelContext(setting)
    types = Types(dtypes[0], WHOLE, WHOLE, dtypes[1])
    lanes = context.isa.lanes(WHOLE.bytes)
    tiles = TileList()
    for start, length in parts(count, context.elements(count)):
        tile = ConvertTile(types, lanes, length, fused=context.isa.fused)
        tiles.add(kernel(tile, context.isa), start, start)
    return context.stage(phase, tiles, buffers)
