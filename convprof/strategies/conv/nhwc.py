"""Compute in NHWC for callers of both layouts; NCHW is converted before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.problems.epilogue import RESIDUAL, Epilogue
from convprof.strategies import unfused_epilogue
from convprof.strategies.plan import Buffer, Call, Plan, Stage, X, Y
from convprof.strategies.transposition import transpose_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.dtypes import Types
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting

NHWC_X, NHWC_Y, NHWC_RESIDUAL = "x_nhwc", "y_nhwc", "residual_nhwc"


def in_tiles(p: Conv2d, layout: str, types: Types) -> Conv2d:
    """Return the convolution with the steps of its epilogue that run in NHWC: mostly all of them.

    A residual in NCHW is not converted, because that takes as long as a pass over the result. It is
    added after the result has been converted, together with the steps that follow it. A result of
    short elements would then be rounded twice, so its residual is converted.
    """
    if layout == "nhwc" or not p.epilogue.add or types.result != types.accumulator:
        return p
    return replace(p, epilogue=Epilogue(bias=p.epilogue.bias))


def add_late(plan: Plan, p: Conv2d, setting: Setting) -> None:
    """Add the pass that computes in NCHW what ``in_tiles`` leaves of the epilogue."""
    if in_tiles(p, setting.layout, setting.types) is p:
        return
    plan.steps.append(unfused_epilogue.stage(p, replace(p.epilogue, bias=False), setting))
    plan.passes += 1


def nhwc_plan(
    p: Conv2d, setting: Setting, stages: Callable[[str, str], Sequence[Stage | Call]]
) -> Plan:
    """Return a plan of ``stages(input, output)``, buffers in NHWC, for the setting's layout.

    The stages may compute any part of an epilogue; its operands are bound. A residual that they
    read is converted.
    """
    plan, types = Plan(), setting.types
    if setting.layout == "nhwc":
        plan.steps = [*stages(X, Y)]
        return plan
    plan.workspaces[NHWC_X] = Buffer(p.x_shape("nhwc"), types.source)
    plan.workspaces[NHWC_Y] = Buffer(p.y_shape("nhwc"), types.result)
    inner = [
        step.renamed(RESIDUAL, NHWC_RESIDUAL) if isinstance(step, Stage) else step
        for step in stages(NHWC_X, NHWC_Y)
    ]
    if any(isinstance(step, Stage) and NHWC_RESIDUAL in step.buffers for step in inner):
        plan.workspaces[NHWC_RESIDUAL] = Buffer(p.y_shape("nhwc"), types.result)
        result = Buffer((p.n, p.k, p.p * p.q), types.result)
        plan.steps = [transpose_stage("to nhwc", RESIDUAL, NHWC_RESIDUAL, result, setting)]
    plan.steps += [
        transpose_stage(
            "to nhwc", X, NHWC_X, Buffer((p.n, p.c, p.h * p.w), setting.types.source), setting
        ),
        *inner,
        transpose_stage(
            "to nchw", NHWC_Y, Y, Buffer((p.n, p.p * p.q, p.k), setting.types.result), setting
        ),
    ]
    return plan
