"""Axes: the range of the data, the place of a value in the range, and the ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.render.charts.chart import Chart

MOST_VALUE_TICKS = 16
"""Up to this number of different whole numbers, each is a tick itself: 32, 64, 128."""
MARGIN = 0.04
"""Room between the data and the ends of an axis, as a share of the axis."""
HEADROOM = 0.05
"""Room above the highest point, if the top is not a ceiling."""
MOST_ABOVE = 1.5
"""An interval that ends above the highest point by more than this factor is cut."""
_STEPS = (1, 2, 5, 10)
_EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return the place of a value: 0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        """Whether a value is within the axis."""
        return (not self.log or value > 0) and -_EXACT <= self.share(value) <= 1 + _EXACT

    def ticks(self, most: int) -> list[float]:
        """Return at most about `most` round values on the axis."""
        ticks = _log_ticks(self.low, self.high, most) if self.log else []
        if len(ticks) < min(3, most):
            ticks = _linear_ticks(self.low, self.high, most)
        return [value for value in ticks if self.holds(value)]


def x_scale(chart: Chart) -> Scale:
    """Return the x axis: all points and marks, with a margin; a log axis has the values above 0."""
    values = [p.x for s in chart.series for p in s.points] + [mark.x for mark in chart.marks]
    low, high = _ends([v for v in values if v > 0] if chart.x_log else values)
    if chart.x_log:
        room = (high / low) ** MARGIN
        return Scale(low / room, high * room, log=True)
    room = (high - low) * MARGIN
    return Scale(low - room, high + room)


def y_scale(chart: Chart) -> Scale:
    """Return the y axis: from 0 (log: the lowest point) to `y_top`, or to a higher point."""
    most = MOST_ABOVE * max((p.y for s in chart.series for p in s.points), default=math.inf)
    values = [y for s in chart.series for p in s.points for y in (p.y, p.low) if y]
    values += [min(p.high, most) for s in chart.series for p in s.points if p.high]
    values += [level.y for level in chart.levels]
    ends = [v for v in values if math.isfinite(v) and (v > 0 or not chart.y_log)]
    highest = max(ends, default=1.0)
    top = highest * (1 + HEADROOM)
    if chart.y_top is not None and highest <= chart.y_top:
        top = chart.y_top
    if not chart.y_log:
        lowest = min([*ends, 0.0])
        return Scale(lowest, top if top > lowest else lowest + 1)
    lowest = min([v for v in ends if v < top], default=top / 10)
    return Scale(lowest / (top / lowest) ** MARGIN, top, log=True)


def x_ticks(chart: Chart, scale: Scale, most: int) -> list[float]:
    """Return the measured values themselves if they are few whole numbers, else round values."""
    measured = sorted({p.x for s in chart.series for p in s.points if scale.holds(p.x)})
    whole = all(value == int(value) for value in measured)
    if whole and 0 < len(measured) <= MOST_VALUE_TICKS:
        return measured
    return scale.ticks(most)


def text(value: float) -> str:
    """Return a tick's label: short, without an exponent if it is readable without."""
    if value and not 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004  # beyond, zeros have to be counted
        return f"{value:g}"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.6g}"


def number(value: float) -> str:
    """Return a value for a cell or a label, with three digits."""
    return units.digits(value)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=1.0), max(values, default=1.0)
    if low == high:
        return (low / 2, high * 2) if low > 0 else (low - 1, high + 1)
    return low, high


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * (1 - _EXACT))
    first = math.ceil(low / step - _EXACT)
    last = math.floor(high / step + _EXACT)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return 1, 2, 5 of each decade if they are few enough, else powers of ten, evenly thinned."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1,)):
        ticks = [_power(d, e) for e in range(first, last + 1) for d in digits]
        shown = [value for value in ticks if low <= value <= high]
        if len(shown) <= most:
            return shown
    every = ceil_div(len(shown), max(1, most))
    return shown[::every]


def _power(digit: int, exponent: int) -> float:
    return float(f"{digit}e{exponent}")


def spread(texts: Iterable[tuple[float, int]], length: int, gap: int = 1) -> list[int | None]:
    """Return the starts of texts that are centred at shares of a line and do not touch.

    `texts` has share and width of each text, `length` is the number of cells of the line. A text
    that would touch an earlier text is left out: None.
    """
    starts: list[int | None] = []
    end = -gap
    for share, width in texts:
        start = min(max(0, round(share * (length - 1)) - width // 2), length - width)
        if start < end + gap or start < 0:
            starts.append(None)
            continue
        starts.append(start)
        end = start + width
    return starts
