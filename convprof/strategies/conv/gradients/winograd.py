"""The gradient of the input of a convolution at stride 1, by Winograd's algorithm.

The gradient is the convolution of dy with the filters rotated by 180 degrees and their channels
exchanged. The forward pass's ``winograd`` computes that convolution. ``bind`` transforms the
filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.problems import BackwardData, Conv2d
from convprof.strategies.conv.gradients.plans import data_plan
from convprof.strategies.conv.winograd import (
    FILTERS,
    Winograd,
    WinogradBlocks,
    spelled,
    spelled_filter,
)
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
    """Return the convolution of dy that gives dx, for a filter at stride 1 without groups."""
    top, left, bottom, right = p.pads
    i, j = p.r - 1, p.s - 1
    pad = (i - top, j - left, i - bottom, j - right)
    return Conv2d(n=p.n, c=p.k, h=p.p, w=p.q, k=p.c, r=p.r, s=p.s, pad=pad)


class WinogradData(Tunable[BackwardData[Conv2d], WinogradBlocking]):
    """F(m x m, taps) over dy."""

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
        if p.stride != (1, 1):
            return f"{self.name} needs a stride-1 filter; got {spelled_filter(p)}"
        reason = FORWARD.why_not(p, setting)
        most = [p.r - 1, p.s - 1] * 2
        if reason is None and any(pad > reach for pad, reach in zip(p.pads, most, strict=True)):
            allowed, got = spelled((most[0], most[1])), "x".join(map(str, p.pad))
            reason = f"{self.name} needs padding of at most {allowed}; got {got}"
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
