"""The gradient of the weights by the patch matrix: dy times patches, summed over the pixels.

In NCHW a patch has the order of the weights, ``(c, r, s)``; in NHWC it has the order of the image,
``(r, s, c)``, so that the result has to be transposed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import BackwardWeights, Conv2d
from convprof.strategies.conv.direct import loop_dims
from convprof.strategies.conv.geometry import padded_nchw, padded_nhwc
from convprof.strategies.conv.im2col import patches_nhwc
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import WEIGHTS, Buffer, Call, Plan, Stage, Y
from convprof.strategies.planned import Planned
from convprof.strategies.transposition import transpose_stage

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

    Array = np.ndarray[Any, Any]

PATCHES, PRODUCT, BY_IMAGE = "patches", "product", "product_by_image"


def pixel_patches_nchw(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows ``(n, p, q)`` of the patch matrices ``(groups, n p q, c/groups r s)``."""
    x, patches = buffers[0], buffers[1]
    c_all, h, width, cg = dims[0], dims[1], dims[2], dims[4]
    r_end, s_end, p_end, q_end = dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw, n_end = dims[10], dims[11], dims[12], dims[13], dims[14]
    for task in range(lo, hi):
        n = task // p_end
        p = task % p_end
        for c in range(c_all):
            group = c // cg
            for r in range(r_end):
                line = ((n * c_all + c) * h + p * sh + r * dh) * width
                for q in range(q_end):
                    row = (group * n_end * p_end + task) * q_end + q
                    target = ((row * cg + c - group * cg) * r_end + r) * s_end
                    for s in range(s_end):
                        patches[target + s] = x[line + q * sw + s * dw]


class Im2colWeights(Planned[BackwardWeights[Conv2d]]):
    """dy times the patch matrix, our product."""

    name = "im2col"
    kind = "conv2d-backward-weights"
    summary = "patch matrix, then our own tiled GEMM with dy"
    parallel = True

    def plan(self, backward: BackwardWeights[Conv2d], setting: Setting) -> Plan:
        """Pad, copy the patches, multiply, in NHWC transpose the result."""
        p, layout = backward.forward, setting.layout
        plan = Plan()
        taps, pixels = p.cg * p.r * p.s, p.n * p.p * p.q
        last = layout == "nhwc"
        padded = padded_nhwc(p) if last else padded_nchw(p)
        height, width = padded.shape[1:3] if last else padded.shape[4:]
        copy = Stage(
            "im2col",
            patches_nhwc if last else pixel_patches_nchw,
            p.n * p.p,
            (padded.buffer, PATCHES),
            (*loop_dims(p, height, width), p.n),
        )
        padded.declare(plan, setting.types)
        plan.workspaces[PATCHES] = Buffer((p.groups, pixels, taps), setting.types.source)
        result = PRODUCT if last and p.r * p.s > 1 else Y
        plan.steps = [*padded.stages, copy, *self.product(p, setting, plan, result)]
        if result == PRODUCT:
            plan.workspaces[PRODUCT] = Buffer((p.k, taps), setting.types.result)
            turn = transpose_stage(
                "turn", PRODUCT, Y, Buffer((p.k, p.r * p.s, p.cg), setting.types.result), setting
            )
            plan.steps.append(turn)
        return plan

    def product(
        self,
        p: Conv2d,
        setting: Setting,
        plan: Plan,  # noqa: ARG002
        result: str,
    ) -> list[Stage | Call]:
        """Return our own blocked product, which reads dy along its columns or across its images."""
        taps, pixels = p.cg * p.r * p.s, p.n * p.p * p.q
        blocking = OffsetBlocking.choose(
            p.kg, taps, p.groups, threads=setting.threads, b=setting.types.source
        )

        def offsets() -> Offsets:
            group, i, t = np.arange(p.groups), np.arange(p.kg), np.arange(pixels)
            image, pixel = np.divmod(t, p.p * p.q)
            dense = Offsets.dense(p.kg, taps, pixels, p.groups)
            if setting.layout == "nhwc":
                return dataclasses.replace(dense, a_base=group * p.kg, a_row=i, a_col=t * p.k)
            plane = p.p * p.q
            return dataclasses.replace(
                dense,
                a_base=group * p.kg * plane,
                a_row=i * plane,
                a_col=image * p.k * plane + pixel,
            )

        return [
            Stage(
                "gemm",
                offset_gemm,
                blocking.tiles(p.kg, taps, p.groups),
                (WEIGHTS, PATCHES, result),
                late_table((p.kg, taps, pixels, p.groups), blocking, offsets),
            )
        ]


class Im2colBlasWeights(Im2colWeights):
    """dy times the patch matrix, BLAS's product."""

    name = "im2col-blas"
    summary = "patch matrix, then the GEMM of NumPy's BLAS with dy"

    def product(self, p: Conv2d, setting: Setting, plan: Plan, result: str) -> list[Stage | Call]:
        """Return calls of ``numpy.matmul``; in NCHW one product per image, then their sum."""
        taps, plane = p.cg * p.r * p.s, p.p * p.q
        shape = (p.groups, p.kg, taps)
        if setting.layout == "nhwc":

            def nhwc(buffers: dict[str, Array]) -> None:
                gradient = buffers[WEIGHTS].reshape(p.n * plane, p.groups, p.kg)
                patches = buffers[PATCHES].reshape(p.groups, p.n * plane, taps)
                np.matmul(gradient.transpose(1, 2, 0), patches, out=buffers[result].reshape(shape))

            return [Call("gemm", nhwc)]
        target = BY_IMAGE if p.n > 1 else result
        if p.n > 1:
            plan.workspaces[BY_IMAGE] = Buffer((p.n, *shape), setting.types.accumulator)

        def nchw(buffers: dict[str, Array]) -> None:
            gradient = buffers[WEIGHTS].reshape(p.n, p.groups, p.kg, plane)
            patches = buffers[PATCHES].reshape(p.groups, p.n, plane, taps).transpose(1, 0, 2, 3)
            np.matmul(gradient, patches, out=buffers[target].reshape(p.n, *shape))

        def add(buffers: dict[str, Array]) -> None:
            np.add.reduce(buffers[BY_IMAGE], axis=0, out=buffers[result].reshape(shape))

        return [Call("gemm", nchw), *([Call("sum", add)] if p.n > 1 else [])]

    def plan(self, backward: BackwardWeights[Conv2d], setting: Setting) -> Plan:
        """Hold BLAS to the setting's threads."""
        plan = super().plan(backward, setting)
        plan.blas_threads = setting.threads
        return plan
