"""Register tiles of pixels by output channels: a convolution whose groups have several channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.split import PAIRS
from convprof.codegen.tile_list import TileKernel, kernel
from convprof.integers import ceil_div, round_up
from convprof.strategies import multiplying
from convprof.strategies.balance import FEW_THREADS
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.longest_share import quickest, shares
from convprof.strategies.conv.regions import Output, Region, TilePlacement, tap_offset
from convprof.strategies.conv.register_tiles import TilePlan
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np

    from convprof.codegen.tile_shares import Shares
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.regions import Convolution

    Array = np.ndarray[Any, Any]

FETCH_ROWS = 64
"""Rows of weights, 14 cycles each in a usual tile: more than a read from the last-level cache."""
MOST_CHOSEN = 256
"""Blockings that are kept: one plan needs its blocking several times, and a network repeats layers.
"""
_chosen: dict[Hashable, ConvBlocking] = {}
"""The blockings by the longest share, the latest last."""


class DensePlan(TilePlan):
    """Tiles of pixels by output channels, the sum over filter taps and input channels.

    The channels of a group are whole groups of the elements that an instruction multiplies. Where
    operands are sums of ``pieces``, the pieces of the image are one after the other, and so are the
    pieces of a panel; products of pieces are segments of the sum.
    """

    rate = 1.9  # of 2

    def __init__(self, p: Convolution, setting: Setting, output: Output | None = None) -> None:
        """Without ``output`` the result is dense."""
        self.multiply = multiplying.of_conv2d(p, setting.types, isas.find(setting.isa))
        self.k_group = self.step_group
        super().__init__(p, setting, output)
        self._kernels: dict[tuple[object, ...], tuple[TileKernel, int, int]] = {}

    @property
    def operations(self) -> float:
        """Vector operations of a multiply-add of vectors, for all products of its pieces."""
        one = self.multiply.operations_of_product(self.chosen.rows, self.chosen.vectors)
        return len(PAIRS[self.pieces]) * one

    @property
    def step_group(self) -> int:
        """Elements that an instruction multiplies per lane."""
        return self.multiply.k_group

    @property
    def taps(self) -> int:
        """Elements of the reduction, of all pieces of the weights."""
        return self.pieces * self.p.r * self.p.s * self.p.cg

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
        roomy = across == 3 and self.isa.registers >= 32 and self.multiply.across == 1  # noqa: PLR2004
        first = 3 if roomy else register_vectors(across, self.isa)
        widths = dict.fromkeys((first, *(v for v in (2, 3, 4, 1) if v <= across)))
        return [(vectors, self._tall(vectors)) for vectors in widths]

    def _tall(self, vectors: int) -> int:
        """Return the rows of a tile: pixels."""
        tall = self.multiply.tile_rows(vectors, self.isa)
        distance = self.p.stride[1] * self.p.c * self.types.source.bytes
        return unaliased(tall, distance)

    def blocking(self) -> ConvBlocking:
        """Choose the blocking from the shape and the caches, of many threads by longest shares."""
        if self.threads <= FEW_THREADS:
            return self._blocked(*self.shapes()[0])
        kind = (type(self), self.pieces, self.isa, self.types)
        key = (*kind, self.p, self.threads, l2_bytes())
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

    def whole_shares(self) -> Shares | None:
        """Return the threads' shares of the sums."""
        return shares(self, self.chosen)

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
        image, panel = p.n * p.h * p.w * p.c, p.r * p.s * tap_steps
        segments = tuple(
            (i * image + tap_offset(p, region, r, s), j * panel + (r * p.s + s) * tap_steps)
            for i, j in PAIRS[self.pieces]
            for r, s in taps
        )
        across = region.columns.tap_last - region.columns.tap_first
        return segments, across * tap_steps if whole else tap_steps

    def pieces_of(self, w: Array) -> Array:
        """Return the pieces of the weights: mostly the weights themselves."""
        return w

    def packed(self) -> Packed:
        """Return the packing of the weights: per group and panel, ``(r, s, c)`` by columns.

        The channels of a step's group are next to each other: ``(r, s, step, column, group)``.
        """
        p, panels, width, group = self.p, self.panels(), self.width, self.k_group

        def fill(target: Array, w: Array) -> None:
            count = w.size // max(1, p.k * p.r * p.s)  # a phase of a gradient may have no taps
            shape = (self.pieces, p.groups, p.kg, count, p.r, p.s)
            by_tap = self.pieces_of(w).reshape(shape).transpose(1, 0, 4, 5, 3, 2)
            for g, k, v in panels:
                wide, start = v * self.lanes, self.taps * (g * width + k)
                panel = target[start : start + self.taps * wide]
                panel = panel.reshape(self.pieces, p.r, p.s, self.tap_steps, wide, group)
                columns = by_tap[g, ..., k : k + wide]
                for one in range(group):
                    channels = columns[..., one::group, :]
                    steps, there = channels.shape[-2:]
                    panel[..., :steps, :there, one] = channels

        buffer = Buffer((p.groups * self.taps * width,), self.types.weights)
        return Packed(buffer, fill, into=True)
