"""The layout of the sheet, in pixels from the upper left corner.

Section below section, each a title, a caption and rows of panels with their own titles above them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.show_features.sheet import Panel, Section

WIDTH, MARGIN, GAP = 1600, 36, 18
TALLEST, TALLEST_SMALL = 430, 240
"""The largest height of a panel, in pixels."""
COLUMNS = 4
WIDE = 2.5
"""From this ratio of width to height a row has half as many panels."""
TITLE_SIZE, HEADING_SIZE, TEXT_SIZE, SMALL_SIZE, NOTE_SIZE = 16.0, 13.0, 10.0, 9.0, 8.5
LINE = 2.0
"""Pixels of a line of text per point of its letters: 1.44 times their height."""
LETTER = 0.75
"""Pixels of an average letter's width per point, estimated generously."""
BOLDER = 1.25
"""Width of a bold letter over the width of a normal one."""
FEWEST_LETTERS = 8
"""The fewest characters of a line."""


@dataclass(frozen=True)
class Line:
    """A line of text at the left margin: its upper edge in pixels, and its style."""

    y: float
    text: str
    size: float
    weight: str


@dataclass(frozen=True)
class Cell:
    """A panel's place: the upper left corner and size in pixels, including its title above."""

    panel: Panel
    x: float
    y: float
    width: float
    height: float
    """Width and height of the picture only."""
    title_size: float
    lines: tuple[str, ...]
    """Of the note."""
    above: float
    """Height of title and note."""


@dataclass(frozen=True)
class SheetLayout:
    """The whole sheet."""

    height: float
    lines: tuple[Line, ...]
    rules: tuple[float, ...]
    """Where a line is drawn across."""
    cells: tuple[Cell, ...]


def place(title: str, sections: Sequence[Section]) -> SheetLayout:
    """Return the sheet, ``WIDTH`` pixels wide and as high as it needs."""
    cells: list[Cell] = []
    rules: list[float] = []
    texts, y = _lines(title, MARGIN, TITLE_SIZE, "bold")
    y += GAP / 2
    for section in sections:
        rules.append(y)
        heading, y = _lines(section.title, y + GAP / 2, HEADING_SIZE, "bold")
        caption, y = _lines(section.caption, y, TEXT_SIZE, "normal")
        placed, y = _rows(section, y + GAP / 2)
        texts += [*heading, *caption]
        cells += placed
        y += GAP
    return SheetLayout(y, tuple(texts), tuple(rules), tuple(cells))


def _lines(text: str, y: float, size: float, weight: str) -> tuple[list[Line], float]:
    """Return the lines of a text across the sheet, and the start of the next line."""
    lines = wrapped(text, WIDTH - 2 * MARGIN, size * (BOLDER if weight == "bold" else 1))
    placed = [Line(y + LINE * size * k, line, size, weight) for k, line in enumerate(lines)]
    return placed, y + LINE * size * len(lines)


def wrapped(text: str, width: float, size: float) -> tuple[str, ...]:
    """Return lines that fit ``width`` pixels in letters of ``size`` points."""
    return tuple(textwrap.wrap(text, max(FEWEST_LETTERS, int(width / (LETTER * size)))))


def _rows(section: Section, y: float) -> tuple[list[Cell], float]:
    """Place a section's panels; return them and the start of the next section."""
    columns = _columns(section)
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    size = SMALL_SIZE if section.small else TEXT_SIZE
    cells = []
    for first in range(0, len(section.panels), columns):
        row = section.panels[first : first + columns]
        notes = [wrapped(_note(panel), width, NOTE_SIZE) for panel in row]
        above = LINE * (size + NOTE_SIZE * max(map(len, notes))) + 3
        heights = [_fitted(panel, width, section) for panel in row]
        for column, (panel, lines, height) in enumerate(zip(row, notes, heights, strict=True)):
            x = MARGIN + column * (width + GAP)
            h, w = panel.values.shape[:2]
            cells.append(Cell(panel, x, y, height * w / h, height, size, lines, above))
        y += above + max(heights) + GAP / 2
    return cells, y


def _columns(section: Section) -> int:
    """Return the number of panels of a row: fewer if they are wide and flat."""
    h, w = section.panels[0].values.shape[:2]
    columns = COLUMNS * 2 if section.small else COLUMNS
    return columns // 2 if w / h >= WIDE else columns


def _fitted(panel: Panel, width: float, section: Section) -> float:
    """Return the height of a panel's picture: as wide as its cell, but not too tall."""
    h, w = panel.values.shape[:2]
    tallest = TALLEST_SMALL if section.small else TALLEST
    return float(min(tallest, width * h / w))


def _note(panel: Panel) -> str:
    """Return the text under a panel's title."""
    scale = ""
    if panel.signed:
        scale = f"±{panel.limit:.2g}"
    elif panel.heat is None and panel.limit != 1:
        scale = f"0 to {panel.limit:.2g}"
    return " · ".join(part for part in (scale, panel.note) if part)
