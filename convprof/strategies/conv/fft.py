"""Convolution theorem: transform tiles and filters, multiply per frequency, transform back.

The work per output grows with the logarithm of the tile and not with the filter's area, which suits
large filters (Mathieu, Henaff & LeCun 2014, *Fast Training of Convolutional Networks through
FFTs*). Tiles overlap (overlap-save, see ``overlap_save.py``). Frequencies are outermost in memory,
so that the sum over channels is one complex matrix product for each of them. With a stride, the
dense result is computed and sampled; a dilated filter is filled with zeros. Neither saves work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import Conv2d
from convprof.strategies.conv.frequency import (
    FILTERS,
    PRODUCT,
    RESULT,
    SPECTRUM,
    TILES,
    FrequencySteps,
    filter_spectra,
)
from convprof.strategies.conv.nhwc import nhwc_plan
from convprof.strategies.conv.overlap_save import Tiling
from convprof.strategies.plan import Buffer, Call, Stage
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words
    from convprof.strategies.plan import Plan


def cut_tiles(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy an NHWC image into overlapping tiles ``(i, j, tile, c)``; a task is one row ``i``.

    The buffer is zeroed once; no task writes to the elements outside of the image.
    """
    x, tiles = buffers[0], buffers[1]
    n_end, h, width, c_end, top, left = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    a_end, b_end, step_h, step_w, points_w = dims[6], dims[7], dims[8], dims[9], dims[10]
    for i in range(lo, hi):
        for j in range(points_w):
            target = (i * points_w + j) * n_end * a_end * b_end * c_end
            for n in range(n_end):
                for a in range(a_end):
                    row = a * step_h + i - top
                    for b in range(b_end):
                        column = b * step_w + j - left
                        if 0 <= row < h and 0 <= column < width:
                            source = ((n * h + row) * width + column) * c_end
                            for c in range(c_end):
                                tiles[target + c] = x[source + c]
                        target += c_end


def join_tiles(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy the valid part of tiles ``(i, j, tile, k)`` into output rows ``(n, p)``."""
    tiles, y = buffers[0], buffers[1]
    n_end, p_end, q_end, k_end, a_end, b_end = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    rows, columns, points_w, stride_w = dims[6], dims[7], dims[8], dims[9]
    for task in range(lo, hi):
        n = task // p_end
        p = task % p_end
        for q in range(q_end):
            pixel = p % rows * points_w + q % columns * stride_w
            tile = (n * a_end + p // rows) * b_end + q // columns
            source = (pixel * n_end * a_end * b_end + tile) * k_end
            target = (task * q_end + q) * k_end
            for k in range(k_end):
                y[target + k] = tiles[source + k]


class Fft(Planned[Conv2d]):
    """Overlap-save with NumPy's transforms and its BLAS."""

    name = "fft"
    kind = "conv2d"
    summary = "tiles and filters multiplied in the frequency domain"
    parallel = True

    def why_not(self, problem: Conv2d, setting: Setting) -> str | None:
        """Refuse 1x1 filters, which are a matrix product already."""
        reason = super().why_not(problem, setting)
        if reason is None and problem.is_pointwise:
            return f"{self.name} needs a filter of at least 2 taps; got 1x1"
        return reason

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Cut into tiles, transform, multiply, transform back, join the valid parts."""
        tiling = Tiling.choose(p)
        steps = FrequencySteps(tiling, setting)

        def stages(source: str, target: str) -> list[Stage | Call]:
            rows = tiling.rows.points
            return [
                Stage("pad", cut_tiles, rows, (source, TILES), _cut_dims(tiling)),
                Call("fft", steps.forward),
                Call("product", steps.product),
                Call("inverse", steps.inverse),
                Stage("crop", join_tiles, p.n * p.p, (RESULT, target), _join_dims(tiling)),
            ]

        plan = nhwc_plan(p, setting, stages)
        shapes = {
            TILES: (tiling.rows.points, tiling.columns.points, tiling.tiles * p.c),
            SPECTRUM: (tiling.rows.points, tiling.half, tiling.tiles * p.c * 2),
            PRODUCT: (tiling.rows.points, tiling.half, tiling.tiles * p.k * 2),
            RESULT: (tiling.rows.outputs, tiling.columns.points, tiling.tiles * p.k),
        }
        total = setting.types.accumulator
        plan.workspaces |= {name: Buffer(shape, total) for name, shape in shapes.items()}
        plan.packed[FILTERS] = filter_spectra(tiling, total)
        plan.executed_flops = tiling.flops()
        plan.blas_threads = 1  # threads share out whole products instead
        return plan


def _cut_dims(tiling: Tiling) -> tuple[int, ...]:
    p, rows, columns = tiling.p, tiling.rows, tiling.columns
    steps = rows.outputs * p.stride[0], columns.outputs * p.stride[1]
    counts = (rows.count, columns.count)
    return (p.n, p.h, p.w, p.c, *p.pads[:2], *counts, *steps, columns.points)


def _join_dims(tiling: Tiling) -> tuple[int, ...]:
    p, rows, columns = tiling.p, tiling.rows, tiling.columns
    tiles = (rows.count, columns.count, rows.outputs, columns.outputs)
    return (p.n, p.p, p.q, p.k, *tiles, columns.points, p.stride[1])
