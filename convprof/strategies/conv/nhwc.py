"""Compute in NHWC whatever the caller's layout is; NCHW is converted on the way in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.strategies.plan import Call, Plan, Stage, X, Y
from convprof.strategies.transpose import layout_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import Conv2d

NHWC_X, NHWC_Y = "x_nhwc", "y_nhwc"


def nhwc_plan(p: Conv2d, layout: str, stages: Callable[[str, str], Sequence[Stage | Call]]) -> Plan:
    """Return a plan of ``stages(input, output)``, buffers in NHWC, for a caller's layout."""
    plan = Plan(p.x_shape(layout), p.weight_shape, p.y_shape(layout))
    if layout == "nhwc":
        plan.steps = [*stages(X, Y)]
        return plan
    plan.workspaces = {NHWC_X: p.x_shape("nhwc"), NHWC_Y: p.y_shape("nhwc")}
    plan.steps = [
        layout_stage("to nhwc", X, NHWC_X, (p.n, p.c, p.h * p.w)),
        *stages(NHWC_X, NHWC_Y),
        layout_stage("to nchw", NHWC_Y, Y, (p.n, p.p * p.q, p.k)),
    ]
    return plan
