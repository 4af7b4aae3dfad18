"""Which register tiles make up the gradient of the weights, in NHWC, shared out into tasks.

    dw[k, c, r, s]  =  sum over images and pixels (p, q) of  x[p*stride + r*dilation, .., c] * dy[p, q, k]

For one tap this is a product whose sum runs over the pixels: rows are input channels, columns output
channels. Both operands are read in place, x along its columns.
"""  # noqa: E501

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_rows, register_vectors
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.transpose import TransposeTile
from convprof.codegen.tile_list import TileList, kernel
from convprof.integers import ceil_div, even_block, even_parts, round_up, split
from convprof.strategies.memory import l2_bytes

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting

FEW_CHANNELS = 8
"""With fewer channels per group the rows of a tile come from several taps. The taps cross the
border at different pixels, so the image is then read from a padded copy."""
BLOCK_SHARE = 1 / 4
"""Share of the second-level cache for the pixels of a block: every tap and task reads them."""

SUMS_SHARE = 1 / 8
"""Share of the second-level cache for all sums of a thread, next to a block of pixels."""
FEWEST_ELEMENTS = 1 << 14
"""Pixels of dy per thread: with fewer, adding up the threads' sums costs more than it gains."""


@dataclass(frozen=True)
class SumBlocking:
    """The sizes of the blocks and register tiles of a gradient."""

    vectors: int
    """Vectors of output channels across a register tile."""
    rows: int
    """Rows of a register tile, at most."""
    pixels: int
    """Output pixels per block; between two blocks the sums are in memory."""


@dataclass(frozen=True)
class Rows:
    """Rows of a register tile, which sum over the same pixels."""

    start: int
    """The offset of the first row in x, from the input pixel of an output pixel, in elements."""
    offsets: tuple[int, ...]
    """The offsets of the rows from the first row."""
    places: tuple[int, ...]
    """Their row numbers in the task's sums: channel times taps plus tap."""
    down: range
    """The output rows at which the taps are inside the image."""
    across: range
    """The output columns at which the taps are inside the image."""


@dataclass(frozen=True)
class Block:
    """The pixels of one pass of the sum: some rows of some images."""

    images: range
    rows: range


@dataclass(frozen=True)
class _Task:
    """Some input channels of a group by a panel of its output channels."""

    group: int
    channels: range
    k: int
    vectors: int


