"""The page about Winograd's convolution."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from convprof import units
from convprof.render.columns import Column
from convprof.render.explain.grid import Cell, grid, numbers
from convprof.render.explain.page import Block, Page, counted

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Console

    from convprof.studies.explain.winograd import Count, WinogradPage

    Array = np.ndarray[Any, Any]

GREATEST_DENOMINATOR = 24
"""The width of the numbers in the matrices."""
FLOAT32_STEP = float(np.finfo(np.float32).eps)
DATA, FILTER, RESULT = "#e69f00", "#56b4e9", "#009e73"


def show(console: Console, page: WinogradPage) -> None:
    """Print the page."""
    out, m, p = Page(console), page.m, page.named
    out.title("winograd", p)
    size = m + 2
    out.prose(
        f"F({m}x{m}, 3x3): {m}x{m} outputs y = A^T [(G g G^T) * (B^T d B)] A from a {size}x{size} "
        "tile d of the input and a 3x3 filter g; * is element by element."
    )
    out.section("1. The matrices")
    out.side_by_side(
        [
            Block(name, grid(_fractions(matrix)))
            for name, matrix in (("B^T", page.bt), ("G", page.g), ("A^T", page.at))
        ]
    )
    if page.factor > 1:
        out.note(f"G is the usual matrix times {page.factor}, so that all numbers are whole")
    if p.c > 1 or p.k > 1:
        out.note(f"below: one of {p.c:,} input channels, one of {p.k:,} filters, the first tile")
    out.section("2. Input tile and filter, and both transformed")
    out.side_by_side(
        [
            Block("d", grid(numbers(page.tile, page.border, DATA))),
            Block("B^T d B", grid(numbers(page.spectrum, style=DATA))),
            Block("g", grid(numbers(page.filter, style=FILTER))),
            Block("G g G^T", grid(numbers(page.filter_spectrum, style=FILTER))),
        ]
    )
    if page.border.any():
        out.note("· is outside the image and counts as zero")
    _products(out, page)
    out.table("4. What the whole convolution takes", COUNTS, page.counts)
    arithmetic = "float32" if page.factor == 1 else "numbers of 16 and 32 bits"
    out.note(
        f"error: max|y - y64| / max|y64| in {arithmetic}, measured on random sums over "
        f"{counted(page.channels, 'channel')}"
    )
    out.lesson(_lesson(page))


def _products(out: Page, page: WinogradPage) -> None:
    p, size = page.named, page.m + 2
    out.section(f"3. {size * size} products, and back")
    out.side_by_side(
        [
            Block("M = (G g G^T) * (B^T d B)", grid(numbers(page.products))),
            Block(_result(page), grid(numbers(page.output, style=RESULT))),
            Block("direct", grid(numbers(page.direct, style=RESULT))),
        ]
    )
    largest = float(np.max(np.abs(page.output - page.direct)))
    more = f"; with {p.c:,} channels the M of all are added up before A^T" if p.c > 1 else ""
    shown = f"{largest:.0e}" if largest else "0"
    out.note(f"largest difference in float64: {shown}{more}")
    if not page.kept.all():
        kept = int(page.kept.sum())
        out.note(f"the tile reaches over the edge: {kept} of {page.kept.size} outputs are kept")


def _result(page: WinogradPage) -> str:
    """Return the formula of the outputs."""
    return "y = A^T M A" if page.factor == 1 else f"y = A^T M A / {page.factor**2}"


def _fractions(matrix: Array) -> list[list[Cell]]:
    return [
        [Cell(str(Fraction(value).limit_denominator(GREATEST_DENOMINATOR))) for value in row]
        for row in matrix.tolist()
    ]


def _lesson(page: WinogradPage) -> str:
    direct, *others = page.counts
    shown = next(count for count in others if count.label.startswith(f"F({page.m}x"))
    size = page.m + 2
    return (
        f"{shown.label} multiplies {size * size} times for {page.m**2} outputs where the direct "
        f"sum takes {9 * page.m**2}. In the whole convolution it multiplies "
        f"{_saving(shown, page.m)}. "
        f"The price is the additions of the transforms; {_precision(page, shown, direct)}."
    )


def _precision(page: WinogradPage, shown: Count, direct: Count) -> str:
    """Return whether sums are exact, or how much larger their error is than of direct sums."""
    if page.most is not None:
        return f"nothing is rounded, and sums over up to {page.most:,} channels are exact"
    ratio = shown.max_rel_error / (direct.max_rel_error or FLOAT32_STEP)
    return f"its rounding error is {units.digits(ratio, 2)} times the error of the direct sum"


def _saving(shown: Count, m: int) -> str:
    """Return the saved multiplications, and the reason why more are not saved."""
    ideal = 9 * m**2 / (m + 2) ** 2
    edges = "because tiles at the edge are narrower or reach over it"
    if shown.saving < 1:
        return f"{units.digits(1 / shown.saving)} times as often, {edges}"
    less = f", less than the {units.digits(ideal)} of whole tiles {edges}"
    return f"{units.digits(shown.saving)} times less{less if shown.saving < 0.999 * ideal else ''}"


COUNTS: list[Column[Count]] = [
    Column("", lambda count: count.label, 1, "left"),
    Column("multiplications", lambda count: f"{count.multiplications:,}", 2),
    Column("fewer", lambda count: f"{units.digits(count.saving)}x", 3),
    Column("error", lambda count: f"{count.max_rel_error:.1e}", 4),
]
