"""The gradient of the input of a 3x3 convolution at stride 1, by Winograd's algorithm.

It is the convolution of dy with the filters turned over and their channels exchanged; the forward
pass's ``winograd`` computes that, with the transformed filters made when the weights are bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems import Conv2d
from convprof.strategies.conv.gradients.plans import data_plan, forward_of
from convprof.strategies.conv.winograd import FILTERS, Blocking, Winograd, WinogradBlocks
from convprof.strategies.plan import Packed
from convprof.strategies.plan_runner import StagedPrepared
from convprof.strategies.transposition import count_tables
from convprof.strategies.tuning.tunable import Tunable, Variant

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems import BackwardData, Problem
    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]

FORWARD = Winograd()


def turned_over(p: Conv2d) -> Conv2d:
    """Return the convolution of dy that gives dx, for a 3x3 filter at stride 1 without groups."""
    top, left, bottom, right = p.pads
    pad = (2 - top, 2 - left, 2 - bottom, 2 - right)
    return Conv2d(n=p.n, c=p.k, h=p.p, w=p.q, k=p.c, r=3, s=3, pad=pad)


class WinogradData(Tunable):
    """F(2x2, 3x3) or F(4x4, 3x3)."""

    name: ClassVar[str] = "winograd"
    kind: ClassVar[str] = "conv2d-backward-data"
    summary: ClassVar[str] = "F(4x4, 3x3) or F(2x2, 3x3) over dy, filters turned over"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Refuse what the forward pass refuses, and padding beyond the filter's reach."""
        reason = super().why_not(problem, setting)
        if reason is not None:
            return reason
        p = forward_of(problem)
        reason = FORWARD.why_not(p, setting)
        if reason is None and max(p.pads) > 2:  # noqa: PLR2004  # a 3x3 filter reaches 2 far
            spelled = "x".join(map(str, p.pad))
            reason = f"{self.name} needs padding of at most 2; got {spelled}"
        return reason

    def variants(self, problem: Problem, setting: Setting) -> list[Variant]:
        """Return algorithms and block sizes to try, the model's choice first."""
        return FORWARD.variants(turned_over(forward_of(problem)), setting)

    def cycles(self, problem: Problem, setting: Setting) -> float:
        """Estimate the products and the transforms."""
        return FORWARD.cycles(turned_over(forward_of(problem)), setting)

    def prepare_variant(self, problem: Problem, setting: Setting, variant: Variant) -> Prepared:
        """Transform, multiply and transform back, block by block."""
        backward: BackwardData[Conv2d] = problem  # type: ignore[assignment]  # why_not refused other kinds
        p = forward_of(problem)
        blocks = WinogradBlocks(turned_over(p), setting, Blocking(**variant))
        plan = data_plan(backward, setting, blocks.stages)
        packed = blocks.packed()

        def fill(target: Array, weights: Array) -> None:
            packed.fill(target, weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))

        plan.packed[FILTERS] = Packed(packed.shape, fill, into=True)
        plan.workspaces = {**plan.workspaces, **blocks.workspaces()}
        plan.executed_flops = blocks.executed_flops()
        count_tables(plan)
        return StagedPrepared(self.name, problem, setting, plan)
