"""Patch matrix and product: copy every filter window into a column, then multiply once.

Many libraries used this algorithm; ``tiled`` avoids it. The copy is r*s times as large as the
image, and is written and read once, in exchange for a plain matrix product. The phases show its
cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.dtypes import PRODUCTS
from convprof.problems import Conv2d
from convprof.strategies import sums
from convprof.strategies.conv.direct import loop_dims
from convprof.strategies.conv.geometry import Padded, padded_nchw, padded_nhwc
from convprof.strategies.conv.reordered import RSCK, rsck
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import WEIGHTS, Buffer, Call, Plan, Stage, X
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

PATCHES, PRODUCT = "patches", "product"


def patches_nchw(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows ``(c, r, s)`` of the patch matrix ``(c * r * s, n * p * q)``."""
    x, patches = buffers[0], buffers[1]
    c_all, h, width = dims[0], dims[1], dims[2]
    r_end, s_end, p_end, q_end = dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw, n_end = dims[10], dims[11], dims[12], dims[13], dims[14]
    for row in range(lo, hi):
        c = row // (r_end * s_end)
        r = row // s_end % r_end
        s = row % s_end
        for n in range(n_end):
            for p in range(p_end):
                source = ((n * c_all + c) * h + p * sh + r * dh) * width + s * dw
                target = ((row * n_end + n) * p_end + p) * q_end
                if sw == 1:
                    for q in range(q_end):
                        patches[target + q] = x[source + q]
                else:
                    for q in range(q_end):
                        patches[target + q] = x[source + q * sw]


def patches_nhwc(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows of the patch matrices ``(groups, n * p * q, r * s * c/groups)`` of image row ``(n, p)``."""  # noqa: E501
    x, patches = buffers[0], buffers[1]
    c_all, h, width, cg = dims[0], dims[1], dims[2], dims[4]
    r_end, s_end, p_end, q_end = dims[6], dims[7], dims[8], dims[9]
    sh, sw, dh, dw, n_end = dims[10], dims[11], dims[12], dims[13], dims[14]
    for task in range(lo, hi):
        n = task // p_end
        p = task % p_end
        for group in range(c_all // cg):
            for q in range(q_end):
                row = (group * n_end * p_end + task) * q_end + q
                for r in range(r_end):
                    for s in range(s_end):
                        line = (n * h + p * sh + r * dh) * width
                        source = (line + q * sw + s * dw) * c_all + group * cg
                        target = ((row * r_end + r) * s_end + s) * cg
                        for c in range(cg):
                            patches[target + c] = x[source + c]


def swap_outer(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy ``(outer, inner, run)`` to ``(inner, outer, run)``; a task is one of ``inner``."""
    source, target = buffers[0], buffers[1]
    outer, inner, run = dims[0], dims[1], dims[2]
    for i in range(lo, hi):
        for o in range(outer):
            start = (o * inner + i) * run
            to = (i * outer + o) * run
            for j in range(run):
                target[to + j] = source[start + j]


@dataclass(frozen=True)
class Product:
    """The product per group: ``(m, t) x (t, n)``, and which buffers are its operands."""

    m: int
    n: int
    t: int
    a: str
    b: str
    swap: tuple[int, int, int] | None
    """``(outer, inner, run)`` of the copy that orders the result; None if the order is right
    already."""
    c: str
    """The buffer of the result."""


def _product(p: Conv2d, setting: Setting, patches: str) -> Product:
    taps, pixels = p.r * p.s * p.cg, p.n * p.p * p.q
    result = sums.buffer(setting.types)
    if setting.layout == "nchw":
        swap = (p.k, p.n, p.p * p.q) if p.n > 1 else None
        return Product(p.kg, pixels, taps, WEIGHTS, patches, swap, PRODUCT if swap else result)
    swap = (p.groups, pixels, p.kg) if p.groups > 1 else None
    return Product(pixels, p.kg, taps, patches, RSCK, swap, PRODUCT if swap else result)


def _patch_stages(p: Conv2d, layout: str, padded: Padded) -> list[Stage]:
    height, width = padded.shape[4:] if layout == "nchw" else padded.shape[1:3]
    dims = (*loop_dims(p, height, width), p.n)
    if layout == "nchw":
        kernel, tasks = patches_nchw, p.c * p.r * p.s
    else:
        kernel, tasks = patches_nhwc, p.n * p.p
    return [*padded.stages, Stage("im2col", kernel, tasks, (padded.buffer, PATCHES), dims)]


def tiled_gemm(p: Conv2d, setting: Setting, product: Product) -> Stage:
    """Return our own blocked product of the patch matrix and the weights."""
    m, n = product.m, product.n
    sizes = (m, n, product.t, p.groups)
    types = setting.types
    b = types.weights if product.b == RSCK else types.source
    blocking = OffsetBlocking.choose(m, n, p.groups, threads=setting.threads, b=b)
    return Stage(
        "gemm",
        offset_gemm,
        blocking.tiles(m, n, p.groups),
        (product.a, product.b, product.c),
        late_table(sizes, blocking, lambda: Offsets.dense(*sizes)),
    )


class Im2col(Planned[Conv2d]):
    """Patch matrix times weights, our product."""

    name = "im2col"
    kind = "conv2d"
    summary = "patch matrix, then our own tiled GEMM"
    dtypes: tuple[str, ...] = PRODUCTS
    parallel = True

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Pad, copy the patches, multiply, reorder the result."""
        layout = setting.layout
        padded = padded_nchw(p) if layout == "nchw" else padded_nhwc(p)
        plan, types = Plan(), setting.types
        # The patch matrix of a 1x1 filter is the image itself if the image is one matrix.
        itself = p.is_pointwise and padded.buffer == X and p.stride == (1, 1)
        if itself and (p.n == 1 if layout == "nchw" else p.groups == 1):
            product = _product(p, setting, X)
        else:
            product = _product(p, setting, PATCHES)
            plan.steps += _patch_stages(p, layout, padded)
            columns = p.n * p.p * p.q
            padded.declare(plan, types)
            plan.workspaces[PATCHES] = Buffer((p.groups, product.t, columns), types.source)
        if layout == "nhwc":
            plan.packed[RSCK] = rsck(p, types)
        step = self.gemm(p, setting, product)
        plan.steps.append(step)
        if product.swap:
            plan.workspaces[PRODUCT] = Buffer((p.k, p.n * p.p * p.q), types.accumulator)
            buffers = (PRODUCT, sums.buffer(types))
            plan.steps.append(Stage("reshape", swap_outer, product.swap[1], buffers, product.swap))
        return sums.with_rounding(plan, p, setting)

    def gemm(self, p: Conv2d, setting: Setting, product: Product) -> Stage | Call:
        """Return the step of the plan that multiplies."""
        return tiled_gemm(p, setting, product)
