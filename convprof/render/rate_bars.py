"""Contestants as bars: the rate of each under the peak, a panel per number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts, tables
from convprof.render.charts.chart import Bar, Panel, Reference
from convprof.render.findings import GIGA, joined, marks, peak_words, threads_words
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from convprof.results import Measurement
    from convprof.units import Unit

MOST_BARS = 24
"""The most bars of a panel: more would be higher than a screen."""
EFFECTIVE = "effective rates, of fewer FLOPs executed than counted, can be over the peak"


def panels(
    rows: Sequence[Measurement],
    label: Callable[[Measurement], str],
    *,
    detail: Callable[[Measurement], str] | None = None,
    hatched: Collection[str] = (),
) -> tuple[Panel, ...]:
    """Return a panel per number of threads, its bars in the order of the rows.

    ``label`` names a bar, ``detail`` is written first to its right; ``hatched``: strategies with
    hatched bars. Without FLOPs the bars are times.
    """
    counts = sorted({m.threads for m in rows})
    timed = any(m.flop_per_s is None for m in rows)
    unit = units.time_unit([seconds(m) for m in rows]) if timed else None
    panels = []
    for count in counts:
        of_count = [m for m in rows if m.threads == count][:MOST_BARS]
        bars = tuple(
            _bar(m, label(m), detail(m) if detail else "", unit, hatched=m.strategy in hatched)
            for m in of_count
        )
        title = threads_words(count) if len(counts) > 1 else ""
        axis = f"time [{unit.name}]" if unit else "GFLOP/s"
        panels.append(Panel(axis, bars, title, () if unit else _peak(of_count)))
    return tuple(panels)


def caption(rows: Sequence[Measurement]) -> str:
    """Return the notes on rates over the peak and on times in doubt, if there are any."""
    return joined(EFFECTIVE if any(map(tables.effective, rows)) else "", marks(rows))


def left_out(rows: Sequence[Measurement], of: str) -> str:
    """Return the number of drawn bars and of all bars; empty if all are drawn."""
    most = max((sum(m.threads == t for m in rows) for t in {m.threads for m in rows}), default=0)
    return f"{MOST_BARS} of {most} {of}" if most > MOST_BARS else ""


def _bar(m: Measurement, label: str, detail: str, unit: Unit | None, *, hatched: bool) -> Bar:
    time = m.time_s
    low, high = (time.ci95_low, time.ci95_high) if time else (None, None)
    if unit is not None:
        value = unit.scale(seconds(m))
        ends = [None if end is None else unit.scale(end) for end in (low, high)]
        words = f"{units.digits(value)} {unit.name}"
    else:
        value = (m.flop_per_s or 0.0) / GIGA
        work = value * seconds(m)
        ends = [None if not end else work / end for end in (high, low)]
        words = units.digits(value)
    note = joined(detail, words, peak_words(m), "effective" if tables.effective(m) else "")
    label = doubts.marked(label, m.doubt)
    return Bar(label, value, ends[0], ends[1], note, m.strategy, int(hatched))


def _peak(rows: Sequence[Measurement]) -> tuple[Reference, ...]:
    """Return the peak that the shares refer to."""
    known = [m for m in rows if m.flop_per_s and m.peak_fraction]
    if not known:
        return ()
    peak = (known[0].flop_per_s or 0.0) / (known[0].peak_fraction or 1.0)
    return (Reference(f"FMA peak {units.si(peak, 'FLOP/s')}", peak / GIGA),)
