"""Direct convolution on register tiles of explicit vectors, read in place: no copy, no padding.

Removes the limit of ``tiled``: the sums stay in vector registers over the whole reduction, in
vectors as wide as the CPU has. Inner loops are generated for the problem at hand, every stride a
constant; at the border, taps that meet only padding are left out instead of multiplied by zero.
NCHW is converted to NHWC and back inside ``run()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.simd import isa as isas
from convprof.simd.microkernel import Tile
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.caches import l2_bytes
from convprof.strategies.conv.regions import Region, cover, regions
from convprof.strategies.plan import Native, Packed, Plan, Stage, X, Y
from convprof.strategies.staged import StagedPrepared
from convprof.strategies.transpose import layout_stage

if TYPE_CHECKING:
    from convprof.problems import Conv2d, Problem
    from convprof.simd.isa import Isa

PANELS = "weights_panels"
NHWC_X, NHWC_Y = "x_nhwc", "y_nhwc"


@dataclass(frozen=True)
class Blocking:
    """How the output is cut."""

    vectors: int
    """Vectors of output channels across a register tile."""
    rows: int
    """Pixels down a register tile, at most."""
    block_rows: int
    """Output rows per block: its input stays in the second-level cache for all channels."""


def register_tile(vectors: int, isa: Isa) -> int:
    """Return the most rows of a tile: accumulators, ``vectors`` of b and a broadcast fit."""
    return max(1, (isa.registers - vectors - 1) // vectors)


def choose(p: Conv2d, isa: Isa, itemsize: int) -> Blocking:
    """Choose the blocking from the shape and the caches."""
    channels = -(-p.kg // isa.lanes(itemsize))
    vectors = 1 if channels == 1 else 2 if channels != 3 or isa.registers < 32 else 3  # noqa: PLR2004
    rows = register_tile(vectors, isa)
    row_bytes = p.stride[0] * p.w * p.c * itemsize
    return Blocking(vectors, rows, max(1, min(p.p, l2_bytes() // 4 // row_bytes)))


class TilePlan:
    """The tiles of one convolution in NHWC."""

    def __init__(self, p: Conv2d, setting: Setting, blocking: Blocking) -> None:
        self.p = p
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(setting.itemsize)
        self.dtype = setting.dtype
        self.blocking = blocking
        self.taps = p.r * p.s * p.cg
        self.width = -(-p.kg // self.lanes) * self.lanes
        """Packed columns of a group's weights."""
        self.executed_macs = 0
        self.tiles = TileList(setting.dtype)

    def build(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the runner's integers: per image, block, group and panel of channels a task."""
        p = self.p
        for first in range(0, p.p, self.blocking.block_rows):
            last = min(first + self.blocking.block_rows, p.p)
            parts = list(regions(p, first, last))
            for n in range(p.n):
                for group in range(p.groups):
                    for k, vectors in self.panels():
                        self.tiles.task()
                        for region in parts:
                            self._region(region, n, group, k, vectors)
        return self.tiles.dims()

    def panels(self) -> list[tuple[int, int]]:
        """Return first column and vectors of every panel of a group's output channels."""
        vectors = self.width // self.lanes
        return [
            (v * self.lanes, min(self.blocking.vectors, vectors - v))
            for v in range(0, vectors, self.blocking.vectors)
        ]

    def _region(self, region: Region, n: int, group: int, k: int, vectors: int) -> None:
        p = self.p
        (sh, sw), (top, left, _, _) = p.stride, p.pads
        rows, columns = region.rows, region.columns
        segments, run = self._segments(region)
        height, width = rows.last - rows.first, columns.last - columns.first
        exist = min(vectors * self.lanes, p.kg - k)
        for pattern, starts in cover(height, width, self.blocking.rows).items():
            tile = Tile(
                dtype=self.dtype,
                lanes=self.lanes,
                rows=tuple((i * sh * p.w + j * sw) * p.c for i, j in pattern),
                segments=segments,
                run=run,
                vectors=vectors,
                c_rows=tuple((i * p.q + j) * p.k for i, j in pattern),
                columns=exist,
            )
            i, j = (np.array(starts) + np.array([rows.first, columns.first])).T
            line = n * p.h + i * sh - top + rows.tap_first * p.dilation[0]
            column = j * sw - left + columns.tap_first * p.dilation[1]
            a = (line * p.w + column) * p.c + group * p.cg
            c = ((n * p.p + i) * p.q + j) * p.k + group * p.kg + k
            if not segments:
                a = np.zeros_like(a)  # never read, and it may lie outside the image
            self.tiles.add(kernel(tile, self.isa), a, self.taps * (group * self.width + k), c)
            self.executed_macs += len(starts) * len(pattern) * exist * len(segments) * run

    def _segments(self, region: Region) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return the runs of the reduction from a pixel's first tap, and their length."""
        p = self.p
        taps_r = range(region.rows.tap_first, region.rows.tap_last)
        taps_s = range(region.columns.tap_first, region.columns.tap_last)
        if not taps_r or not taps_s:
            return (), 0
        (dh, dw), whole = p.dilation, p.groups == 1 and p.dilation[1] == 1
        starts = taps_s[:1] if whole else taps_s  # neighbouring taps are neighbours in memory
        segments = tuple(
            (
                ((r - taps_r[0]) * dh * p.w + (s - taps_s[0]) * dw) * p.c,
                (r * p.s + s) * p.cg,
            )
            for r in taps_r
            for s in starts
        )
        return segments, len(taps_s) * p.cg if whole else p.cg

    def packed(self) -> Packed:
        """Return the packing of the weights: per group and panel, ``(r, s, c)`` by columns."""
        p, panels, width = self.p, self.panels(), self.width

        def rearrange(w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            by_tap = w.reshape(p.groups, p.kg, p.cg, p.r, p.s).transpose(0, 3, 4, 2, 1)
            padded = np.zeros((p.groups, self.taps, width), w.dtype)
            padded[..., : p.kg] = by_tap.reshape(p.groups, self.taps, p.kg)
            cuts = [padded[:, :, k : k + v * self.lanes].reshape(p.groups, -1) for k, v in panels]
            return np.concatenate(cuts, axis=1)

        return Packed((p.groups, self.taps * width), rearrange)


class MicrokernelPrepared(StagedPrepared):
    """Tiles in place."""

    macs: int

    def executed_flops(self) -> int:
        """Return the FLOPs of the tiles: those of taps on padding are left out."""
        return 2 * self.macs


class Microkernel(Strategy):
    """Register tiles of explicit vectors."""

    name: ClassVar[str] = "microkernel"
    kind: ClassVar[str] = "conv2d"
    summary: ClassVar[str] = "register tiles of explicit vectors, generated for the problem"
    parallel: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Generate the kernels and the list of tiles; NCHW is converted on the way in and out."""
        p: Conv2d = problem  # type: ignore[assignment]  # why_not refused other kinds
        blocking = choose(p, isas.find(setting.isa), setting.itemsize)
        tiles = TilePlan(p, setting, blocking)
        dims = tiles.build()
        plan = Plan(p.x_shape(setting.layout), p.weight_shape, p.y_shape(setting.layout))
        plan.packed[PANELS] = tiles.packed()
        plan.table_words = dims.size
        source, target = X, Y
        if setting.layout == "nchw":
            source, target = NHWC_X, NHWC_Y
            plan.workspaces = {NHWC_X: p.x_shape("nhwc"), NHWC_Y: p.y_shape("nhwc")}
            plan.steps.append(layout_stage("to nhwc", X, source, (p.n, p.c, p.h * p.w)))
        native = Native(runner_address(), tiles)
        stage = Stage("tiles", native, int(dims[0]), (source, PANELS, target), lambda: dims)
        plan.steps.append(stage)
        if setting.layout == "nchw":
            plan.steps.append(layout_stage("to nchw", target, Y, (p.n, p.p * p.q, p.k)))
        prepared = MicrokernelPrepared(self.name, p, setting, plan)
        prepared.macs = tiles.executed_macs
        return prepared
