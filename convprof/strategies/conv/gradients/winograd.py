"""The gradient of the input of a 3x3 convolution at stride 1, by Winograd's algorithm.

The gradient is the convolution of dy with the filters rotated by 180 degrees and their channels
exchanged. The forward pass's ``winograd`` computes that convolution. ``bind`` transforms the
filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.problems import BackwardData, Conv2d
from convprof.strategies.conv.gradients.plans import data_plan
from convprof.strategies.conv.winograd import FILTERS, Winograd, WinogradBlocks
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.plan import Packed
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    import numpy as np

    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

    Array = np.ndarray[Any, Any]

FORWARD = Winograd()


def rotated(p: Conv2d) -> Conv2d:
    """Return the convolution of dy that gives dx, for a 3x3 filter at stride 1 without groups."""
    top, left, bottom, right = p.pads
    pad = (2 - top, 2 - left, 2 - bottom, 2 - right)
    return Conv2d(n=p.n, c=p.k, h=p.p, w=p.q, k=p.c, r=3, s=3, pad=pad)


class WinogradData(Tunable[BackwardData[Conv2d], WinogradBlocking]):
    """F(2x2, 3x3), F(4x4, 3x3) or F(6x6, 3x3)."""

    name = "winograd"
    kind = "conv2d-backward-data"
    summary = "F(2x2, 3x3) to F(6x6, 3x3) over dy, filters rotated by 180 degrees"
    parallel = True
    generated = True

    def why_not(self, problem: BackwardData[Conv2d], setting: Setting) -> str | None:
        """Refuse what the forward pass refuses, and padding beyond the filter's reach."""
        reason = super().why_not(problem, setting)
        if reason is not None:
            return reason
        p = problem.forward
        reason = FORWARD.why_not(p, setting)
        if reason is None and max(p.pads) > 2:  # noqa: PLR2004  # a 3x3 filter reaches 2 far
            spelled = "x".join(map(str, p.pad))
            reason = f"{self.name} needs padding of at most 2; got {spelled}"
        return reason

    def blockings(self, problem: BackwardData[Conv2d], setting: Setting) -> list[WinogradBlocking]:
        """Return algorithms and block sizes to try, the model's choice first."""
        return FORWARD.blockings(rotated(problem.forward), setting)

    def cycles(self, problem: BackwardData[Conv2d], setting: Setting) -> float:
        """Estimate the products and the transforms."""
        return FORWARD.cycles(rotated(problem.forward), setting)

    def plan_blocked(
        self, backward: BackwardData[Conv2d], setting: Setting, blocking: WinogradBlocking
    ) -> Plan:
        """Transform, multiply and transform back, block by block."""
        p = backward.forward
        blocks = WinogradBlocks(rotated(p), setting, blocking)
        plan = data_plan(backward, setting, blocks.stages)
        packed = blocks.packed()

        def fill(target: Array, weights: Array) -> None:
            packed.fill(target, weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))

        plan.packed[FILTERS] = Packed(packed.buffer, fill, into=True)
        plan.workspaces |= blocks.workspaces()
        plan.executed_flops = blocks.executed_flops()
        return plan
