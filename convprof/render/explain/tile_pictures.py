"""Which elements a tile touches, drawn: the three matrices, and the images of a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from convprof.render.explain.page import GAP, Block, Page, counted
from convprof.studies.explain.tiling import CACHE, REGISTER, REST, Axis

if TYPE_CHECKING:
    from typing import Any

    from convprof.problems import Conv2d
    from convprof.studies.explain.tiling import Tiling

    Array = np.ndarray[Any, Any]

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
    out.beside([Block(a_name, _marks(picture.a)), Block(_name("C", t.m, t.n), _marks(picture.c))])
    tile = t.tile_slices()
    out.note(f"# one register tile{_ranges(*tile) if tile else ''}")
    out.note(f"+ one cache tile{_ranges(*t.block_slices())}")
    named = list(zip((picture.m, picture.n, picture.k), t.words, strict=True))
    cell = ", ".join(counted(axis.each, word) for axis, word in named)
    out.note(f"· the rest; a cell stands for {cell}")
    windows = [_window(axis, word) for axis, word in named if axis.length < axis.extent]
    if windows:
        out.note(f"of the matrices are shown {' and '.join(windows)}")


def images(out: Page, p: Conv2d, t: Tiling) -> None:
    """Print where the tile's pixels lie in the output image, and what they read of the input."""
    if t.pixels is None or t.read is None:
        return
    out.section("One register tile in the images: output pixels, and the input pixels they read")
    most = (out.width - GAP) // 2
    block = t.block_slices()[0]
    cached = np.arange(block.start // p.q, block.stop // p.q)
    blocks, notes = [], []
    for name, points, size, rows in (
        ("output", t.pixels, (p.p, p.q), cached),
        ("input", t.read, (p.h, p.w), cached[:0]),
    ):
        down = _around(points[:, 0], size[0], MOST_PIXEL_ROWS)
        across = _around(points[:, 1], size[1], most)
        cells = np.full((down.cells, across.cells), REST, np.uint8)
        cells[down.mark(rows)] = CACHE
        cells[(points[:, 0] - down.start) // down.each,
              (points[:, 1] - across.start) // across.each] = REGISTER  # fmt: skip
        blocks.append(Block(f"{name} {size[0]:,} x {size[1]:,}", _marks(cells)))
        notes += _notes(name, down, across)
    out.beside(blocks)
    out.note("# the register tile   + output of the cache tile   · the rest")
    for note in notes:
        out.note(note)


def _around(positions: Array, extent: int, most: int) -> Axis:
    """Return a window around the positions; the whole axis, scaled, where they do not fit one."""
    if extent <= most or not len(positions):
        return Axis(0, min(extent, most), 1, extent)
    low, high = int(positions.min()), int(positions.max())
    if high - low >= most:
        return Axis(0, extent, -(-extent // most), extent)
    start = low - (most - (high - low + 1)) // 2
    return Axis(max(0, min(start, extent - most)), most, 1, extent)


def _notes(name: str, down: Axis, across: Axis) -> list[str]:
    windows = [
        _window(axis, word)
        for axis, word in ((down, "row"), (across, "column"))
        if axis.length < axis.extent
    ]
    found = [f"of the {name} are shown {' and '.join(windows)}"] if windows else []
    if max(down.each, across.each) > 1:
        found.append(f"a cell of the {name} stands for {down.each} x {across.each} pixels")
    return found


def _name(letter: str, rows: int, columns: int) -> str:
    return f"{letter} {rows:,} x {columns:,}"


def _window(axis: Axis, word: str) -> str:
    return f"{word}s {axis.start:,} to {axis.start + axis.length - 1:,}"


def _ranges(rows: slice, columns: slice, steps: slice) -> str:
    i, j, t = (f"{each.start}:{each.stop}" for each in (rows, columns, steps))
    return f": A[{i}, {t}], B[{t}, {j}], C[{i}, {j}]"


def _marks(cells: Array) -> list[Text]:
    return [Text.assemble(*(MARKS[mark] for mark in row)) for row in cells.tolist()]
