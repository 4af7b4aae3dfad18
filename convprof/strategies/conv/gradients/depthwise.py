"""The gradient of depthwise weights: one filter per channel, vectors along the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.integers import ceil_div
from convprof.strategies.conv.gradients.plans import weights_plan
from convprof.strategies.plan import Buffer, Stage, Y
from convprof.strategies.transposition import transpose_stage

if TYPE_CHECKING:
    from convprof.problems import BackwardWeights, Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words
    from convprof.strategies.plan import Plan

SUMS = "sums"
CHANNELS = 64
"""Channels of a task: the sums of a row of taps stay in L1, and every thread has tasks."""


def depthwise_sums(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:  # noqa: C901
    """Sum the taps of blocks of ``width`` channels: ``sums (r, s, c)`` from NHWC ``x`` and ``dy``.

    A pixel of dy is multiplied with all taps of its filter before the next pixel.
    """
    x, dy, sums = buffers[0], buffers[1], buffers[2]
    n_end, h, w, c_all, r_end, s_end = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    p_end, q_end, sh, sw, dh, dw = dims[6], dims[7], dims[8], dims[9], dims[10], dims[11]
    top, left, width = dims[12], dims[13], dims[14]
    for task in range(lo, hi):
        first = task * width
        count = min(width, c_all - first)
        for tap in range(r_end * s_end):
            for c in range(count):
                sums[tap * c_all + first + c] = 0
        for n in range(n_end):
            for p in range(p_end):
                for r in range(r_end):
                    i = p * sh + r * dh - top
                    if i < 0 or i >= h:
                        continue
                    for q in range(q_end):
                        gradient = ((n * p_end + p) * q_end + q) * c_all + first
                        for s in range(s_end):
                            j = q * sw + s * dw - left
                            if j < 0 or j >= w:
                                continue
                            pixel = ((n * h + i) * w + j) * c_all + first
                            total = (r * s_end + s) * c_all + first
                            for c in range(count):
                                sums[total + c] = sums[total + c] + x[pixel + c] * dy[gradient + c]


def depthwise_weights(problem: BackwardWeights[Conv2d], setting: Setting) -> Plan:
    """Return the plan: sums by tap in NHWC, then transposed into ``(c, 1, r, s)``."""
    p = problem.forward
    top, left, _, _ = p.pads
    dims = (p.n, p.h, p.w, p.c, p.r, p.s, p.p, p.q, *p.stride, *p.dilation, top, left, CHANNELS)
    tasks = ceil_div(p.c, CHANNELS)

    def stages(x: str, dy: str) -> list[Stage]:
        return [
            Stage("taps", depthwise_sums, tasks, (x, dy, SUMS), dims),
            transpose_stage(
                "turn", SUMS, Y, Buffer((1, p.r * p.s, p.c), setting.types.accumulator), setting
            ),
        ]

    plan = weights_plan(problem, setting, stages)
    plan.workspaces[SUMS] = Buffer((p.r, p.s, p.c), setting.types.accumulator)
    return plan
