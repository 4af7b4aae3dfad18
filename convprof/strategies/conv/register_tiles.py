"""The register tiles of a convolution in NHWC: their order, and their assignment to tasks."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.tile_list import TileList
from convprof.integers import ceil_div
from convprof.strategies import epilogue
from convprof.strategies.conv.fetching import Fetching
from convprof.strategies.conv.regions import Output, TilePlacement, cover, regions
from convprof.strategies.memory import l2_bytes
from convprof.strategies.plan import shared
from convprof.strategies.plan_runner import UNINTERRUPTED_MACS

if TYPE_CHECKING:
    from convprof.codegen.tile_list import TileKernel
    from convprof.codegen.tile_shares import Shares
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.blocking import ConvBlocking
    from convprof.strategies.conv.regions import Convolution, Pattern, Region
    from convprof.strategies.plan import Packed

    Array = np.ndarray[Any, Any]
    Integers = np.ndarray[Any, np.dtype[np.int64]]

TASKS_PER_THREAD = 4
"""Enough tasks for the threads to finish together although the tasks differ."""


class TilePlan(ABC):
    """The tiles of one convolution: per block of output rows, image and panel of channels."""

    pieces = 1
    """Shorter numbers whose sum is a number of the operands: each is in memory in pieces."""
    rate = 1.0
    """Vector operations a cycle that the tiles reach with operands in cache."""

    @property
    def operations(self) -> float:
        """Vector operations of a multiply-add of vectors.

        Less than one where an instruction has several products, more where elements are converted.
        """
        return 1.0

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

    def cycles(self) -> float:
        """Estimate the core cycles of the convolution on one thread, operands in cache."""
        p, lanes = self.p, self.lanes
        across = ceil_div(p.kg, lanes) * p.groups if p.kg > 1 else ceil_div(p.k, lanes)
        pixels = p.n * p.p * p.q
        calls = pixels / self.chosen.rows * across / self.chosen.vectors
        products = pixels * p.r * p.s * p.cg * across
        return products * self.operations / self.rate + calls * CALL_CYCLES

    def whole_shares(self) -> Shares | None:
        """Return the threads' shares of sums that may be divided by channels; None of others."""
        return None

    def build(self) -> Integers:
        """Return the runner's integers: a task per block, image and panel."""
        # the last panel of each image has no next panel
        threads = self.threads if self.weights_far or self._shares_tiles else 0
        kind = (type(self), self.pieces, self.isa, self.types)
        key = (*kind, self.p, self.output, self.chosen, threads)
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