class WeightTiles:
    """The tiles of one gradient: a task has some input channels and a panel of output channels."""

    def __init__(self, p: Conv2d, setting: Setting, blocking: SumBlocking | None = None) -> None:
        self.p = p
        self.isa = isas.find(setting.isa)
        self.types = setting.types
        self.threads = setting.threads
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.padded = p.cg < FEW_CHANNELS and p.r * p.s > 1
        """Whether x is read from a padded copy."""
        self.chosen = blocking or self.blockings()[0]
        self.executed_macs = 0

    def blockings(self) -> list[SumBlocking]:
        """Return the blockings worth trying, the model's choice first."""
        p = self.p
        across = ceil_div(p.kg, self.lanes)
        first = register_vectors(across, self.isa)
        read = p.c * p.stride[0] * p.stride[1] * self.types.source.bytes
        pixel_bytes = read + p.k * self.types.result.bytes
        fitting = max(p.q, int(BLOCK_SHARE * l2_bytes()) // pixel_bytes)
        widths = dict.fromkeys((first, *(v for v in (2, 3, 4, 1) if v <= across)))
        return [
            SumBlocking(vectors, self._tall(vectors), pixels)
            for vectors in widths
            for pixels in (fitting, max(p.q, fitting // 4), 4 * fitting)
        ]

    def _tall(self, vectors: int) -> int:
        """Return the rows of a register tile: the most that fit, in equal shares per thread."""
        p, most = self.p, register_rows(vectors, self.isa)
        if self.padded:
            return most
        if self.parts > 1:
            return even_block(p.cg, most)
        panels = p.groups * ceil_div(p.kg, vectors * self.lanes)
        least = ceil_div(p.cg, most)
        # A tile of few rows waits for its loads of dy; they cost as much as about two rows.
        return min(
            (ceil_div(p.cg, parts) for parts in range(least, min(p.cg, 2 * least) + 1)),
            key=lambda rows: ceil_div(panels * ceil_div(p.cg, rows), self.threads) * (rows + 2),
        )

    @property
    def taps(self) -> int:
        """Taps of the filter."""
        return self.p.r * self.p.s

    @property
    def x_shape(self) -> tuple[int, int]:
        """Height and width of the image as it is read."""
        top, left, bottom, right = self.p.pads if self.padded else (0, 0, 0, 0)
        return self.p.h + top + bottom, self.p.w + left + right

    def build(self) -> list[TileList]:
        """Return the tiles of every stage.

        A stage is a block of pixels per part, with all tasks. The tasks of the last stage transpose
        their sums at the end. Where the sums of parts have to be added up, a further stage does so.
        """
        blocks = self._blocks()
        stages = [blocks[i :: len(blocks) // self.parts] for i in range(len(blocks) // self.parts)]
        lists = [TileList() for _ in stages]
        for part in range(self.parts):
            start = part * self.part_sums
            for task in self._tasks():
                for number, (tiles, stage) in enumerate(zip(lists, stages, strict=True)):
                    tiles.task()
                    self._add_sums(tiles, stage[part], task, start, first=number == 0)
                if self.parts == 1:
                    self._add_transposition(lists[-1], task, start)
                start += self._sums_of(task)
        if self.parts > 1:
            lists.append(TileList())
            start = 0
            for task in self._tasks():
                lists[-1].task()
                self._add_transposition(lists[-1], task, start)
                start += self._sums_of(task)
        return lists

    def _tasks(self) -> list[_Task]:
        """Return the tasks, ordered by input channels."""
        return [
            _Task(group, channels, *panel)
            for group in range(self.p.groups)
            for channels in self._channels()
            for panel in self._panels()
        ]

    def _sums_of(self, task: _Task) -> int:
        """Return the elements of a task's sums."""
        return len(task.channels) * self.taps * task.vectors * self.lanes

    @property
    def part_sums(self) -> int:
        """Elements of the sums of all tasks."""
        p = self.p
        return p.c * self.taps * round_up(p.kg, self.lanes)

    @property
    def parts(self) -> int:
        """The number of parts of the pixels, each with sums of its own.

        Threads that share out the channels all read all of dy or of x. Where the sums are small, it
        is better that each thread reads its own pixels, and that the sums are added up.
        """
        p, sums = self.p, self.part_sums * self.types.accumulator.bytes
        small = sums <= SUMS_SHARE * l2_bytes()
        enough = (
            p.n * p.p * p.q * p.k >= FEWEST_ELEMENTS * self.threads and p.n * p.p >= self.threads
        )
        return self.threads if small and enough else 1

    def _channels(self) -> list[range]:
        """Cut a group's input channels: the channels of a task are the rows of its register tiles.

        Where tiles span taps, a task has all channels, or fewer if each thread would not have a
        task.
        """
        p = self.p
        if not self.padded:
            return even_parts(p.cg, self.chosen.rows)
        enough = self.parts > 1 or p.groups * len(self._panels()) >= self.threads
        return even_parts(p.cg, p.cg if enough else 1)

    def _panels(self) -> list[tuple[int, int]]:
        """Return first column and number of vectors of every panel of a group's output channels."""
        across, most = ceil_div(self.p.kg, self.lanes), self.chosen.vectors
        return [(v * self.lanes, min(most, across - v)) for v in range(0, across, most)]

    def _rows(self, channels: int) -> list[Rows]:
        """Return the register tiles' rows for a number of channels."""
        return self._rows_across_taps(channels) if self.padded else self._rows_of_taps(channels)

    def _rows_of_taps(self, channels: int) -> list[Rows]:
        """Return a tile per tap, which sums over the pixels where the tap is in the image."""
        p, (top, left, _, _) = self.p, self.p.pads
        rows = []
        for r, s in itertools.product(range(p.r), range(p.s)):
            down, across = r * p.dilation[0] - top, s * p.dilation[1] - left
            rows.append(
                Rows(
                    (down * p.w + across) * p.c,
                    tuple(range(channels)),
                    tuple(c * self.taps + r * p.s + s for c in range(channels)),
                    _outputs_inside(down, p.h, p.stride[0], p.p),
                    _outputs_inside(across, p.w, p.stride[1], p.q),
                )
            )
        return rows

    def _rows_across_taps(self, channels: int) -> list[Rows]:
        """Return tiles of several taps and channels: in a padded image each tap sums all pixels."""
        p, (_, width) = self.p, self.x_shape
        every = [
            ((r * p.dilation[0] * width + s * p.dilation[1]) * p.c + c, c * self.taps + r * p.s + s)
            for r, s in itertools.product(range(p.r), range(p.s))
            for c in range(channels)
        ]
        rows = []
        for part in even_parts(len(every), self.chosen.rows):
            offsets, places = zip(*every[part.start : part.stop], strict=True)
            whole = range(p.p), range(p.q)
            moved = tuple(offset - offsets[0] for offset in offsets)
            rows.append(Rows(offsets[0], moved, places, *whole))
        return rows

    def _blocks(self) -> list[Block]:
        """Cut the pixels into blocks of some images, or some rows of one image; equal parts."""
        p, parts = self.p, self.parts
        count = ceil_div(p.n * p.p * p.q, self.chosen.pixels)
        count = round_up(max(count, parts), parts)
        if p.n % count == 0 or (parts == 1 and count < p.n):
            return [Block(images, range(p.p)) for images in even_parts(p.n, ceil_div(p.n, count))]
        cuts = min(p.p, ceil_div(count, p.n))
        while p.n * cuts % parts:
            cuts += 1
        return [Block(range(n, n + 1), rows) for n in range(p.n) for rows in split(p.p, cuts)]

    def _add_sums(
        self, tiles: TileList, block: Block, task: _Task, start: int, *, first: bool
    ) -> None:
        """Add the sums of a task over a block of pixels; they begin at ``start``."""
        p, width = self.p, task.vectors * self.lanes
        columns = min(width, p.kg - task.k)
        channel, column = task.group * p.cg + task.channels.start, task.group * p.kg + task.k
        for rows in self._rows(len(task.channels)):
            a, b, segments, run = self._segments(rows, block)
            if not (first or segments):
                continue
            tile = Tile(
                types=self.types,
                lanes=self.lanes,
                rows=rows.offsets,
                segments=segments,
                run=run,
                a_step=p.stride[1] * p.c,
                vectors=task.vectors,
                b_row=p.k,
                c_rows=tuple(place * width for place in rows.places),
                columns=columns,
                padded=False,
                accumulate=not first,
                fused=self.isa.fused,
            )
            tile_kernel = kernel(tile, self.isa)
            tiles.add(tile_kernel, a + channel, b * p.k + column, start, 0)
            self.executed_macs += len(rows.offsets) * columns * run * len(segments)

    def _add_transposition(self, tiles: TileList, task: _Task, start: int) -> None:
        """Add the tiles that write a task's sums in the order of the weights."""
        p, width = self.p, task.vectors * self.lanes
        transposition = TransposeTile(
            types=self.types,
            lanes=self.lanes,
            rows=len(task.channels) * self.taps,
            columns=min(width, p.kg - task.k),
            source_row=width,
            target_row=p.cg * self.taps,
            parts=self.parts,
            apart=self.part_sums,
        )
        where = ((task.group * p.kg + task.k) * p.cg + task.channels.start) * self.taps
        tiles.add(kernel(transposition, self.isa), 0, 0, start, where)

    def _segments(
        self, rows: Rows, block: Block
    ) -> tuple[int, int, tuple[tuple[int, int], ...], int]:
        """Return a block's start in x and in rows of dy, its runs from there, and their length."""
        p, (height, width) = self.p, self.x_shape
        run, first = len(rows.across), rows.across.start
        down = range(max(rows.down.start, block.rows.start), min(rows.down.stop, block.rows.stop))
        starts = [
            (
                ((n * height + i * p.stride[0]) * width + first * p.stride[1]) * p.c,
                (n * p.p + i) * p.q + first,
            )
            for n in block.images
            for i in down
        ]
        if not starts or not run:
            return 0, 0, (), 0
        a, b = starts[0]
        apart = [(x - a, y - b) for x, y in starts]
        ends = [(run * p.stride[1] * p.c * i, run * i) for i in range(len(starts))]
        if apart == ends:  # rows are contiguous in both operands: one long run
            apart, run = [(0, 0)], run * len(starts)
        return a + rows.start, b, tuple(apart), run


def _outputs_inside(start: int, size: int, stride: int, out: int) -> range:
    """Return the outputs ``o`` below ``out`` whose input ``start + o * stride`` is in the image."""
    first = min(out, max(0, -(start // stride)))
    return range(first, max(first, min(out, (size - 1 - start) // stride + 1)))
