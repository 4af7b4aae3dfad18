"""The tiles of a product whose ``b`` is in panels: panel by panel, all rows for each.

A block of ``a`` stays in the second-level cache while all panels of ``b`` are used. Each tile of a
panel prefetches a part of the next panel, so that the panel is in a cache when it is needed.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen import nodes
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.tile_form import UNROLL
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.integers import ceil_div, round_up
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue, memory
from convprof.strategies.gemm.panel_layout import PanelLayout, filled_up
from convprof.strategies.gemm.panels import FILLED_A, PANELS, Matrices, fill_stage
from convprof.strategies.plan import Buffer, Native, Stage, X, Y

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

FETCH_ROWS = 32
"""Rows of ``b`` to fetch ahead where no earlier tile could. From main memory 5 to 8 rows of ``a``
take 0.90 to 0.97 of the time that they take with 64."""
FEW_ROWS, FEW_ROWS_FROM_MEMORY = 4, 2
"""Rows of ``a`` up to which panels are not fetched ahead, from L3 and from main memory.

Such a tile reads as fast as the memory gives. The hardware prefetches one stream of lines by
itself, and a prefetch for each line only takes the place of loads: without prefetches, 1 to 4 rows
take 0.75 to 0.9 of the time from L3. More rows gain 5 to 20 % by fetching.
"""
UNEVEN = 1.05
"""Threads share out rows if the busiest would have this many times its share of the panels."""
STAGE_MACS = 500_000_000
"""Work of a thread between two chances for Ctrl-C: some milliseconds."""


@dataclass(frozen=True)
class PanelBlocking:
    """How the product is cut."""

    rows: int
    """Rows of a register tile, at most."""
    vectors: int
    """Vectors across a register tile, which is as wide as a panel."""
    mc: int
    """Rows that use a panel before the next panel."""
    kc: int
    """Steps of a panel."""


class Pass(NamedTuple):
    """Panels of one product of the batch, one after the other, with a block of ``a``."""

    z: int
    rows: range
    block: int
    """Which block of the reduction."""
    panels: range
    member: int
    """The thread."""
    copy: int
    """Which copy of the packed ``b``."""
    term: int = 0
    """Which product of blocks, of ``PanelStages.terms``."""


class PanelStages:
    """The panels of ``b`` and the stages that read them; a stage has a task per thread."""

    terms = 1
    """The products of blocks of ``a`` and ``b`` that make up the result."""

    def __init__(
        self, g: Gemm, setting: Setting, blocking: PanelBlocking, multiply: Multiply = FMA
    ) -> None:
        """Where a step multiplies a group of elements, rows of ``a`` may have to be filled up."""
        k_group = multiply.k_group
        self.multiply = multiply
        self.g = g
        self.setting = setting
        self.blocking = replace(blocking, kc=round_up(blocking.kc, k_group))
        self.types = setting.types
        self.threads = setting.threads
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.nr = blocking.vectors * self.lanes
        self.panels = ceil_div(g.n, self.nr)
        self.blocks = ceil_div(g.k, self.blocking.kc)
        self.layout = PanelLayout(self.blocking.kc, self.nr, k_group)
        self.group = self.panels
        """Panels of a pass, at most."""
        self.whole_columns = g.n
        """The columns in whole panels of every term; tiles of a panel beyond may be narrower."""
        depth = round_up(g.k, k_group)
        self.fills_a = depth > g.k
        self.a_buffer = FILLED_A if self.fills_a else X
        self.a_row = depth
        """Elements from one row of ``a`` to the next."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the packed ``b``: batch, blocks of the reduction, panels, then the layout's."""
        layout = self.layout
        panel = (layout.steps, layout.width, layout.k_group)
        return (self.g.batch, self.blocks, self.terms * self.panels, *panel)

    def workspaces(self) -> dict[str, Buffer]:
        """Return the rows of ``a``, if they are filled up to whole groups."""
        shape = (self.g.batch, self.g.m, self.a_row)
        return {FILLED_A: Buffer(shape, self.types.source)} if self.fills_a else {}

    @property
    def buffer(self) -> Buffer:
        """The packed ``b``; several copies, if threads of several nodes read all of it."""
        copies = (self.copies,) if self.copies > 1 else ()
        return Buffer((*copies, *self.shape), self.types.weights)

    @functools.cached_property
    def copies(self) -> int:
        """The copies of the packed ``b``."""
        one = Buffer(self.shape, self.types.weights)
        return memory.copies(self.threads, one.nbytes) if self._by_rows else 1

    def pack(self, b: Array) -> Array:
        """Return ``b`` as panels, zeros where they reach beyond it; a view where they do not."""
        g, kc, columns = self.g, self.blocking.kc, self.panels * self.nr
        whole = filled_up(b.reshape(g.batch, g.k, g.n), self.blocks * kc, columns)
        return self.layout.panels(whole.reshape(g.batch, self.blocks, kc, columns))

    def all(self) -> list[Stage]:
        """Return every stage, in order: each thread does a part of its passes in each."""
        mine = [list(self._passes(member)) for member in range(self.threads)]
        work = max(sum(self._macs(each) for each in passes) for passes in mine)
        count = max(1, min(math.ceil(work / STAGE_MACS), max(len(passes) for passes in mine)))
        stages = [self._stage(mine, i, count) for i in range(count)]
        return [*self._before(), *stages]

    def _before(self) -> list[Stage]:
        """Return the stages that prepare the rows of ``a``."""
        if not self.fills_a:
            return []
        a = Matrices.dense(X, self.g.batch, self.g.m, self.g.k)
        return [fill_stage(self.g, a, self.a_row, self.setting)]

    def _macs(self, each: Pass) -> int:
        return len(each.rows) * len(each.panels) * self.nr * self.blocking.kc

    def _passes(self, member: int) -> Iterator[Pass]:
        """Yield what one thread does, in order: at most ``STAGE_MACS`` each, or one panel."""
        kc, (lo, hi), rows = self.blocking.kc, self._share(member), self._rows(member)
        copy = nodes.places(self.threads)[member].node if self.copies > 1 else 0
        count = max(1, ceil_div(len(rows), self.blocking.mc))
        edges = [rows.start + len(rows) * i // count for i in range(count + 1)]
        most = max(1, STAGE_MACS // (ceil_div(len(rows), count) * self.nr * kc or 1))
        most = min(most, self.group)
        for z in range(self.g.batch):
            first, last = max(0, lo - z * self.panels), min(self.panels, hi - z * self.panels)
            for start, stop in itertools.pairwise(edges):
                for block, p in itertools.product(range(self.blocks), range(first, last, most)):
                    panels = range(p, min(p + most, last))
                    yield Pass(z, range(start, stop), block, panels, member, copy)

    @property
    def _by_rows(self) -> bool:
        """Whether the threads share out the rows."""
        panels = self.panels * self.g.batch
        uneven = round_up(panels, self.threads) > UNEVEN * panels
        return uneven and self.g.m >= self.threads * self.blocking.rows

    def _share(self, member: int) -> tuple[int, int]:
        """Return the panels of one thread, counted through the batch."""
        panels = self.panels * self.g.batch
        if self._by_rows:
            return 0, panels
        return panels * member // self.threads, panels * (member + 1) // self.threads

    def _rows(self, member: int) -> range:
        """Return the rows of one thread."""
        m = self.g.m
        if not self._by_rows:
            return range(m)
        return range(m * member // self.threads, m * (member + 1) // self.threads)

    def _stage(self, mine: list[list[Pass]], part: int, parts: int) -> Stage:
        """Return the stage in which each thread does one of ``parts`` parts of its passes."""
        tiles = TileList()
        for passes in mine:
            tiles.task()
            lo, hi = len(passes) * part // parts, len(passes) * (part + 1) // parts
            for i in range(lo, hi):
                following = passes[i + 1] if i + 1 < len(passes) else None
                self._add(tiles, passes[i], following, first=i == 0)
        buffers = self._buffers()
        native = Native(runner_address(len(buffers)), tiles)
        return Stage("tiles", native, self.threads, buffers, tiles.dims(), static_schedule=True)

    def _buffers(self) -> tuple[str, ...]:
        """Return the buffers of the pointers of tiles."""
        names = (self.a_buffer, PANELS, Y, PANELS)
        return epilogue.buffers(self.g.epilogue, names, self.types)

    def _panel(self, each: Pass) -> Array:
        """Return where the panels of a pass start, in elements of the packed ``b``."""
        product = each.copy * self.g.batch + each.z
        before = (product * self.blocks + each.block) * self.terms + each.term
        return (before * self.panels + np.asarray(each.panels)) * self.layout.elements

    def _add(self, tiles: TileList, each: Pass, following: Pass | None, *, first: bool) -> None:
        """Add the tiles of a pass. Tiles of its last panel fetch the first panel of ``following``.

        The ``first`` tile of all has none before it that could have fetched its panel.
        """
        panels = self._panel(each)
        then = panels[-1:] if following is None else self._panel(following)[:1]
        after = np.concatenate([panels[1:], then])
        columns = np.asarray(each.panels) * self.nr
        narrow = columns + self.nr > self.whole_columns
        cold = first & (columns == columns[0])
        alone = [columns == column for column in columns[~cold & narrow]]
        for some in (cold, ~cold & ~narrow, *alone):
            if some.any():
                places = columns[some], panels[some], after[some]
                self._add_panels(tiles, each, places, cold=bool(cold[some][0]))

    def _add_panels(
        self, tiles: TileList, each: Pass, places: tuple[Array, Array, Array], *, cold: bool
    ) -> None:
        """Add the tiles of panels of one width: their columns, where they and the next start."""
        columns, b, after = places
        steps = self._steps(each)
        heights = _heights(len(each.rows), self.blocking.rows, self.multiply.rows)
        i = each.rows.start + np.concatenate([[0], np.cumsum(heights)[:-1]]).astype(np.int64)
        fetch = self._fetched(len(heights))
        kernels = [
            kernel(
                self._tile(each, rows, int(columns[0]), fetch, cold=cold and tile == 0), self.isa
            )
            for tile, rows in enumerate(heights)
        ]
        ahead = (np.arange(len(heights)) * fetch * steps) % (self.layout.step_elements * steps)
        a, c, *more = self._places(each, i, columns[:, None])
        tiles.add_each(kernels, a, b[:, None], c, after[:, None] + ahead, *more)

    def _steps(self, each: Pass) -> int:
        """Return the steps of the tiles of a pass."""
        kc = self.blocking.kc
        return ceil_div(min(kc, self.g.k - each.block * kc), self.layout.k_group)

    def _places(self, each: Pass, i: Array, columns: Array) -> tuple[Array, ...]:
        """Return where tiles start in ``a``, in ``c`` and in what ends the sums.

        ``i``: their first rows; ``columns``: their first columns, one for each panel.
        """
        g = self.g
        row = each.z * g.m + i
        c = row * g.n + columns
        a = row * self.a_row + each.block * self.blocking.kc
        return a, c, *epilogue.offsets(g.epilogue, self.types, columns, c)

    def _fetched(self, tiles: int) -> int:
        """Return the elements of the next panel that each step of ``tiles`` fetches.

        Whole lines per iteration of the loop. A tile that is alone would fetch as fast as it
        reads: it looks ahead in the panel itself.
        """
        if tiles == 1:
            return 0
        line = max(1, LINE_BYTES // self.types.weights.bytes // UNROLL)
        return round_up(ceil_div(self.layout.step_elements, tiles), line)

    @property
    def _fetches_ahead(self) -> bool:
        """Whether tiles fetch panels ahead at all."""
        near = self.buffer.nbytes <= memory.l3_bytes()
        return self.g.m > (FEW_ROWS if near else FEW_ROWS_FROM_MEMORY)

    def _tile(self, each: Pass, rows: int, column: int, fetch: int, *, cold: bool) -> Tile:
        """Return the tile of some rows and of the panel that starts at a column."""
        g, layout = self.g, self.layout
        columns, t = min(self.nr, g.n - column), each.block * self.blocking.kc
        return Tile(
            types=self.types,
            lanes=self.lanes,
            rows=tuple(i * self.a_row for i in range(rows)),
            segments=((0, 0),),
            run=self._steps(each),
            a_step=layout.k_group,
            multiply=self.multiply,
            vectors=ceil_div(columns, self.lanes),
            b_row=layout.step_elements,
            c_rows=tuple(i * g.n for i in range(rows)),
            columns=columns,
            accumulate=t > 0,
            fused=self.isa.fused,
            fetch_rows=FETCH_ROWS if (cold or not fetch) and self._fetches_ahead else 0,
            fetch_row=fetch,
            epilogue=g.epilogue if t + self.blocking.kc >= g.k else NO_EPILOGUE,
        )


def _heights(rows: int, most: int, together: int) -> list[int]:
    """Return as few heights of tiles as possible, at most ``most``, all nearly equal.

    Rows that an instruction multiplies ``together`` are in one tile.
    """
    count, operands = ceil_div(rows, most), ceil_div(rows, together)
    heights = [(operands // count + (i < operands % count)) * together for i in range(count)]
    heights[-1] -= operands * together - rows
    return heights
