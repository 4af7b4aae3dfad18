"""What a chart shows, as plain values: no colours, no pixels, no drawing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point. `low` and `high` are the ends of its confidence interval, where known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    """Written next to the point; empty for a point that only its series names."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points that belong together, joined in the order given when `line`, else markers alone."""

    label: str
    points: tuple[Point, ...]
    line: bool = True
    marked: bool = True
    """Whether the points of a line are marked; not where they are only its ends."""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a ceiling."""

    label: str
    y: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line: where a cache's capacity is passed."""

    label: str
    x: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over common axes. The labels name the units of the values, such as `GFLOP/s`."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    x_log: bool = False
    y_log: bool = False
    y_top: float | None = None
    """The top of the y axis; None chooses it from what is drawn."""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class CellMark:
    """Cells of a heat map to outline, under one label (`fits L1`)."""

    label: str
    cells: tuple[tuple[int, int], ...]
    """(row, column), counted from 0."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A value for every row and column; None where nothing was measured.

    `rows` and `columns` are the labels of the axes in the order drawn, the first row at the top.
    `values[row][column]` is in `unit`.
    """

    title: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    unit: str
    marks: tuple[CellMark, ...] = ()
    caption: str = ""
