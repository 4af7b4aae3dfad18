"""Plans of the backward passes: their operands, and NHWC computed for a caller's layout.

Buffer ``x`` is the first operand and ``weights`` the second operand: dy and the weights for the
gradient of the input, the input and dy for the gradient of the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.strategies.plan import WEIGHTS, Buffer, Call, Plan, Stage, X, Y
from convprof.strategies.transposition import transpose_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import BackwardData, BackwardWeights, Conv2d
    from convprof.strategies.base import Setting

NHWC_X, NHWC_DX, NHWC_DY = "x_nhwc", "dx_nhwc", "dy_nhwc"


def data_plan(
    problem: BackwardData[Conv2d],
    setting: Setting,
    stages: Callable[[str, str], Sequence[Stage | Call]],
) -> Plan:
    """Return a plan of ``stages(dy, dx)``, buffers in NHWC, for a caller's layout."""
    p, plan = problem.forward, Plan()
    if setting.layout == "nhwc":
        plan.steps = [*stages(X, Y)]
        return plan
    plan.workspaces = {
        NHWC_DY: Buffer(p.y_shape("nhwc"), setting.types.result),
        NHWC_DX: Buffer(p.x_shape("nhwc"), setting.types.source),
    }
    plan.steps = [
        transpose_stage(
            "to nhwc", X, NHWC_DY, Buffer((p.n, p.k, p.p * p.q), setting.types.result), setting
        ),
        *stages(NHWC_DY, NHWC_DX),
        transpose_stage(
            "to nchw", NHWC_DX, Y, Buffer((p.n, p.h * p.w, p.c), setting.types.source), setting
        ),
    ]
    return plan


def weights_plan(
    problem: BackwardWeights[Conv2d],
    setting: Setting,
    stages: Callable[[str, str], Sequence[Stage | Call]],
) -> Plan:
    """Return a plan of ``stages(x, dy)``, buffers in NHWC, for a caller's layout."""
    p, plan = problem.forward, Plan()
    if setting.layout == "nhwc":
        plan.steps = [*stages(X, WEIGHTS)]
        return plan
    plan.workspaces = {
        NHWC_X: Buffer(p.x_shape("nhwc"), setting.types.source),
        NHWC_DY: Buffer(p.y_shape("nhwc"), setting.types.result),
    }
    plan.steps = [
        transpose_stage(
            "to nhwc", X, NHWC_X, Buffer((p.n, p.c, p.h * p.w), setting.types.source), setting
        ),
        transpose_stage(
            "to nhwc",
            WEIGHTS,
            NHWC_DY,
            Buffer((p.n, p.k, p.p * p.q), setting.types.result),
            setting,
        ),
        *stages(NHWC_X, NHWC_DY),
    ]
    return plan
