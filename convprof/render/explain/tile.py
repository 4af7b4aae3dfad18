"""The page about register and cache tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from convprof import units
from convprof.integers import ceil_div
from convprof.render.columns import Column
from convprof.render.explain.page import GAP, Block, Page, counted
from convprof.studies.explain.tiling import CACHE, REGISTER, REST, Axis

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Console

    from convprof.studies.explain.tile import TilePage, Way, WorkingSet
    from convprof.studies.explain.tiling import Images, Tiling

    Array = np.ndarray[Any, Any]


NEARLY = 0.97
"""The page explains a tile below this share of a whole tile's FLOPs per element."""


def show(console: Console, page: TilePage) -> None:
    """Print the page."""
    out, t, here = Page(console), page.tiling, page.here
    out.title("tile", page.named)
    row, column, step = t.words
    out.prose(
        f"{_part(page)}{counted(t.m, row)} x {counted(t.n, column)}, {counted(t.k, step)}. "
        f"For this machine ({here.isa}, {here.lanes} f32 per vector, {here.registers} vector "
        f"registers) {t.strategy} chooses register tiles of {counted(t.mr, row)} x "
        f"{counted(t.nr, column)} ({counted(t.vectors, 'vector')}) in cache tiles of "
        f"{t.mc:,} x {t.nc:,}, {counted(t.kc, step)} deep."
    )
    if t.images is not None:
        images(out, t, t.images)
    if not t.depthwise:
        matrices(out, t)
    _step(out, page)
    flops = f"{page.flops:,} FLOPs"
    out.table(f"What each way reads for {flops}, in f32 elements", WAYS, page.ways)
    assumed = ", assumed" if page.cache_assumed else ""
    out.note(
        f"loads: from cache to registers; fetched: from beyond a cache of "
        f"{units.size(page.cache_bytes)}{assumed}, by a model: what does not fit is read again"
    )
    caches = ", ".join(f"{name} {units.size(size)}" for name, size in here.caches)
    out.table(f"Working sets; the caches here: {caches or 'unknown'}", SETS, page.sets)
    out.lesson(_lesson(page))


def _part(page: TilePage) -> str:
    """Return the part of the problem that the page is about, if not the whole problem."""
    parts = [f"one of {count} {things}" for count, things in page.tiling.one_of if count > 1]
    return f"{', '.join(parts)}: ".capitalize() if parts else ""


def _step(out: Page, page: TilePage) -> None:
    t, here = page.tiling, page.here
    sums = t.mr * t.vectors
    out.section("One step of a register tile")
    work = f"makes {counted(t.mr * t.nr, 'multiply-add')}"
    if t.depthwise:
        text = (
            f"One tap loads {t.mr} x {t.nr} elements of the input and {t.nr} weights, and "
            f"{work}, each channel by itself"
        )
    else:
        text = (
            f"One step loads {counted(t.mr, 'element')} of A and {t.nr} of B "
            f"({counted(t.vectors, 'vector')}), and {work}: every element of A times every "
            "element of B"
        )
    out.prose(f"{text}. The sums take {sums} of {here.registers} vector registers.")


def _lesson(page: TilePage) -> str:
    t = page.tiling
    untiled, cached, registers = page.ways
    alone = 2 * t.mr * t.nr / (t.mr + t.nr)
    first = (
        f"Register tiles of {t.mr} x {t.nr} make {units.digits(registers.flops_per_load)} FLOPs "
        f"per element loaded instead of {units.digits(untiled.flops_per_load)}"
    )
    if t.depthwise:
        first += ", because only the weights are used again"
    elif registers.flops_per_load < NEARLY * alone:
        first += (
            f", less than the {units.digits(alone)} of a whole tile, because those at the edges "
            "are smaller"
        )
    if cached.fetched < untiled.fetched:
        factor = units.digits(untiled.fetched / cached.fetched)
        second = (
            f"The cache tiles cut what comes from beyond the cache {factor} times, "
            f"to {units.digits(cached.flops_per_fetch)} FLOPs per element fetched"
        )
    else:
        second = (
            "Cache tiles save nothing here, because what is used again fits "
            f"{units.size(page.cache_bytes)} anyway"
        )
    return f"{first}. {second}."


WAYS: list[Column[Way]] = [
    Column("", lambda way: way.label, 1, "left"),
    Column("loads", lambda way: f"{way.loads:,}", 3),
    Column("FLOP/load", lambda way: units.digits(way.flops_per_load), 2),
    Column("fetched", lambda way: f"{way.fetched:,}", 5),
    Column("FLOP/fetch", lambda way: units.digits(way.flops_per_fetch), 4),
]
SETS: list[Column[WorkingSet]] = [
    Column("", lambda one: one.label, 1, "left"),
    Column("elements", lambda one: one.shape, 3),
    Column("size", lambda one: units.size(one.size_bytes), 2),
    Column("fits", lambda one: one.home, 2),
]


