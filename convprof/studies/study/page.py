"""A page as plain values: rows of what was expected and measured, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convprof.results import half_width
from convprof.studies.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

APART = 0.1
"""Where measurement and theory differ by more, the page says what is known about why."""


@dataclass(frozen=True)
class Figure:
    """A measured median with its 95 % interval, in SI units; None for too few samples."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return half_width(self.low, self.high)


@dataclass(frozen=True)
class Row:
    """One variant."""

    variant: dict[str, Any]
    """What was varied; its values differ from row to row of a section."""
    counted: dict[str, Any] = field(default_factory=dict)
    """The figures that the theory needs; None for unknown."""
    expected: float | None = None
    """In SI units; None where the theory gives no number."""
    measured: Figure | None = None
    """None where it was not measured: see `status`."""
    cycles: float | None = None
    """Core cycles per FLOP or per element, where known."""
    status: str = "ok"
    reason: str | None = None
    """Why it was not measured."""
    max_rel_error: float | None = None
    doubt: str | None = None
    """Why the time cannot be true; None if it can."""

    @property
    def sure(self) -> Figure | None:
        """What was measured, for conclusions: None if it is in doubt."""
        return self.measured if self.doubt is None else None

    @property
    def ratio(self) -> float | None:
        """Measured over expected; None where either is unknown or in doubt."""
        return None if self.sure is None else ratio(self.sure.value, self.expected)


@dataclass(frozen=True)
class Unit:
    """The unit of the figures of a section."""

    name: str
    """`GFLOP/s`."""
    value: float
    """The SI value of one unit."""


@dataclass(frozen=True)
class Line:
    """A horizontal or vertical line of a plot, in the units of its axis."""

    label: str
    at: float


@dataclass(frozen=True)
class Plot:
    """How a section is drawn: a line per value of `group` over `x`, or a map of `x` and `group`."""

    kind: Literal["lines", "map"]
    x: str
    """The field of `variant` or `counted` along the x axis."""
    x_label: str
    group: str
    y_label: str
    x_log: bool = False
    y_log: bool = False
    expected: str | None = None
    """The label of the line of what was expected, one for each group; None for no such line."""
    expected_once: bool = False
    """Whether the expectation is the same for every group."""
    levels: tuple[Line, ...] = ()
    marks: tuple[Line, ...] = ()
    cells: tuple[tuple[str, tuple[tuple[Any, Any], ...]], ...] = ()
    """Of a map: a label and the cells, as values of `x` and `group`, that it holds for."""


@dataclass(frozen=True)
class Section:
    """A table and its chart."""

    title: str
    unit: Unit
    rows: tuple[Row, ...]
    across: str | None = None
    """A field of `variant` whose values are columns; None: every row is a line."""
    plot: Plot | None = None
    cycles_per: str | None = None
    """What `cycles` counts for: `FLOP`, `element`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What was expected and why, what was measured, and what is known about the difference."""

    expected: str
    measured: str
    ratio: float | None = None
    """Measured over expected; None where one of them is unknown."""
    why: str = ""
    """What the data say about a difference; empty where there is nothing to say."""

    @property
    def difference(self) -> str:
        """Return the difference in a sentence."""
        if self.ratio is None:
            text = "cannot be told, since one of the two is unknown"
        else:
            percent = 100 * (self.ratio - 1)
            text = f"measured / expected = {self.ratio:.3g} ({percent:+.0f} %)"
        return f"{text}. {self.why}." if self.why else f"{text}."


@dataclass(frozen=True, slots=True)
class Advice(Answer):
    """What to do, and the measured reason."""

    headline: str = ""
    """What was found, short enough to be a title."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        fields = {"sentences": list(self.sentences), "command": self.command or None}
        return {**fields, "headline": self.headline or None}


@dataclass(frozen=True)
class Page:
    """All of a study."""

    study: str
    title: str
    settings: Mapping[str, Any]
    sections: tuple[Section, ...]
    findings: tuple[Finding, ...]
    facts: tuple[str, ...] = ()
    """What is known of this machine that the expectations rest on, a line each."""
    answer: Advice | None = None
    """What to do; None where too little was measured."""


def ratio(measured: float | None, expected: float | None) -> float | None:
    """Return measured over expected; None where one is unknown or nothing is expected."""
    return None if measured is None or not expected else measured / expected


def apart(value: float | None) -> bool:
    """Whether a ratio is so far from 1 that a page should explain it."""
    return value is not None and abs(value - 1) > APART
