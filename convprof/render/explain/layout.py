"""The page about NCHW and NHWC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof import units
from convprof.integers import ceil_div
from convprof.render.columns import Column
from convprof.render.explain.grid import LETTERS, MORE, channel_style, fitting
from convprof.render.explain.page import Page, counted

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.explain.layout import Arranged, LayoutPage, Real

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
PER_LINE = (16, 8, 4)
"""Elements per line of the strip, the most that fit: 16 f32 are a cache line of 64 bytes."""
CELL = 4
ADDRESS = 6
MOST_LINES = 16
ITEM_BYTES = 4


def show(console: Console, page: LayoutPage) -> None:
    """Print the page."""
    out, here = Page(console), page.here
    out.title("layout", page.named)
    out.smaller(page.reduction)
    assumed = " (assumed: the system does not report it)" if here.line_assumed else ""
    out.prose(
        f"One letter per channel, then row and column: b12 is channel b, row 1, column 2. "
        f"f32; a cache line of {here.line_bytes} bytes{assumed} holds "
        f"{here.line_bytes // ITEM_BYTES}, a vector {here.lanes} ({here.isa})."
    )
    i, j = page.arranged[0].window.pixel
    out.prose(f"*b12 is read by the filter window of output pixel ({i}, {j}).")
    for arranged in page.arranged:
        _strip(out, arranged, here.line_bytes // ITEM_BYTES)
    shown = "One filter window of the tensor shown: cache lines, and bytes of them used"
    out.table(shown, COUNTS, page.arranged)
    if page.reduction:
        i, j = page.real[0].window.pixel
        real = f"One filter window of the convolution named, at its real size: pixel ({i}, {j})"
        out.table(real, COUNTS, page.real)
    out.lesson(_lesson(page))


def _strip(out: Page, arranged: Arranged, per_cache_line: int) -> None:
    s = arranged.strides
    name = arranged.layout.upper()
    out.section(f"{name}: strides in elements n {s.n}, c {s.c}, h {s.h}, w {s.w}")
    per_line = next((n for n in PER_LINE if ADDRESS + n * CELL <= out.width), PER_LINE[-1])
    lines = ceil_div(len(arranged.order), per_line)
    drawn = []
    for line in fitting(lines, MOST_LINES):
        if line is None:
            drawn.append(Text(MORE.rjust(ADDRESS)))
            continue
        first = line * per_line
        mark = "|" if first % per_cache_line == 0 else " "  # where a cache line begins
        text = Text().append(f"{first:>{ADDRESS - 1}}{mark}", style="dim")
        for address in range(first, min(first + per_line, len(arranged.order))):
            c, h, w = arranged.order[address].tolist()
            read = arranged.in_window[address]
            text.append(
                f"{'*' if read else ' '}{LETTERS[c]}{DIGITS[h]}{DIGITS[w]}",
                style=f"bold {channel_style(c)}" if read else channel_style(c),
            )
        drawn.append(text)
        taken = min(per_line, arranged.load.elements - first)
        if taken > 0:
            drawn.append(Text(" " * ADDRESS + " ^^^" * taken))
    out.picture(drawn)
    out.note("address in elements; | begins a cache line")
    out.note(
        f"^^^ one vector load: {counted(arranged.load.elements, 'element')} of {_load(arranged)}"
    )


def _load(row: Arranged | Real) -> str:
    load = row.load
    parts = ((load.channels, "channel"), (load.rows, "row"), (load.columns, "column"))
    return " x ".join(counted(count, word) for count, word in parts)


def _lesson(page: LayoutPage) -> str:
    nchw, nhwc = page.real
    a, b = nchw.window, nhwc.window
    if a.lines == b.lines:
        verdict = f"A filter window touches {counted(a.lines, 'cache line')} in either layout"
    else:
        fewer, more = (nhwc, nchw) if b.lines < a.lines else (nchw, nhwc)
        factor = more.window.lines / max(1, fewer.window.lines)
        verdict = (
            f"A filter window of this problem ({a.elements} elements) touches "
            f"{fewer.window.lines:,} cache lines in {fewer.layout.upper()} and "
            f"{more.window.lines:,} in {more.layout.upper()}, {units.digits(factor)} times as many"
        )
    return (
        f"{verdict}: {100 * a.used:.0f} % of their bytes are used in NCHW, "
        f"{100 * b.used:.0f} % in NHWC. One vector load takes {_load(nchw)} in NCHW, "
        f"{_load(nhwc)} in NHWC."
    )


COUNTS: list[Column[Arranged | Real]] = [
    Column("layout", lambda row: row.layout, 1, "left", key=True),
    Column("stride c", lambda row: f"{row.strides.c:,}", 6),
    Column("stride h", lambda row: f"{row.strides.h:,}", 7),
    Column("stride w", lambda row: f"{row.strides.w:,}", 8),
    Column("reads", lambda row: f"{row.window.elements:,}", 4),
    Column("runs", lambda row: f"{row.window.runs:,}", 5),
    Column("lines", lambda row: f"{row.window.lines:,}", 2),
    Column("used", lambda row: f"{100 * row.window.used:.0f} %", 3),
]
