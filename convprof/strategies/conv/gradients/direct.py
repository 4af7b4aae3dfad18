"""The definitions of both gradients, loop by loop: the reference of every other strategy.

    dx[n, c, h, w]  =  sum over k, r, s of dy[n, k, p, q] * w[k, c, r, s], where h + pad = p*stride + r*dilation
    dw[k, c, r, s]  =  sum over n, p, q of x[n, c, p*stride + r*dilation - pad, ..] * dy[n, k, p, q]

The limit they show: one multiply-add at a time, and a division for every tap, which decides whether
the tap used the pixel.
"""  # noqa: E501

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import BackwardData, BackwardWeights, Conv2d
from convprof.strategies.plan import WEIGHTS, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words


def direct_data(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute planes ``(n, c)`` of dx; ``pixel``, ``plane``: strides of pixels and channels."""
    dy, w, dx = buffers[0], buffers[1], buffers[2]
    c_all, h_end, w_end, k_all, cg, kg = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    r_end, s_end, p_end, q_end, sh, sw = dims[6], dims[7], dims[8], dims[9], dims[10], dims[11]
    dh, dw, top, left, last = dims[12], dims[13], dims[14], dims[15], dims[16]
    x_plane, x_pixel = (1, c_all) if last else (h_end * w_end, 1)
    y_plane, y_pixel = (1, k_all) if last else (p_end * q_end, 1)
    for task in range(lo, hi):
        n = task // c_all
        c = task % c_all
        group = c // cg
        gradient = n * k_all * p_end * q_end
        plane = n * c_all * h_end * w_end + c * x_plane
        for i in range(h_end):
            for j in range(w_end):
                out = plane + (i * w_end + j) * x_pixel
                dx[out] = 0
                total = dx[out]
                for r in range(r_end):
                    row = i + top - r * dh
                    if row < 0 or row % sh != 0 or row // sh >= p_end:
                        continue
                    for s in range(s_end):
                        column = j + left - s * dw
                        if column < 0 or column % sw != 0 or column // sw >= q_end:
                            continue
                        pixel = gradient + (row // sh * q_end + column // sw) * y_pixel
                        for k in range(group * kg, group * kg + kg):
                            factor = w[((k * cg + c - group * cg) * r_end + r) * s_end + s]
                            total += dy[pixel + k * y_plane] * factor
                dx[out] = total


def direct_weights(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute filters ``(k, c)`` of dw; ``pixel``, ``plane``: strides of pixels and channels."""
    x, dy, dw_ = buffers[0], buffers[1], buffers[2]
    c_all, h_end, w_end, k_all, cg, kg = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    r_end, s_end, p_end, q_end, sh, sw = dims[6], dims[7], dims[8], dims[9], dims[10], dims[11]
    dh, dw, top, left, last, n_end = dims[12], dims[13], dims[14], dims[15], dims[16], dims[17]
    x_plane, x_pixel = (1, c_all) if last else (h_end * w_end, 1)
    y_plane, y_pixel = (1, k_all) if last else (p_end * q_end, 1)
    for task in range(lo, hi):
        k = task // cg
        c = k // kg * cg + task % cg
        for r in range(r_end):
            for s in range(s_end):
                out = (task * r_end + r) * s_end + s
                dw_[out] = 0
                total = dw_[out]
                for n in range(n_end):
                    image = n * c_all * h_end * w_end + c * x_plane
                    gradient = n * k_all * p_end * q_end + k * y_plane
                    for p in range(p_end):
                        i = p * sh + r * dh - top
                        if i < 0 or i >= h_end:
                            continue
                        for q in range(q_end):
                            j = q * sw + s * dw - left
                            if j < 0 or j >= w_end:
                                continue
                            pixel = x[image + (i * w_end + j) * x_pixel]
                            total += pixel * dy[gradient + (p * q_end + q) * y_pixel]
                dw_[out] = total


def backward_dims(p: Conv2d, layout: str) -> tuple[int, ...]:
    """Return the integers of the loop nests."""
    top, left, _, _ = p.pads
    sizes = (p.c, p.h, p.w, p.k, p.cg, p.kg, p.r, p.s, p.p, p.q)
    return (*sizes, *p.stride, *p.dilation, top, left, int(layout == "nhwc"), p.n)


class DirectData(Planned[BackwardData[Conv2d]]):
    """The gradient of the input by its definition."""

    name = "direct"
    kind = "conv2d-backward-data"
    summary = "the seven loops of the definition: a sum over the outputs that used a pixel"

    def plan(self, backward: BackwardData[Conv2d], setting: Setting) -> Plan:
        """One stage over the planes of dx."""
        p = backward.forward
        plan = Plan()
        dims = backward_dims(p, setting.layout)
        plan.steps = [Stage("loops", direct_data, p.n * p.c, (X, WEIGHTS, Y), dims)]
        return plan


class DirectWeights(Planned[BackwardWeights[Conv2d]]):
    """The gradient of the weights by its definition."""

    name = "direct"
    kind = "conv2d-backward-weights"
    summary = "the seven loops of the definition, a sum over all pixels per weight"

    def plan(self, backward: BackwardWeights[Conv2d], setting: Setting) -> Plan:
        """One stage over the filters of dw."""
        p = backward.forward
        plan = Plan()
        dims = backward_dims(p, setting.layout)
        plan.steps = [Stage("loops", direct_weights, p.k * p.cg, (X, WEIGHTS, Y), dims)]
        return plan
