"""The gradient of the input by a product and col2im: the reverse of ``im2col``.

The transposed weights times dy give the gradient of the patch matrix; each of its elements is then
added to the pixel that it was a copy of. A task gathers all terms of its own pixels, so that no two
threads add to the same pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import BackwardData, Conv2d
from convprof.strategies.conv.gradients.direct import backward_dims
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import Buffer, Call, Packed, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

    Array = np.ndarray[Any, Any]

PATCHES, TRANSPOSED = "patches", "weights_transposed"


def col2im_nchw(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Sum planes ``(n, c)`` of dx from ``patches (n, c, r, s, p, q)``."""
    patches, dx = buffers[0], buffers[1]
    h_end, w_end = dims[1], dims[2]
    r_end, s_end, p_end, q_end, sh, sw = dims[6], dims[7], dims[8], dims[9], dims[10], dims[11]
    dh, dw, top, left = dims[12], dims[13], dims[14], dims[15]
    for plane in range(lo, hi):
        start = plane * h_end * w_end
        for i in range(h_end * w_end):
            dx[start + i] = 0
        for r in range(r_end):
            for s in range(s_end):
                shift = s * dw - left
                first = max(0, (sw - 1 - shift) // sw)
                end = min(q_end, (w_end - 1 - shift) // sw + 1)
                for p in range(p_end):
                    i = p * sh + r * dh - top
                    if i < 0 or i >= h_end:
                        continue
                    source = ((plane * r_end + r) * s_end + s) * p_end * q_end + p * q_end
                    target = start + i * w_end + shift
                    if sw == 1:
                        for q in range(first, end):
                            dx[target + q] = dx[target + q] + patches[source + q]
                    else:
                        for q in range(first, end):
                            dx[target + q * sw] = dx[target + q * sw] + patches[source + q]


def col2im_nhwc(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Sum rows ``(n, h)`` of dx from ``patches (groups, n, p, q, r, s, c/groups)``."""
    patches, dx = buffers[0], buffers[1]
    c_all, h_end, w_end, cg = dims[0], dims[1], dims[2], dims[4]
    r_end, s_end, p_end, q_end, sh, sw = dims[6], dims[7], dims[8], dims[9], dims[10], dims[11]
    dh, dw, top, left, n_end = dims[12], dims[13], dims[14], dims[15], dims[17]
    for task in range(lo, hi):
        n = task // h_end
        i = task % h_end
        start = task * w_end * c_all
        for j in range(w_end * c_all):
            dx[start + j] = 0
        for r in range(r_end):
            row = i + top - r * dh
            if row < 0 or row % sh != 0 or row // sh >= p_end:
                continue
            p = row // sh
            for group in range(c_all // cg):
                for q in range(q_end):
                    pixel = ((group * n_end + n) * p_end + p) * q_end + q
                    for s in range(s_end):
                        j = q * sw + s * dw - left
                        if j < 0 or j >= w_end:
                            continue
                        source = ((pixel * r_end + r) * s_end + s) * cg
                        target = start + j * c_all + group * cg
                        for c in range(cg):
                            dx[target + c] = dx[target + c] + patches[source + c]


def _transposed(p: Conv2d, setting: Setting) -> Packed:
    """Return the weights as ``(groups, c r s, k)``, or in NHWC as ``(groups, k, r s c)``."""
    taps, weights = p.cg * p.r * p.s, setting.types.weights
    if setting.layout == "nchw":

        def by_tap(w: Array) -> Array:
            return w.reshape(p.groups, p.kg, taps).transpose(0, 2, 1)

        return Packed(Buffer((p.groups, taps, p.kg), weights), by_tap)

    def channels_last(w: Array) -> Array:
        grouped = w.reshape(p.groups, p.kg, p.cg, p.r, p.s)
        return grouped.transpose(0, 1, 3, 4, 2).reshape(p.groups, p.kg, taps)

    return Packed(Buffer((p.groups, p.kg, taps), weights), channels_last)


class Im2colData(Planned[BackwardData[Conv2d]]):
    """Transposed weights times dy, our product, then col2im."""

    name = "im2col"
    kind = "conv2d-backward-data"
    summary = "our own tiled GEMM, then col2im: patches are added up to pixels"
    parallel = True

    def plan(self, backward: BackwardData[Conv2d], setting: Setting) -> Plan:
        """Multiply, then add up."""
        p, layout = backward.forward, setting.layout
        plan = Plan()
        plan.packed[TRANSPOSED] = _transposed(p, setting)
        shape = (p.c * p.r * p.s, p.n * p.p * p.q)
        plan.workspaces = {PATCHES: Buffer(shape, setting.types.accumulator)}
        kernel, tasks = (col2im_nchw, p.n * p.c) if layout == "nchw" else (col2im_nhwc, p.n * p.h)
        gather = Stage("col2im", kernel, tasks, (PATCHES, Y), backward_dims(p, layout))
        step = self.product(p, setting)
        plan.steps = [step, gather]
        return plan

    def product(self, p: Conv2d, setting: Setting) -> Stage | Call:
        """Return our own blocked product."""
        taps, pixels = p.cg * p.r * p.s, p.p * p.q
        if setting.layout == "nchw":
            m, n, batch = taps, pixels, p.n * p.groups
            buffers, b = (TRANSPOSED, X, PATCHES), setting.types.result
        else:
            m, n, batch = p.n * pixels, taps, p.groups
            buffers, b = (X, TRANSPOSED, PATCHES), setting.types.weights

        def offsets() -> Offsets:
            item, i, t = np.arange(batch), np.arange(m), np.arange(p.kg)
            if setting.layout == "nchw":
                return Offsets(
                    a_base=item % p.groups * taps * p.kg,
                    b_base=item * p.kg * pixels,
                    c_base=item * taps * pixels,
                    a_row=i * p.kg,
                    c_row=i * pixels,
                    a_col=t,
                    b_row=t * pixels,
                )
            return Offsets(
                a_base=item * p.kg,
                b_base=item * p.kg * taps,
                c_base=item * m * taps,
                a_row=i * p.k,
                c_row=i * taps,
                a_col=t,
                b_row=t * taps,
            )

        blocking = OffsetBlocking.choose(m, n, batch, threads=setting.threads, b=b)
        tasks = blocking.tiles(m, n, batch)
        return Stage(
            "gemm", offset_gemm, tasks, buffers, late_table((m, n, p.kg, batch), blocking, offsets)
        )


class Im2colBlasData(Im2colData):
    """Transposed weights times dy, BLAS's product, then col2im."""

    name = "im2col-blas"
    summary = "the GEMM of NumPy's BLAS, then col2im"

    def product(self, p: Conv2d, setting: Setting) -> Call:
        """Return a call of ``numpy.matmul``, which hands matrices of contiguous rows to BLAS."""
        taps, pixels = p.cg * p.r * p.s, p.p * p.q

        def nchw(buffers: dict[str, Array]) -> None:
            gradient = buffers[X].reshape(p.n, p.groups, p.kg, pixels)
            out = buffers[PATCHES].reshape(p.n, p.groups, taps, pixels)
            np.matmul(buffers[TRANSPOSED], gradient, out=out)

        def nhwc(buffers: dict[str, Array]) -> None:
            gradient = buffers[X].reshape(p.n * pixels, p.groups, p.kg).transpose(1, 0, 2)
            out = buffers[PATCHES].reshape(p.groups, p.n * pixels, taps)
            np.matmul(gradient, buffers[TRANSPOSED], out=out)

        return Call("gemm", nchw if setting.layout == "nchw" else nhwc)

    def plan(self, backward: BackwardData[Conv2d], setting: Setting) -> Plan:
        """Hold BLAS to the setting's threads."""
        plan = super().plan(backward, setting)
        plan.blas_threads = setting.threads
        return plan
