"""Charts in characters: every series has a glyph of its own, so that colour is not needed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.charts import palette, scale
from convprof.render.charts.heat import heat_map_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.render.charts.chart import Chart, Point, Series
    from convprof.render.charts.palette import Look


__all__ = ["chart_lines", "heat_map_lines", "wrapped"]

LEAST_WIDTH, LEAST_HEIGHT = 30, 5
"""The smallest width: in less, axes and labels would fill the chart."""
ROWS_PER_TICK = 4
COLUMNS_PER_TICK = 9
MARK_ROWS = 2
"""Rows above the plot for the labels of marks that are close together."""
FRAME = "dim"


def chart_lines(chart: Chart, width: int = 80, height: int = 20) -> Text:
    """Return the chart as text of at most `width` columns; the plot's area has `height` rows.

    Levels and marks are drawn and labelled; a label without room next to its line goes
    to the legend. A confidence interval is drawn as a column of `:` where it spans rows.
    """
    return _Drawing(chart, max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)).text()


class _Drawing:
    """One chart under way."""

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self.chart, self.width, self.height = chart, width, height
        self.x, self.y = scale.x_scale(chart), scale.y_scale(chart)
        ticks = self.y.ticks(max(2, height // ROWS_PER_TICK + 1))
        self.y_ticks = {self.row(value): scale.text(value) for value in ticks}
        self.gutter = max([len(label) for label in self.y_ticks.values()], default=0) + 1
        self.canvas = Canvas(width - self.gutter - 1, height)
        self.looks = palette.looks(chart.series)
        self.legend: list[tuple[str, str, str]] = []
        """Glyph, its style and label."""

    def row(self, value: float) -> int:
        """Return the row of a value on the y axis, 0 at the top."""
        return round((1 - self.y.share(value)) * (self.height - 1))

    def column(self, value: float) -> int:
        """Return the column of a value on the x axis."""
        return round(self.x.share(value) * (self.canvas.width - 1))

    def text(self) -> Text:
        """Draw everything; later parts cover earlier parts."""
        self._levels()
        above = self._marks()
        pairs = list(zip(self.chart.series, self.looks, strict=True))
        for series, look in pairs:
            self.legend.append((look.glyph, palette.terminal_color(look.color), series.label))
            if series.line:
                self._line(series, look)
        for series, look in pairs:
            self._points(series, look)
        self._point_labels(pairs)
        self._level_labels()
        lines = [Text(self.chart.title, style="bold")] if self.chart.title else []
        lines += [*above, *self._plot(), *self._x_axis()]
        lines += wrapped(self._legend(), self.width)
        for below in (self.chart.subtitle, self.chart.caption):
            words = [Text(word, style=FRAME) for word in below.split()]
            lines += wrapped(words, self.width, gap=" ")
        return Text("\n", no_wrap=True, overflow="ignore").join(lines)

    def _levels(self) -> None:
        for level in self.chart.levels:
            if self.y.holds(level.y):
                self.canvas.put(0, self.row(level.y), "─" * self.canvas.width, FRAME)

    def _level_labels(self) -> None:
        for level in self.chart.levels:
            if not self.y.holds(level.y):
                continue
            width, row = len(level.label), self.row(level.y)
            columns = [1, (self.canvas.width - width) // 2, self.canvas.width - width - 1]
            places = [(column, line) for line in (row, row + 1, row - 1) for column in columns]
            if not self.canvas.label(places, level.label, FRAME):
                self.legend.append(("─", FRAME, level.label))

    def _marks(self) -> list[Text]:
        """Draw the marks; return the lines above the plot that label them."""
        marks = sorted(self.chart.marks, key=lambda mark: mark.x)
        marks = [mark for mark in marks if self.x.holds(mark.x)]
        for mark in marks:
            for row in range(self.height):
                self.canvas.put(self.column(mark.x), row, "│", FRAME)
        above = []
        for _ in range(MARK_ROWS):
            texts = [(self.x.share(mark.x), len(mark.label)) for mark in marks]
            starts = scale.spread(texts, self.canvas.width)
            line = Canvas(self.width, 1)
            for mark, start in zip(marks, starts, strict=True):
                if start is not None:
                    line.put(self.gutter + 1 + start, 0, mark.label, FRAME)
            above.append(line.row(0))
            marks = [m for m, start in zip(marks, starts, strict=True) if start is None]
        self.legend += [("│", FRAME, mark.label) for mark in marks]
        head = Text(self.chart.y_label, style=FRAME)
        return [head, *(line for line in reversed(above) if line.plain)]

    def _line(self, series: Series, look: Look) -> None:
        cells = [(self.column(p.x), self.row(p.y)) for p in self._visible(series)]
        for (x0, y0), (x1, y1) in itertools.pairwise(cells):
            steps = max(abs(x1 - x0), abs(y1 - y0))
            for step in range(1, steps):
                x, y = (round(a + (b - a) * step / steps) for a, b in ((x0, x1), (y0, y1)))
                self.canvas.put(x, y, "·", palette.terminal_color(look.color))

    def _points(self, series: Series, look: Look) -> None:
        style = palette.terminal_color(look.color)
        for point in self._visible(series):
            x, y = self.column(point.x), self.row(point.y)
            for row in self._interval(point):
                self.canvas.put(x, row, ":", style)
            self.canvas.put(x, y, look.glyph, style)
            self.canvas.take(x, y)

    def _interval(self, point: Point) -> range:
        if point.low is None or point.high is None:
            return range(0)
        low, high = (max(self.y.low, min(self.y.high, end)) for end in (point.low, point.high))
        return range(self.row(high), self.row(low) + 1)

    def _visible(self, series: Series) -> list[Point]:
        return [p for p in series.points if self.x.holds(p.x) and self.y.holds(p.y)]

    def _point_labels(self, pairs: Sequence[tuple[Series, Look]]) -> None:
        for series, look in pairs:
            style = palette.terminal_color(look.color)
            for point in self._visible(series):
                if not point.label:
                    continue
                x, y, width = self.column(point.x), self.row(point.y), len(point.label)
                middle = x - width // 2
                places = [(x + 2, y), (x - width - 1, y), (middle, y - 1), (middle, y + 1)]
                places += [(x + 1, y - 1), (x + 1, y + 1), (x - width, y - 1), (x - width, y + 1)]
                if not self.canvas.label(places, point.label, style):
                    where = f"{scale.number(point.x)}, {scale.number(point.y)}"
                    self.legend.append((look.glyph, style, f"{point.label} ({where})"))

    def _plot(self) -> Iterator[Text]:
        for row in range(self.height):
            label = self.y_ticks.get(row, "")
            edge = "┤" if label else "│"
            line = Text(f"{label:>{self.gutter}}{edge}", style=FRAME)
            yield Text().append(line).append(self.canvas.row(row))

    def _x_axis(self) -> list[Text]:
        width = self.canvas.width
        ticks = scale.x_ticks(self.chart, self.x, max(2, width // COLUMNS_PER_TICK))
        labels = [scale.text(value) for value in ticks]
        places = [(self.x.share(v), len(text)) for v, text in zip(ticks, labels, strict=True)]
        starts = scale.spread(places, width, gap=2)
        axis, below = Canvas(width, 1), Canvas(width, 1)
        axis.put(0, 0, "─" * width)
        for value, text, start in zip(ticks, labels, starts, strict=True):
            if start is not None:
                axis.put(self.column(value), 0, "┬")
                below.put(start, 0, text)
        blank = " " * self.gutter
        middle = " " * max(0, (width - len(self.chart.x_label)) // 2)
        return [
            Text(f"{blank}└{axis.row(0).plain}", style=FRAME),
            Text(f"{blank} {below.row(0).plain}", style=FRAME),
            Text(f"{blank} {middle}{self.chart.x_label}", style=FRAME),
        ]

    def _legend(self) -> list[Text]:
        return [
            Text().append(glyph, style).append(f" {label}") for glyph, style, label in self.legend
        ]


def wrapped(parts: Sequence[Text], width: int, gap: str = "   ") -> list[Text]:
    """Return the parts joined into lines of at most `width` columns, no part broken."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(gap) + part.cell_len <= width:
            lines[-1].append(gap).append(part)
        else:
            lines.append(part.copy())
    return lines


