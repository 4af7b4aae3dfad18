"""Numbers in rows and columns, with labels; parts that do not fit are left out and marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Array = np.ndarray[Any, Any]

PADDING = "·"
"""The mark of a zero of the padding: a zero that was computed is a number."""
MORE = "…"
CHANNEL_STYLES = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")
"""Okabe & Ito 2008: distinct for every kind of colour vision; letters name the channels too."""
LETTERS = "abcd"
UNLIMITED = 1 << 30
ROUNDING = 1e-9
"""A smaller number is a 0 with a rounding error."""


class Cell(NamedTuple):
    """A number or a mark, and its style."""

    text: str
    style: str = ""


class Labels(NamedTuple):
    """One line of labels along an edge of the grid."""

    name: str
    values: Sequence[str]


def channel_style(channel: int) -> str:
    """Return the colour of a channel."""
    return CHANNEL_STYLES[channel % len(CHANNEL_STYLES)]


LARGE = 1e7
"""Whole numbers from here on are shown with four digits."""


def numbers(values: Array, padding: Array | None = None, style: str = "") -> list[list[Cell]]:
    """Return the cells of a matrix; cells of the padding as dots."""
    return [
        [
            Cell(PADDING, "dim")
            if padding is not None and padding[i, j]
            else Cell(short(value), style)
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(values.tolist())
    ]


def short(value: float) -> str:
    """Return four significant digits, or all of a whole number: ``-0.5``, ``0.0417``, ``58200``.

    Rounding errors are 0.
    """
    if abs(value) <= ROUNDING:
        return "0"
    whole = float(value).is_integer() and abs(value) < LARGE
    return f"{value:.0f}" if whole else f"{value:.4g}"


def fitting(count: int, most: int) -> list[int | None]:
    """Return the indices to show of ``count``; None marks a gap before the last."""
    if count <= most:
        return list(range(count))
    return [*range(max(1, most - 2)), None, count - 1]


def grid(
    cells: Sequence[Sequence[Cell]],
    *,
    width: int = UNLIMITED,
    most_rows: int = UNLIMITED,
    left: Sequence[Labels] = (),
    head: Sequence[Labels] = (),
) -> list[Text]:
    """Return the lines of a grid, with labels at its left and above it."""
    across = len(cells[0])
    texts = [cell.text for row in cells for cell in row]
    texts += [text for labels in head for text in labels.values]
    each = 1 + max(map(len, texts))
    names = [max(map(len, (labels.name, *labels.values))) for labels in left]
    if not left and head:
        names = [max(len(labels.name) for labels in head)]
    edge = sum(names) + max(0, len(names) - 1)
    columns = fitting(across, max(3, (width - edge - 1) // each))
    lines = [_head_line(labels, edge, each, columns) for labels in head]
    if left:
        corner = " ".join(labels.name.rjust(n) for labels, n in zip(left, names, strict=True))
        lines.append(Text(corner, style="dim"))
    for i in fitting(len(cells), most_rows):
        line = Text()
        if left:
            shown = [MORE if i is None else labels.values[i] for labels in left]
            labels_text = " ".join(v.rjust(n) for v, n in zip(shown, names, strict=True))
            line.append(labels_text, style="dim")
        elif head:
            line.append(" " * edge)
        for j in columns:
            cell = Cell(MORE) if i is None or j is None else cells[i][j]
            line.append(" " * (each - len(cell.text))).append(cell.text, style=cell.style or None)
        lines.append(line)
    return lines


def _head_line(labels: Labels, edge: int, each: int, columns: Sequence[int | None]) -> Text:
    values = "".join((MORE if j is None else labels.values[j]).rjust(each) for j in columns)
    return Text(labels.name.rjust(edge) + values, style="dim")
