"""The data of a chart, as plain values: no colours, no pixels, no drawing."""

from dataclasses import dataclass
from typing import ClassVar

MOST_NAMES = 6
"""The most series that the description of a chart names."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point. `low` and `high` are the ends of its confidence interval, if known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    """The text next to the point; empty if the label of the series is enough."""
    limit: float | None = None
    """The limit above the point; the gap to the limit is drawn."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one subject: joined in order if `line`, else markers only."""

    label: str
    points: tuple[Point, ...]
    line: bool = True
    marked: bool = True
    """Whether the points of a line have markers; not if they are only its ends."""
    subject: str = ""
    """The name that decides colour and marker: a strategy's name; empty for the label."""
    variant: int = 0
    """Distinguishes series of one subject, by the dash and by a filled or hollow marker."""
    expected: bool = False
    """Whether this is the expectation for the subject: dashed and hollow."""
    ceiling: bool = False
    """Whether this is a ceiling: grey, with its label along the line."""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a ceiling."""

    label: str
    y: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line, such as the capacity of a cache."""

    label: str
    x: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over common axes. The labels name the units of the values, such as `GFLOP/s`."""

    has_own_colours: ClassVar[bool] = False
    """Whether it has light and dark colours of its own, which do not follow the page."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    x_log: bool = False
    y_log: bool = False
    y_top: float | None = None
    """The top of the y axis; None: chosen from the data."""
    caption: str = ""
    """The meaning of the marks and the method of measurement."""
    subtitle: str = ""
    """Problem, machine and date; the title says the finding."""

    @property
    def content(self) -> str:
        """What the picture shows, in words."""
        names = [series.label for series in self.series if not series.ceiling]
        what = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} series"
        return f"{self.y_label} by {self.x_label}, for {what}."


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

    has_own_colours: ClassVar[bool] = True

    title: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    unit: str
    marks: tuple[CellMark, ...] = ()
    caption: str = ""
    subtitle: str = ""

    @property
    def content(self) -> str:
        """What the picture shows, in words."""
        size = f"{len(self.rows)} x {len(self.columns)}"
        return f"A map of {size} cells: {self.unit}; {self.y_label} by {self.x_label}."


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar. `low` and `high` are the ends of its confidence interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    """The text to the right of the axes: the value in words, the gain, the reason."""
    subject: str = ""
    """The name that decides colour and marker: a strategy's name; empty for a neutral colour."""
    variant: int = 0
    """The same as the variant of a series: odd variants are hollow."""
    expected: float | None = None
    """The expected value, drawn hollow in the same colour."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A vertical line through the bars: a ceiling, or the 1 of ratios."""

    label: str
    x: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars over one axis, the first bar at the top."""

    x_label: str
    bars: tuple[Bar, ...]
    title: str = ""
    references: tuple[Reference, ...] = ()
    ratios: bool = False
    """Whether the values are ratios: markers with intervals on a logarithmic axis around 1."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Panels of horizontal bars, one below the other."""

    has_own_colours: ClassVar[bool] = False

    title: str
    panels: tuple[Panel, ...]
    subtitle: str = ""
    caption: str = ""

    @property
    def content(self) -> str:
        """What the picture shows, in words."""
        axes = ", ".join(dict.fromkeys(panel.x_label for panel in self.panels))
        bars = sum(len(panel.bars) for panel in self.panels)
        return f"{bars} bars: {axes}."


Drawable = Chart | HeatMap | Bars
"""Everything that a picture can show."""
