"""The tiles of a convolution in the tile registers of AMX: 32 pixels by 32 output channels.

The pixels of a register are one line of the output, across or down, so that their distances are
equal in the input and in the output; a kernel has two of these lines. Where lines follow each other
without a gap, as in a 1x1 convolution, the whole image is one line. Filter taps are segments of the
sum, as in vector registers.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.amx import AmxTile
from convprof.codegen.kernels.split import PAIRS
from convprof.codegen.kernels.tile_registers import (
    GROUPS,
    SIDE,
    STEP_CYCLES,
    TILE_ROWS,
    Rows,
    TileProduct,
    tile_product,
)
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import of_one
from convprof.integers import ceil_div, even_parts, split
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.filling import filled
from convprof.strategies.conv.geometry import PADDED
from convprof.strategies.plan import Native, Stage

if TYPE_CHECKING:
    from convprof.codegen.tile_list import TileKernel
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.regions import Convolution, Output, Pattern, TilePlacement

LEAST_PIXELS = 6
"""Pixels of a kernel, on average. A step takes 80 cycles for any number of pixels, in which vectors
multiply five."""
BORDER_PAYS = 1.15
"""Kernels without a border over kernels with one, from which a copy with the border is faster: the
copy takes 5 to 10 % of the time."""
LEAST_GROUPS = 8
"""Groups of channels of a step; with fewer, vectors are as fast."""


def amx_plan(p: Conv2d, setting: Setting) -> AmxPlan | None:
    """Return the plan in tile registers, of an image with its border if that has fewer kernels.

    None where the CPU has no instruction for the types, or vectors are as fast.
    """
    product = product_of(setting)
    if product is None:
        return None
    whole = filled(p, product.k_group)
    tiles = AmxPlan(whole, setting, product)
    if any(p.pads) and min(p.pads) >= 0 and whole.c == p.c:
        padded = AmxPlan(with_border(p), setting, product)
        if tiles.tiles_per_panel > BORDER_PAYS * padded.tiles_per_panel:
            tiles = padded
    return tiles if tiles.pays else None


def with_border(p: Conv2d) -> Conv2d:
    """Return the same convolution of an image whose padding is part of it."""
    top, left, bottom, right = p.pads
    return replace(p, h=p.h + top + bottom, w=p.w + left + right, pad=(0, 0))


def border_stages(source: str, p: Conv2d, setting: Setting) -> list[Stage]:
    """Return the stage that copies the NHWC image of ``p`` into the middle of ``PADDED``."""
    top, left, _, _ = p.pads
    isa, dtype, length = isas.find(setting.isa), setting.types.source, p.w * p.c
    whole = with_border(p)
    copy = CopyPanel(
        types=of_one(dtype),
        lanes=isa.lanes(dtype.bytes),
        rows=1,
        columns=length,
        width=length,
        row=length,
        fused=isa.fused,
    )
    tiles = TileList()
    for lines in split(p.n * p.h, setting.threads):
        tiles.task()
        line = np.asarray(lines)
        if line.size:
            to = (line // p.h * whole.h + line % p.h + top) * whole.w + left
            tiles.add(kernel(copy, isa), line * length, 0, to * p.c)
    native = Native(runner_address(), tiles)
    buffers = (source, source, PADDED)
    return [Stage("pad", native, setting.threads, buffers, tiles.dims(), work_fraction=0.0)]


def product_of(setting: Setting) -> TileProduct | None:
    """Return the tile instruction of a setting; None without one."""
    return tile_product(setting.types, isas.find(setting.isa))


class AmxPlan(DensePlan):
    """Tiles of two lines of pixels, in tile registers."""

    def __init__(
        self,
        p: Convolution,
        setting: Setting,
        product: TileProduct,
        output: Output | None = None,
    ) -> None:
        """Without ``output`` the result is dense."""
        self.product = product
        super().__init__(p, setting, output)

    @property
    def step_group(self) -> int:
        """Elements that the tile instruction multiplies per lane."""
        return self.product.k_group

    @functools.cached_property
    def _whole_image(self) -> list[TilePlacement]:
        return self._placements(0, self.p.p, SIDE)

    @property
    def tiles_per_panel(self) -> int:
        """Kernels for the pixels of an image."""
        return sum(len(each.a) for each in self._whole_image)

    @property
    def pays(self) -> bool:
        """Whether most kernels fill the registers."""
        depths = {self._step(self._segments(each.region)[1])[1] for each in self._whole_image}
        enough = self.p.p * self.p.q >= LEAST_PIXELS * self.tiles_per_panel
        return enough and min(depths) >= LEAST_GROUPS

    def cycles(self) -> float:
        """Estimate the steps of all kernels, of however many pixels."""
        p, pairs = self.p, len(PAIRS[self.pieces])
        kernels = p.n * self.tiles_per_panel * len(self.panels())
        steps, _ = self.product.steps(p.cg)
        return pairs * kernels * p.r * p.s * steps * STEP_CYCLES

    def shapes(self) -> list[tuple[int, int]]:
        """Return two vectors of channels, if there are as many, by 32 pixels."""
        return [(min(SIDE // self.lanes, self.width // self.lanes), SIDE)]

    def whole_shares(self) -> None:
        """Return nothing: the shares are estimated for vector registers."""

    def blocking(self) -> ConvBlocking:
        """Choose the blocking: the input and the output of a block fill half of L2."""
        (vectors, rows), p = self.shapes()[0], self.p
        panels = p.groups * ceil_div(self.width, vectors * self.lanes)
        return ConvBlocking(vectors, rows, self.block_rows(panels, share=1 / 2))

    def cover(self, height: int, width: int, most: int) -> dict[Pattern, list[tuple[int, int]]]:
        """Return the starts of kernels by the pattern of their pixels: one line, or two lines."""
        if width == self.p.q and self._has_one_line(width):
            parts = even_parts(height * width, most)
            starts: dict[Pattern, list[tuple[int, int]]] = {}
            for part in parts:
                pattern = tuple((0, j) for j in range(len(part)))
                starts.setdefault(pattern, []).append(divmod(part.start, width))
            return starts
        down = height > width
        tiles = _lines(*((width, height) if down else (height, width)), most)
        if not down:
            return tiles
        return {
            tuple((i, j) for j, i in pattern): [(i, j) for j, i in places]
            for pattern, places in tiles.items()
        }

    def _has_one_line(self, width: int) -> bool:
        """Whether the first pixel of a line follows the last of the line before."""
        (sh, sw), p, out = self.p.stride, self.p, self.output
        return sh * p.w == width * sw and out.row == width * out.pixel

    def _step(self, run: int) -> tuple[int, int]:
        """Return the steps of ``run`` groups, and the groups of each: nothing may be left over."""
        depth = next((n for n in range(GROUPS, 0, -1) if run % n == 0), 1)
        return run // depth, depth if run else GROUPS

    def _kernel(
        self, placement: TilePlacement, vectors: int, columns: int
    ) -> tuple[TileKernel, int, int]:
        segments, run = self._segments(placement.region)
        steps, depth = self._step(run)
        b_row = vectors * self.lanes * self.k_group
        fetched = self.fetching.each_step(len(placement.pattern)) if self.fetching else 0
        fetch = fetched if fetched < b_row else 0
        rows, a_row, c_row = self._rows(placement)
        tile = AmxTile(
            types=self.types,
            lanes=self.lanes,
            product=self.product,
            rows=rows,
            columns=columns,
            steps=steps,
            depth=depth,
            a_row=a_row,
            b_row=b_row,
            c_row=c_row,
            segments=segments,
            fetch_lines=ceil_div(fetch * depth * self.types.weights.bytes, LINE_BYTES),
            fetch_c=False,
            sums_on_stack=True,
            epilogue=self.p.epilogue,
        )
        return kernel(tile, self.isa), len(segments) * run, fetch

    def _rows(self, placement: TilePlacement) -> tuple[tuple[Rows, ...], int, int]:
        """Return the registers of a pattern, and the distances of pixels in input and output."""
        pattern = placement.pattern
        a, c = placement.input_offsets(self.p), placement.output_offsets(self.output)
        first = TILE_ROWS
        if len(pattern) > 1:
            step = pattern[1][0] - pattern[0][0], pattern[1][1] - pattern[0][1]
            line = [(i * step[0], i * step[1]) for i in range(len(pattern))]
            same = (i for i, pixel in enumerate(pattern) if pixel != line[i])
            first = min(TILE_ROWS, next(same, TILE_ROWS))
        firsts = [0, first] if len(pattern) > first else [0]
        ends = [*firsts[1:], len(pattern)]
        rows = tuple(Rows(last - i, a[i], c[i]) for i, last in zip(firsts, ends, strict=True))
        far = min(1, len(pattern) - 1)
        return rows, a[far], c[far]


def _lines(count: int, length: int, most: int) -> dict[Pattern, list[tuple[int, int]]]:
    """Cover ``count`` lines with one or two lines at a time; the longest part is ``most``."""
    tiles: dict[Pattern, list[tuple[int, int]]] = {}
    if length > TILE_ROWS or length == 1:
        for part in even_parts(length, most):
            pattern = tuple((0, j) for j in range(len(part)))
            tiles.setdefault(pattern, []).extend((i, part.start) for i in range(count))
        return tiles
    for i in range(0, count, 2):
        lines = range(min(2, count - i))
        pattern = tuple((line, j) for line in lines for j in range(length))
        tiles.setdefault(pattern, []).append((i, 0))
    return tiles
