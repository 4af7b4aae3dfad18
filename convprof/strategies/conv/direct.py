"""The seven loops of the definition, in textbook order: every other rung is measured against it.

    y[n, k, p, q] = sum over c, r, s of x[n, c, p*stride + r*dilation, q*stride + s*dilation] * w[k, c, r, s]

The limit it shows: one multiply-add at a time, each waiting for the sum before it.
"""  # noqa: E501

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import PRODUCTS
from convprof.problems import Conv2d
from convprof.strategies import sums
from convprof.strategies.conv.geometry import padded_nchw, padded_nhwc
from convprof.strategies.plan import WEIGHTS, Plan, Stage
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words


def direct_nchw(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute output planes ``(n, k)``; ``x (n, c, h, w)`` padded, ``w (k, c/groups, r, s)``."""
    x, w, y = buffers[0], buffers[1], buffers[2]
    c_all, h, width, k_all = dims[0], dims[1], dims[2], dims[3]
    cg, kg, r_end, s_end, p_end, q_end = dims[4], dims[5], dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw = dims[10], dims[11], dims[12], dims[13]
    for plane in range(lo, hi):
        n = plane // k_all
        k = plane % k_all
        first = k // kg * cg
        for p in range(p_end):
            for q in range(q_end):
                out = (plane * p_end + p) * q_end + q
                y[out] = 0
                total = y[out]
                for c in range(cg):
                    for r in range(r_end):
                        for s in range(s_end):
                            row = (n * c_all + first + c) * h + p * sh + r * dh
                            pixel = x[row * width + q * sw + s * dw]
                            total += pixel * w[((k * cg + c) * r_end + r) * s_end + s]
                y[out] = total


def direct_nhwc(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute output planes ``(n, k)``; ``x (n, h, w, c)`` padded, ``w (k, c/groups, r, s)``."""
    x, w, y = buffers[0], buffers[1], buffers[2]
    c_all, h, width, k_all = dims[0], dims[1], dims[2], dims[3]
    cg, kg, r_end, s_end, p_end, q_end = dims[4], dims[5], dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw = dims[10], dims[11], dims[12], dims[13]
    for plane in range(lo, hi):
        n = plane // k_all
        k = plane % k_all
        first = k // kg * cg
        for p in range(p_end):
            for q in range(q_end):
                out = ((n * p_end + p) * q_end + q) * k_all + k
                y[out] = 0
                total = y[out]
                for c in range(cg):
                    for r in range(r_end):
                        for s in range(s_end):
                            row = (n * h + p * sh + r * dh) * width
                            pixel = x[(row + q * sw + s * dw) * c_all + first + c]
                            total += pixel * w[((k * cg + c) * r_end + r) * s_end + s]
                y[out] = total


def loop_dims(p: Conv2d, height: int, width: int) -> tuple[int, ...]:
    """Return what the loop nests need to know, with the padded image's height and width."""
    return (p.c, height, width, p.k, p.cg, p.kg, p.r, p.s, p.p, p.q, *p.stride, *p.dilation)


class Direct(Planned[Conv2d]):
    """The definition, loop by loop."""

    name = "direct"
    kind = "conv2d"
    summary = "the seven loops in textbook order"
    dtypes = PRODUCTS

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Pad, then one stage over the output planes."""
        if setting.layout == "nchw":
            padded, kernel = padded_nchw(p), direct_nchw
            height, width = padded.shape[4:]
        else:
            padded, kernel = padded_nhwc(p), direct_nhwc
            height, width = padded.shape[1:3]
        dims = loop_dims(p, height, width)
        types = setting.types
        buffers = (padded.buffer, WEIGHTS, sums.buffer(types))
        stage = Stage("loops", kernel, p.n * p.k, buffers, dims)
        plan = Plan(steps=[*padded.stages, stage])
        padded.declare(plan, types)
        return sums.with_rounding(plan, p, setting)
