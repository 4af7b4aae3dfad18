"""Cache and register tiles: a convolution as one blocked product, read in place through offsets.

Removes the limit of ``reordered``: a pixel and a weight in registers are used for several outputs,
and a block of operands in the cache for many more. In NHWC the vectors run over output channels. In
NCHW they run over the pixels of a plane without regard to rows, so that even a 7-pixel row fills
them; the few columns between two rows are computed and dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.dtypes import PRODUCTS
from convprof.problems import Conv2d
from convprof.strategies import sums
from convprof.strategies.conv.depthwise import TAPS, depthwise_nhwc, taps_last
from convprof.strategies.conv.geometry import padded_nchw, padded_nhwc
from convprof.strategies.conv.reordered import RSCK, rsck
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

WIDE = "wide"


def crop_planes(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy planes ``(n, k)`` of ``(p, wide row)`` into ``(p, q)``, without the columns between rows."""  # noqa: E501
    wide, y = buffers[0], buffers[1]
    p_end, q_end, columns = dims[0], dims[1], dims[2]
    for plane in range(lo, hi):
        for p in range(p_end):
            source = (plane * p_end + p) * columns
            target = (plane * p_end + p) * q_end
            for q in range(q_end):
                y[target + q] = wide[source + q]


def _plan_nchw(p: Conv2d, setting: Setting) -> Plan:
    """Weights times pixels: ``m = k/groups``, ``n`` = pixels of a plane, once per image and group."""  # noqa: E501
    padded = padded_nchw(p, phases=True)
    columns = padded.shape[-1]
    taps, pixels = p.cg * p.r * p.s, (p.p - 1) * columns + p.q
    wide = columns != p.q
    blocking = OffsetBlocking.choose(
        p.kg, pixels, p.n * p.groups, threads=setting.threads, b=setting.types.source
    )
    stage = Stage(
        "gemm",
        offset_gemm,
        blocking.tiles(p.kg, pixels, p.n * p.groups),
        (WEIGHTS, padded.buffer, WIDE if wide else sums.buffer(setting.types)),
        late_table(
            (p.kg, pixels, taps, p.n * p.groups),
            blocking,
            lambda: _offsets_nchw(p, padded.shape),
        ),
    )
    plan = Plan()
    padded.declare(plan, setting.types)
    plan.steps = [*padded.stages, stage]
    if wide:
        plan.workspaces[WIDE] = Buffer((p.n, p.k, p.p, columns), setting.types.accumulator)
        crop = (p.p, p.q, columns)
        buffers = (WIDE, sums.buffer(setting.types))
        plan.steps.append(Stage("crop", crop_planes, p.n * p.k, buffers, crop))
    return sums.with_rounding(plan, p, setting)


def _offsets_nchw(p: Conv2d, padded: tuple[int, ...]) -> Offsets:
    """Return where rows begin; ``padded``: the shape of the input, in phases of the stride."""
    phases_w, rows, columns = padded[3:]
    plane = padded[2] * phases_w * rows * columns
    (sh, sw), (dh, dw) = p.stride, p.dilation
    taps = p.cg * p.r * p.s
    image, group = np.divmod(np.arange(p.n * p.groups), p.groups)
    c, r, s = np.unravel_index(np.arange(taps), (p.cg, p.r, p.s))
    row, column = r * dh, s * dw
    phase = row % sh * phases_w + column % sw
    i = np.arange(p.kg)
    return Offsets(
        a_base=group * p.kg * taps,
        b_base=(image * p.c + group * p.cg) * plane,
        c_base=(image * p.k + group * p.kg) * p.p * columns,
        a_row=i * taps,
        c_row=i * p.p * columns,
        a_col=np.arange(taps),
        b_row=c * plane + (phase * rows + row // sh) * columns + column // sw,
    )


def _plan_nhwc(p: Conv2d, setting: Setting) -> Plan:
    """Pixels times weights: ``m`` = all output pixels, ``n = k/groups``, once per group."""
    padded = padded_nhwc(p)
    taps, pixels = p.r * p.s * p.cg, p.n * p.p * p.q
    blocking = OffsetBlocking.choose(
        pixels, p.kg, p.groups, threads=setting.threads, b=setting.types.weights
    )
    stage = Stage(
        "gemm",
        offset_gemm,
        blocking.tiles(pixels, p.kg, p.groups),
        (padded.buffer, RSCK, sums.buffer(setting.types)),
        late_table(
            (pixels, p.kg, taps, p.groups), blocking, lambda: _offsets_nhwc(p, padded.shape)
        ),
    )
    plan = Plan()
    padded.declare(plan, setting.types)
    plan.packed[RSCK] = rsck(p, setting.types)
    plan.steps = [*padded.stages, stage]
    return sums.with_rounding(plan, p, setting)


def _offsets_nhwc(p: Conv2d, padded: tuple[int, ...]) -> Offsets:
    """Return where rows begin; ``padded``: the shape of the input with its border."""
    rows, columns = padded[1:3]
    (sh, sw), (dh, dw) = p.stride, p.dilation
    taps, pixels = p.r * p.s * p.cg, p.n * p.p * p.q
    n, out_row, out_column = np.unravel_index(np.arange(pixels), (p.n, p.p, p.q))
    r, s, c = np.unravel_index(np.arange(taps), (p.r, p.s, p.cg))
    group = np.arange(p.groups)
    return Offsets(
        a_base=group * p.cg,
        b_base=group * taps * p.kg,
        c_base=group * p.kg,
        a_row=((n * rows + out_row * sh) * columns + out_column * sw) * p.c,
        c_row=np.arange(pixels) * p.k,
        a_col=(r * dh * columns + s * dw) * p.c + c,
        b_row=np.arange(taps) * p.kg,
    )


def _plan_depthwise_nhwc(p: Conv2d, setting: Setting) -> Plan:
    """One multiply per tap and channel, vectors over the channels."""
    padded = padded_nhwc(p)
    rows, columns = padded.shape[1:3]
    dims = (p.c, rows, columns, p.p, p.q, p.r, p.s, *p.stride, *p.dilation)
    types = setting.types
    plan = Plan()
    padded.declare(plan, types)
    plan.packed[TAPS] = taps_last(p, types)
    stage = Stage(
        "taps", depthwise_nhwc, p.n * p.p, (padded.buffer, TAPS, sums.buffer(types)), dims
    )
    plan.steps = [*padded.stages, stage]
    return sums.with_rounding(plan, p, setting)


class Tiled(Planned[Conv2d]):
    """Blocked for registers and caches, one thread."""

    name = "tiled"
    kind = "conv2d"
    summary = "cache and register tiles over the image in place, one thread"
    dtypes = PRODUCTS

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Pad, multiply in tiles, and in NCHW drop the columns between the rows."""
        if setting.layout == "nchw":
            plan = _plan_nchw(p, setting)
        elif p.cg == p.kg == 1:
            plan = _plan_depthwise_nhwc(p, setting)
        else:
            plan = _plan_nhwc(p, setting)
        return plan