# A grid of character cells to draw on, and its conversion to Rich text.

EMPTY = " "


class Canvas:
    """`width` x `height` cells, (0, 0) at the top left. Text outside is not drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[(EMPTY, "")] * width for _ in range(height)]
        self._taken: set[tuple[int, int]] = set()

    def put(self, x: int, y: int, text: str, style: str = "") -> None:
        """Write a text from a cell to the right."""
        for offset, character in enumerate(text):
            column = x + offset
            if 0 <= column < self.width and 0 <= y < self.height:
                self._cells[y][column] = (character, style)

    def take(self, x: int, y: int, width: int = 1) -> None:
        """Mark cells that no label may cover."""
        self._taken.update((x + offset, y) for offset in range(width))

    def free(self, x: int, y: int, width: int) -> bool:
        """Whether a label of this width fits into the grid at a place and covers no marked cell."""
        inside = x >= 0 and x + width <= self.width and 0 <= y < self.height
        return inside and all((x + offset, y) not in self._taken for offset in range(width))

    def label(self, places: list[tuple[int, int]], text: str, style: str = "") -> bool:
        """Write a label at the first free place; return whether there was one."""
        for x, y in places:
            if self.free(x, y, len(text)):
                self.put(x, y, text, style)
                self.take(x - 1, y, len(text) + 2)
                return True
        return False

    def row(self, y: int) -> Text:
        """Return one row as text, without blanks at its end."""
        line = Text()
        for character, style in self._cells[y]:
            line.append(character, style)
        line.rstrip()
        return line
