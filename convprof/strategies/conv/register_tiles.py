"""The register tiles of a convolution in NHWC: their order, and their assignment to tasks."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.tile_list import TileKernel, TileList, kernel
from convprof.integers import ceil_div, round_up
from convprof.strategies import epilogue
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.fetching import Fetching
from convprof.strategies.conv.longest_share import quickest
from convprof.strategies.conv.regions import (
    Output,
    Region,
    TilePlacement,
    cover,
    regions,
    tap_offset,
)
from convprof.strategies.memory import l2_bytes
from convprof.strategies.plan import Buffer, Packed, shared
from convprof.strategies.plan_runner import UNINTERRUPTED_MACS

if TYPE_CHECKING:
    from collections.abc import Hashable

    from convprof.strategies.base import Setting
    from convprof.strategies.conv.regions import Convolution, Pattern

    Array = np.ndarray[Any, Any]
    Integers = np.ndarray[Any, np.dtype[np.int64]]

FETCH_ROWS = 64
"""Rows of weights, 14 cycles each in a usual tile: more than a read from the last-level cache."""
TASKS_PER_THREAD = 4
"""Enough tasks for the threads to finish together although the tasks differ."""
FEW_THREADS = 2
"""For more threads, sizes of tiles are chosen by the longest share."""
MOST_CHOSEN = 256
"""Blockings that are kept: one plan needs its blocking several times, and a network repeats layers.
"""
_chosen: dict[Hashable, ConvBlocking] = {}
"""The blockings by the longest share, the latest last."""


class TilePlan(ABC):
    """The tiles of one convolution: per block of output rows, image and panel of channels."""

    def __init__(self, p: Convolution, setting: Setting, output: Output | None = None) -> None:
        """Without ``output`` the result is dense."""
        self.p = p
        self.output = output or Output.dense(p)
        self.isa = isas.find(setting.isa)
        self.types = setting.types
        self.threads = setting.threads
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.tiles = TileList()
        self.fetching: Fetching | None = None
        """The part of the next panel that each tile fetches; None where panels stay in L2."""
        self.chosen = self.blocking()

    @abstractmethod
    def blocking(self) -> ConvBlocking:
        """Choose the blocking from the shape and the caches."""

    def blockings(self) -> list[ConvBlocking]:
        """Return the candidate blockings, the model's choice first."""
        chosen = self.blocking()
        rows = (chosen.block_rows, max(1, chosen.block_rows // 2), 2 * chosen.block_rows)
        others = [
            replace(chosen, vectors=vectors, rows=tall, block_rows=min(self.p.p, count))
            for vectors, tall in self.shapes()
            for count in rows
        ]
        free = [replace(chosen, fixed=0)] if self.threads > 1 else []
        return list(dict.fromkeys([chosen, *free, *others]))

    @abstractmethod
    def shapes(self) -> list[tuple[int, int]]:
        """Return vectors and rows of candidate register tiles, the model's choice first."""

    @abstractmethod
    def panels(self) -> list[tuple[int, int, int]]:
        """Return group, first column and vectors of every panel of output channels."""

    @abstractmethod
    def packed(self) -> Packed:
        """Return the packing of the weights."""

    @abstractmethod
    def add(self, placement: TilePlacement, panel: tuple[int, int, int]) -> None:
        """Add one panel's tiles at some pixels."""

    @functools.cached_property
    def bias_rows(self) -> dict[tuple[int, int, int, int], int]:
        """The row of the biases for each range of filter taps; the one row without requantisation.

        What the padding takes away from a sum, it takes away from the sum of the weights too.
        """
        ranges = dict.fromkeys(region.tap_ranges for region in regions(self.p, 0, self.p.p))
        return {each: row * self.types.requantises for row, each in enumerate(ranges)}

    def sums_of_weights(self, w: Array) -> Array:
        """Return the sums of the weights ``(k, c/groups, r, s)`` of each row of the biases."""
        parts = (w[:, :, r:r_end, s:s_end] for r, r_end, s, s_end in self.bias_rows)
        return np.stack([part.sum(axis=(1, 2, 3), dtype=np.int64) for part in parts])

    @property
    def executed_macs(self) -> int:
        """Multiply-adds of all tiles; taps in the padding are left out."""
        return self.tiles.executed_macs

    def build(self) -> Integers:
        """Return the runner's integers: a task per block, image and panel."""
        # the last panel of each image has no next panel
        threads = self.threads if self.weights_far or self._shares_tiles else 0
        key = (type(self), self.p, self.output, self.isa, self.types, self.chosen, threads)
        self.tiles = shared(key, self._listed)
        return self.tiles.dims()

    @property
    def _shares_tiles(self) -> bool:
        """Whether each thread has a list of tiles of its own."""
        return self.threads > 1 and bool(self.chosen.fixed)

    def _listed(self) -> TileList:
        """Return the tiles in order; for a fixed schedule a task is the share of a thread.

        Of long convolutions it is a part of the share, so that the stage can run in slices.
        """
        tiles = self._in_order()
        if self._shares_tiles:
            slices = max(1, ceil_div(tiles.executed_macs, UNINTERRUPTED_MACS))
            tiles.share_out(slices * self.threads)
        return tiles

    def _in_order(self) -> TileList:
        p, blocking, panels = self.p, self.chosen, self.panels()
        edges = range(0, p.p, blocking.block_rows)
        blocks = [
            self._placements(first, min(first + blocking.block_rows, p.p), blocking.rows)
            for first in edges
        ]
        pixels = list(itertools.product(blocks, range(p.n)))
        if self.weights_far:
            self._panel_by_panel(pixels)
            return self.tiles
        for (placements, n), panel in itertools.product(pixels, panels):
            self._task(placements, n, panel)
        return self.tiles

    def _panel_by_panel(self, pixels: list[tuple[list[TilePlacement], int]]) -> None:
        """Add all tiles of a panel, then of the next panel: a thread has panels of its own.

        Tiles fetch the next panel. After the last panel they fetch their own, which is in a cache.
        """
        panels, threads = self.panels(), self.threads
        self.fetching = Fetching(self.panel_elements(panels[0]), sum(map(self._work, pixels)))
        last = {len(panels) * (member + 1) // threads - 1 for member in range(threads)}
        for number, panel in enumerate(panels):
            following = panels[number + (number not in last)]
            self.fetching.begin(self.panel_start(following), self.panel_elements(following))
            for placements, n in pixels:
                self._task(placements, n, panel)

    def _task(self, placements: list[TilePlacement], n: int, panel: tuple[int, int, int]) -> None:
        self.tiles.task()
        for placement in placements:
            self.add(placement.image(n, self.p, self.output), panel)

    def _work(self, pixels: tuple[list[TilePlacement], int]) -> int:
        """Return rows times steps of a panel's tiles at these pixels."""
        return sum(
            len(placement.a) * len(placement.pattern) * len(placement.region.taps) * self.tap_steps
            for placement in pixels[0]
        )

    def buffers(self, source: str, panels: str, target: str) -> tuple[str, ...]:
        """Return the names of the buffers that a stage of the tiles reads and writes."""
        fourth = (panels,) if self.weights_far else ()
        return epilogue.buffers(self.p.epilogue, (source, panels, target, *fourth), self.types)

    def _place(
        self,
        tile: TileKernel,
        starts: tuple[Integers, int, Integers],
        d: Integers | int,
        at: tuple[int, Region],
    ) -> None:
        """Add tiles: starts in input, weights, output, prefetch; the first channel, the region."""
        column, region = at
        lost = self.bias_rows[region.tap_ranges] if self.types.requantises else 0
        bias = lost * self.p.k + column
        more = epilogue.offsets(self.p.epilogue, self.types, column, starts[2], bias)
        fourth = (d,) if more or self.weights_far else ()
        self.tiles.add(tile, *starts, *fourth, *more)

    @property
    def tap_steps(self) -> int:
        """Steps of the reduction per tap of the filter."""
        return 1

    @property
    def weights_far(self) -> bool:
        """Whether the packed weights come from beyond L2."""
        return False

    @abstractmethod
    def panel_elements(self, panel: tuple[int, int, int]) -> int:
        """Return the elements of a panel of packed weights."""

    @abstractmethod
    def panel_start(self, panel: tuple[int, int, int]) -> int:
        """Return where a panel starts in the packed weights, in elements."""

    def block_rows(self, panels: int, share: float = 1 / 4, *, tasks: bool = True) -> int:
        """Return output rows per block: both images fit a share of L2, all threads have tasks.

        Without ``tasks`` the threads share out tiles, and blocks may be as few as fit L2.
        """
        p = self.p
        read = p.stride[0] * p.w * p.c * self.types.source.bytes
        row_bytes = read + p.q * p.k * self.types.result.bytes
        fitting = max(1, int(share * l2_bytes()) // row_bytes)
        if self.threads > 1 and tasks:
            blocks_per_image = ceil_div(TASKS_PER_THREAD * self.threads, p.n * panels)
            fitting = min(fitting, max(1, p.p // blocks_per_image))
        blocks = ceil_div(p.p, fitting)
        return ceil_div(p.p, blocks)  # equal blocks

    def _placements(self, first: int, last: int, most: int) -> list[TilePlacement]:
        """Return the tiles of some output rows, of at most ``most`` pixels, by kernel."""
        p = self.p
        (sh, sw), (top, left, _, _) = p.stride, p.pads
        placements = []
        for region in regions(p, first, last):
            rows, columns = region.rows, region.columns
            height, width = rows.last - rows.first, columns.last - columns.first
            for pattern, starts in self.cover(height, width, most).items():
                i, j = (np.array(starts) + np.array([rows.first, columns.first])).T
                line = i * sh - top + rows.tap_first * p.dilation[0]
                column = j * sw - left + columns.tap_first * p.dilation[1]
                # Without taps inside the image nothing is read, and the start may be outside of it.
                a = (line * p.w + column) * p.c * bool(region.taps)
                out = self.output
                c = out.start + i * out.row + j * out.pixel
                placements.append(TilePlacement(region, pattern, a, c))
        return placements

    def cover(self, height: int, width: int, most: int) -> dict[Pattern, list[tuple[int, int]]]:
        """Return the starts of tiles of at most ``most`` pixels by their pattern."""
        return cover(height, width, most)


class DensePlan(TilePlan):
    """Tiles of pixels by output channels, the sum over filter taps and input channels.

    The channels of a group are whole groups of the elements that an instruction multiplies.
    """

    def __init__(self, p: Convolution, setting: Setting, output: Output | None = None) -> None:
        """Without ``output`` the result is dense."""
        self.multiply = multiply(setting.types, isas.find(setting.isa), depth=p.cg)
        self.k_group = self.step_group
        super().__init__(p, setting, output)
        self._kernels: dict[tuple[object, ...], tuple[TileKernel, int, int]] = {}

    @property
    def step_group(self) -> int:
        """Elements that an instruction multiplies per lane."""
        return self.multiply.k_group

    @property
    def taps(self) -> int:
        """Elements of the reduction."""
        return self.p.r * self.p.s * self.p.cg

    @property
    def tap_steps(self) -> int:
        """Steps of the reduction per tap of the filter."""
        return self.p.cg // self.k_group

    @property
    def width(self) -> int:
        """Packed columns of a group's weights: whole vectors."""
        return round_up(self.p.kg, self.lanes)

    @property
    def weights_bytes(self) -> int:
        """Bytes of the packed weights."""
        return self.p.groups * self.taps * self.width * self.types.weights.bytes

    @property
    def weights_far(self) -> bool:
        """Whether the packed weights come from beyond L2.

        They do if they fill more than half of it. If they fill less, they stay in L2 from one run
        to the next, but not when other layers run in between. Small images stay in L2 during all
        panels, so prefetching costs nothing; it is then used too.
        """
        p, half = self.p, l2_bytes() // 2
        image = p.h * p.w * p.c * self.types.source.bytes
        images = p.n * (image + p.p * p.q * p.k * self.types.result.bytes)
        return self.weights_bytes > half or (self.weights_bytes >= half // 2 and images <= half)

    def panel_elements(self, panel: tuple[int, int, int]) -> int:
        """Return the elements of a panel of packed weights."""
        return self.taps * panel[2] * self.lanes

    def panel_start(self, panel: tuple[int, int, int]) -> int:
        """Return where a panel starts in the packed weights, in elements."""
        group, k, _ = panel
        return self.taps * (group * self.width + k)

    def shapes(self) -> list[tuple[int, int]]:
        """Return the tiles: two vectors, to use a broadcast twice; then narrow and wide."""
        across = self.width // self.lanes
        roomy = across == 3 and self.isa.registers >= 32  # noqa: PLR2004
        first = 3 if roomy else register_vectors(across, self.isa)
        widths = dict.fromkeys((first, *(v for v in (2, 3, 4, 1) if v <= across)))
        return [(vectors, self.multiply.tile_rows(vectors, self.isa)) for vectors in widths]

    def blocking(self) -> ConvBlocking:
        """Choose the blocking from the shape and the caches, of many threads by longest shares."""
        if self.threads <= FEW_THREADS:
            return self._blocked(*self.shapes()[0])
        key = (type(self), self.p, self.isa, self.types, self.threads, l2_bytes())
        chosen = _chosen.pop(key, None) or self._quickest()
        _chosen[key] = chosen
        if len(_chosen) > MOST_CHOSEN:
            del _chosen[next(iter(_chosen))]
        return chosen

    def _quickest(self) -> ConvBlocking:
        """Return the blocking with the shortest longest share."""
        first = self._blocked(*self.shapes()[0])
        others = [
            self._blocked(vectors, rows, tasks=tasks)
            for vectors, tall in self.shapes()
            for rows in range(tall, tall // 2, -self.multiply.rows)
            for tasks in (False, True)
        ]
        return quickest(self, first, dict.fromkeys(others))

    def _blocked(self, vectors: int, rows: int, *, tasks: bool = True) -> ConvBlocking:
        """Return the blocking for a register tile."""
        p = self.p
        panels = p.groups * ceil_div(ceil_div(self.width, self.lanes), vectors)
        if self.weights_far:  # read them seldom
            tall = self.block_rows(panels, share=1 / 2, tasks=tasks)
        # rows share no input: with few rows at a time the input and the output stay in L1
        elif p.r == 1:
            tall = min(p.p, ceil_div(rows, p.q))
        else:
            tall = self.block_rows(panels, tasks=tasks)
        return ConvBlocking(vectors, rows, tall)

    def panels(self) -> list[tuple[int, int, int]]:
        """Return group, first column and vectors of every panel of output channels."""
        across, most = self.width // self.lanes, self.chosen.vectors
        return [
            (group, v * self.lanes, min(most, across - v))
            for group in range(self.p.groups)
            for v in range(0, across, most)
        ]

    def add(self, placement: TilePlacement, panel: tuple[int, int, int]) -> None:
        """Add one panel's tiles at some pixels."""
        p, (group, k, vectors) = self.p, panel
        columns = min(vectors * self.lanes, p.kg - k)
        key = (*placement.region.tap_ranges, placement.pattern, vectors, columns)
        if key not in self._kernels:
            self._kernels[key] = self._kernel(placement, vectors, columns)
        tile, steps, fetched = self._kernels[key]
        column = group * p.kg + k
        d = self.fetching.take(len(placement.a), steps * fetched) if self.fetching else 0
        starts = placement.a + group * p.cg, self.panel_start(panel), placement.c + column
        self._place(tile, starts, d, (column, placement.region))
        self.tiles.executed_macs += (
            len(placement.a) * len(placement.pattern) * columns * steps * self.k_group
        )

    def _kernel(
        self, placement: TilePlacement, vectors: int, columns: int
    ) -> tuple[TileKernel, int, int]:
        """Return the kernel for some pixels and the width of a panel.

        Also return the steps of its reduction, and the elements that each step fetches.
        """
        segments, run = self._segments(placement.region)
        b_row, rows = vectors * self.lanes * self.k_group, len(placement.pattern)
        fetched = self.fetching.each_step(rows) if self.fetching else 0
        tile = Tile(
            types=self.types,
            lanes=self.lanes,
            rows=placement.input_offsets(self.p),
            segments=segments,
            run=run,
            a_step=self.k_group,
            multiply=self.multiply,
            vectors=vectors,
            b_row=b_row,
            c_rows=placement.output_offsets(self.output),
            columns=columns,
            fused=self.isa.fused,
            fetch_rows=FETCH_ROWS if self.weights_far else 0,
            # The only tile of a panel would have to fetch as fast as it reads.
            fetch_row=fetched if fetched < b_row else 0,
            most_steps=self.chosen.unroll,
            epilogue=self.p.epilogue,
        )
        return kernel(tile, self.isa), len(segments) * run, tile.fetch_row

    def _segments(self, region: Region) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return the runs of the reduction from a pixel's first tap, and their length."""
        p, taps, tap_steps = self.p, region.taps, self.tap_steps
        if not taps:
            return (), 0
        whole = p.groups == 1 and p.dilation[1] == 1
        if whole:  # neighbouring taps are contiguous in memory
            taps = tuple((r, s) for r, s in taps if s == region.columns.tap_first)
        segments = tuple((tap_offset(p, region, r, s), (r * p.s + s) * tap_steps) for r, s in taps)
        across = region.columns.tap_last - region.columns.tap_first
        return segments, across * tap_steps if whole else tap_steps

    def packed(self) -> Packed:
        """Return the packing of the weights: per group and panel, ``(r, s, c)`` by columns.

        The channels of a step's group are next to each other: ``(r, s, step, column, group)``.
        """
        p, panels, width, group = self.p, self.panels(), self.width, self.k_group

        def fill(target: Array, w: Array) -> None:
            count = w.size // max(1, p.k * p.r * p.s)  # a phase of a gradient may have no taps
            by_tap = w.reshape(p.groups, p.kg, count, p.r, p.s).transpose(0, 3, 4, 2, 1)
            for g, k, v in panels:
                wide, start = v * self.lanes, self.taps * (g * width + k)
                panel = target[start : start + self.taps * wide]
                panel = panel.reshape(p.r, p.s, self.tap_steps, wide, group)
                columns = by_tap[g, ..., k : k + wide]
                for one in range(group):
                    channels = columns[:, :, one::group]
                    panel[:, :, : channels.shape[2], : channels.shape[3], one] = channels

        buffer = Buffer((p.groups * self.taps * width,), self.types.weights)
        return Packed(buffer, fill, into=True)
