"""Heat maps in characters: every cell has its number; the colour repeats the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from convprof.render.charts import scale

if TYPE_CHECKING:
    from convprof.render.charts.chart import HeatMap

NOTHING = "-"
SHADES = ("#08306b", "#0a519c", "#2171b5", "#4292c6", "#9ecae1", "#deebf7")
"""One blue from dark to light: brightness orders the values in greyscale too."""
_DARK = 4
"""The number of shades, from the darkest on, that need white letters."""
_TAGS = "abcdefghijklmnopqrstuvwxyz"
_BEST = "*"


def heat_map_lines(chart: HeatMap, width: int = 80) -> Text:
    """Return the map as text of at most `width` columns; further columns follow in blocks.

    Marked cells have a letter that the legend explains, the highest value has a star.
    """
    cells = _Cells(chart)
    label = max((cell_len(row) for row in chart.rows), default=0) + 1
    each = max([cells.width, *(cell_len(column) + 1 for column in chart.columns)])
    per_block = max(1, (width - label) // each)
    lines = [Text(chart.title, style="bold"), Text(f"{chart.y_label} down, {chart.x_label} across")]
    for first in range(0, len(chart.columns), per_block):
        columns = range(first, min(first + per_block, len(chart.columns)))
        head = "".join(f"{chart.columns[column]:>{each}}" for column in columns)
        if first:
            lines.append(Text())
        lines.append(Text(" " * label + head, style="dim"))
        for row, name in enumerate(chart.rows):
            line = Text().append(Text(f"{name:>{label - 1}} ", style="dim"))
            for column in columns:
                line.append(f"{cells.text(row, column):>{each}}", cells.style(row, column))
            lines.append(line)
    lines.append(Text(cells.legend(), style="dim"))
    lines += [Text(below, style="dim") for below in (chart.subtitle, chart.caption) if below]
    return Text("\n", overflow="fold").join(lines)


class _Cells:
    def __init__(self, chart: HeatMap) -> None:
        self.chart = chart
        values = [value for row in chart.values for value in row if value is not None]
        self.low, self.high = min(values, default=0.0), max(values, default=0.0)
        self.tags: dict[tuple[int, int], str] = {}
        for mark, tag in zip(chart.marks, _TAGS, strict=False):
            for cell in mark.cells:
                self.tags[cell] = self.tags.get(cell, "") + tag
        self.width = 1 + max(
            (len(self.text(i, j)) for i, row in enumerate(chart.values) for j in range(len(row))),
            default=1,
        )

    def text(self, row: int, column: int) -> str:
        value = self.chart.values[row][column]
        if value is None:
            return NOTHING
        best = _BEST if value == self.high else ""
        return f"{scale.number(value)}{best}{self.tags.get((row, column), '')}"

    def style(self, row: int, column: int) -> str:
        value = self.chart.values[row][column]
        if value is None:
            return "dim"
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 1.0
        shade = min(int(share * len(SHADES)), len(SHADES) - 1)
        return f"{'#ffffff' if shade < _DARK else '#000000'} on {SHADES[shade]}"

    def legend(self) -> str:
        ends = f"{scale.number(self.low)} to {scale.number(self.high)}"
        parts = [f"{self.chart.unit}, dark to light: {ends}", f"{_BEST} highest"]
        parts += [f"{tag} {m.label}" for m, tag in zip(self.chart.marks, _TAGS, strict=False)]
        return " · ".join(parts)
