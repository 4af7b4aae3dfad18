"""The same seven loops in memory order: the innermost one walks along memory, so it vectorises.

Removes the limit of ``direct``: neighbouring outputs are computed by one vector instruction and no
sum waits for another. The remaining limit: every multiply-add loads and stores its sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import PRODUCTS
from convprof.problems import Conv2d
from convprof.strategies import sums
from convprof.strategies.conv.direct import loop_dims
from convprof.strategies.conv.geometry import padded_nchw, padded_nhwc
from convprof.strategies.plan import WEIGHTS, Buffer, Packed, Plan, Stage
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

RSCK = "weights_rsck"


def reordered_nchw(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute output planes ``(n, k)``: loops c, r, s, p and, innermost, q along the image row."""
    x, w, y = buffers[0], buffers[1], buffers[2]
    c_all, h, width, k_all = dims[0], dims[1], dims[2], dims[3]
    cg, kg, r_end, s_end, p_end, q_end = dims[4], dims[5], dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw = dims[10], dims[11], dims[12], dims[13]
    for plane in range(lo, hi):
        n = plane // k_all
        k = plane % k_all
        first = k // kg * cg
        start = plane * p_end * q_end
        for i in range(p_end * q_end):
            y[start + i] = 0
        for c in range(cg):
            for r in range(r_end):
                for s in range(s_end):
                    factor = w[((k * cg + c) * r_end + r) * s_end + s]
                    for p in range(p_end):
                        row = (n * c_all + first + c) * h + p * sh + r * dh
                        pixel = row * width + s * dw
                        out = start + p * q_end
                        if sw == 1:
                            for q in range(q_end):
                                y[out + q] = y[out + q] + x[pixel + q] * factor
                        else:
                            for q in range(q_end):
                                y[out + q] = y[out + q] + x[pixel + q * sw] * factor


def reordered_nhwc(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute output rows ``(n, p)``: loops q, r, s, c and, innermost, k along the channels.

    The weights come as ``(groups, r, s, c/groups, k/groups)``.
    """
    x, w, y = buffers[0], buffers[1], buffers[2]
    c_all, h, width, k_all = dims[0], dims[1], dims[2], dims[3]
    cg, kg, r_end, s_end, p_end, q_end = dims[4], dims[5], dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw = dims[10], dims[11], dims[12], dims[13]
    for task in range(lo, hi):
        n = task // p_end
        p = task % p_end
        for q in range(q_end):
            start = (task * q_end + q) * k_all
            for k in range(k_all):
                y[start + k] = 0
            for r in range(r_end):
                for s in range(s_end):
                    pixel = ((n * h + p * sh + r * dh) * width + q * sw + s * dw) * c_all
                    for c in range(c_all):
                        group = c // cg
                        factor = x[pixel + c]
                        row = (((group * r_end + r) * s_end + s) * cg + c - group * cg) * kg
                        out = start + group * kg
                        for k in range(kg):
                            y[out + k] = y[out + k] + factor * w[row + k]


def rsck(p: Conv2d, types: Types) -> Packed:
    """Return the packing of ``(k, c/groups, r, s)`` as ``(groups, r, s, c/groups, k/groups)``."""
    shape = (p.groups, p.r, p.s, p.cg, p.kg)
    return Packed(
        Buffer(shape, types.weights),
        lambda w: w.reshape(p.groups, p.kg, p.cg, p.r, p.s).transpose(0, 3, 4, 2, 1),
    )


class Reordered(Planned[Conv2d]):
    """The definition in memory order."""

    name = "reordered"
    kind = "conv2d"
    summary = "the same loops in memory order, so that the innermost vectorises"
    dtypes = PRODUCTS

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Pad, then one stage over output planes (NCHW) or output rows (NHWC)."""
        plan, types = Plan(), setting.types
        if setting.layout == "nchw":
            padded, weights = padded_nchw(p), WEIGHTS
            dims = loop_dims(p, *padded.shape[4:])
            kernel, tasks = reordered_nchw, p.n * p.k
        else:
            padded, weights = padded_nhwc(p), RSCK
            plan.packed[RSCK] = rsck(p, types)
            dims = loop_dims(p, *padded.shape[1:3])
            kernel, tasks = reordered_nhwc, p.n * p.p
        padded.declare(plan, types)
        stage = Stage("loops", kernel, tasks, (padded.buffer, weights, sums.buffer(types)), dims)
        plan.steps = [*padded.stages, stage]
        return sums.with_rounding(plan, p, setting)