# Pictures of the elements of a tile: the three matrices, and the images of a convolution.

MARKS = {REST: ("·", "dim"), CACHE: ("+", "#56b4e9"), REGISTER: ("#", "bold #e69f00")}
MOST_ROWS = 14
MOST_COLUMNS = 64
MOST_STEPS = 8
"""Rows of B's picture, which are columns of A's."""
MOST_PIXEL_ROWS = 12


def matrices(out: Page, t: Tiling) -> None:
    """Print A at the left, B above and C in the corner, as in ``C = A B`` on paper."""
    left = max(MOST_STEPS, len(_name("A", t.m, t.k))) + GAP
    picture = t.picture(MOST_ROWS, max(MOST_STEPS, min(MOST_COLUMNS, out.width - left)), MOST_STEPS)
    out.section("What one tile of each kind touches")
    b_name = Text(" " * left + _name("B", t.k, t.n), style="italic")
    out.picture([b_name, *(Text(" " * left).append_text(line) for line in _marks(picture.b))])
    a_name = _name("A", t.m, t.k).ljust(left - GAP)
    out.side_by_side(
        [Block(a_name, _marks(picture.a)), Block(_name("C", t.m, t.n), _marks(picture.c))]
    )
    tile = t.tile_slices()
    out.note(f"# one register tile{_ranges(*tile) if tile else ''}")
    out.note(f"+ one cache tile{_ranges(*t.block_slices())}")
    named = list(zip((picture.m, picture.n, picture.k), t.words, strict=True))
    cell = ", ".join(counted(axis.each, word) for axis, word in named)
    out.note(f"· the rest; a cell is {cell}")
    windows = [_window(axis, word) for axis, word in named if axis.length < axis.extent]
    if windows:
        out.note(f"of the matrices are shown {' and '.join(windows)}")


def images(out: Page, t: Tiling, shown: Images) -> None:
    """Print the tile's pixels in the output image, and their inputs."""
    out.section("One register tile in the images: output pixels, and the input pixels they read")
    most = (out.width - GAP) // 2
    block = t.block_slices()[0]
    cached = np.arange(block.start // shown.output[1], block.stop // shown.output[1])
    blocks, notes = [], []
    for name, points, size, rows in (
        ("output", shown.pixels, shown.output, cached),
        ("input", shown.read, shown.input, cached[:0]),
    ):
        down = _around(points[:, 0], size[0], MOST_PIXEL_ROWS)
        across = _around(points[:, 1], size[1], most)
        cells = np.full((down.cells, across.cells), REST, np.uint8)
        cells[down.mark(rows)] = CACHE
        cells[(points[:, 0] - down.start) // down.each,
              (points[:, 1] - across.start) // across.each] = REGISTER  # fmt: skip
        blocks.append(Block(f"{name} {size[0]:,} x {size[1]:,}", _marks(cells)))
        notes += _notes(name, down, across)
    out.side_by_side(blocks)
    out.note("# the register tile   + output of the cache tile   · the rest")
    for note in notes:
        out.note(note)


def _around(positions: Array, extent: int, most: int) -> Axis:
    """Return a window around the positions, or the whole axis, scaled, if they do not fit."""
    if extent <= most or not len(positions):
        return Axis(0, min(extent, most), 1, extent)
    low, high = int(positions.min()), int(positions.max())
    if high - low >= most:
        return Axis(0, extent, ceil_div(extent, most), extent)
    start = low - (most - (high - low + 1)) // 2
    return Axis(max(0, min(start, extent - most)), most, 1, extent)


def _notes(name: str, down: Axis, across: Axis) -> list[str]:
    windows = [
        _window(axis, word)
        for axis, word in ((down, "row"), (across, "column"))
        if axis.length < axis.extent
    ]
    notes = [f"of the {name} are shown {' and '.join(windows)}"] if windows else []
    if max(down.each, across.each) > 1:
        notes.append(f"a cell of the {name} is {down.each} x {across.each} pixels")
    return notes


def _name(letter: str, rows: int, columns: int) -> str:
    return f"{letter} {rows:,} x {columns:,}"


def _window(axis: Axis, word: str) -> str:
    return f"{word}s {axis.start:,} to {axis.start + axis.length - 1:,}"


def _ranges(rows: slice, columns: slice, steps: slice) -> str:
    i, j, t = (f"{each.start}:{each.stop}" for each in (rows, columns, steps))
    return f": A[{i}, {t}], B[{t}, {j}], C[{i}, {j}]"


def _marks(cells: Array) -> list[Text]:
    return [Text.assemble(*(MARKS[mark] for mark in row)) for row in cells.tolist()]
