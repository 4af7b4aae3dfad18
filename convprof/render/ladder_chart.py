"""Ladders as bars: every rung's rate, the gain over the rung before and the removed limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.doubts import may_be_faster
from convprof.render import describe, doubts, tables
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import (
    GIGA,
    IN_DOUBT,
    INTERVAL,
    joined,
    marks,
    peak_words,
    threads_words,
    times,
)
from convprof.render.ladder_words import removed
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.peaks import Peak
    from convprof.studies.ladder.study import Step

Ladder = tuple[str, "Sequence[Step]"]
MOST_PANELS = 4
RIGHT = "right: GFLOP/s, gain over the rung before, limit removed"
EFFECTIVE = "effective rates: fewer FLOPs executed than counted can pass the peak"


def ladder_chart(
    word: str, ladders: Sequence[Ladder], peaks: Sequence[Peak], *, dated: str, varied: str = ""
) -> Bars | None:
    """Return a panel of bars per ladder, under the peaks; None if no rung was timed.

    ``dated``: machine and date; ``varied``: the variable whose values are the names of the ladders.
    Of more than four ladders the last four are drawn.
    """
    timed = [
        (f"{varied} {name}".strip(), steps) for name, all_ in ladders if (steps := _timed(all_))
    ]
    if not timed:
        return None
    shown = timed[-MOST_PANELS:]
    several = len(shown) > 1
    last = shown[-1][1][-1].measurement
    problem = "" if several else describe.problem_line(last.problem, last.dtype)
    left_out = f"the last {len(shown)} of {len(timed)} sizes" if len(timed) > len(shown) else ""
    references = tuple(map(_reference, peaks))
    return Bars(
        title=_title(*shown[-1], several=several),
        panels=tuple(
            Panel("GFLOP/s", _bars(steps), name if several else "", references)
            for name, steps in shown
        ),
        subtitle=joined(word, problem or last.dtype, left_out, dated),
        caption=joined(RIGHT, EFFECTIVE if _effective(shown) else "", INTERVAL, _marks(shown)),
    )


def _effective(ladders: Sequence[Ladder]) -> bool:
    return any(tables.effective(step.measurement) for _, steps in ladders for step in steps)


def _marks(ladders: Sequence[Ladder]) -> str:
    return marks(step.measurement for _, steps in ladders for step in steps)


def _timed(steps: Sequence[Step]) -> list[Step]:
    return [s for s in steps if s.measurement.time_s and s.measurement.flop_per_s]


def _title(name: str, steps: Sequence[Step], *, several: bool) -> str:
    clear = [step for step in steps if step.measurement.doubt is None]
    if not clear:
        return IN_DOUBT
    first, best = clear[0], min(clear, key=lambda step: seconds(step.measurement))
    share = peak_words(best.measurement)
    where = f" at {name}" if several else ""
    if best is first and may_be_faster(best.measurement, [s.measurement for s in steps]):
        return f"no rung is faster than {first.rung.name} for certain{where}"
    if best is first:
        return f"{first.rung.name} is the fastest rung{where}{share and f': {share}'}"
    ratio = seconds(first.measurement) / seconds(best.measurement)
    of = f" on {threads_words(best.rung.threads)}" if best.rung.threads > 1 else ""
    text = f"{best.rung.name} is {times(ratio)} as fast as {first.rung.name}{where}"
    return f"{text}: {share}{of}" if share else f"{text}{of}"


def _bars(steps: Sequence[Step]) -> tuple[Bar, ...]:
    below = [None, *steps]
    return tuple(_bar(step, before) for step, before in zip(steps, below, strict=False))


def _bar(step: Step, below: Step | None) -> Bar:
    m = step.measurement
    rate = (m.flop_per_s or 0.0) / GIGA
    time = m.time_s
    work = rate * seconds(m)
    low = work / time.ci95_high if time and time.ci95_high else None
    high = work / time.ci95_low if time and time.ci95_low else None
    limit = removed(step, below) if below is not None else ""
    gain = f"{units.digits(step.before.ratio.inverse.value, 2)}x" if step.before else ""
    note = joined(units.digits(rate), gain, limit)
    label = doubts.marked(step.rung.name, m.doubt)
    return Bar(label, rate, low, high, note, step.rung.strategy)


def _reference(peak: Peak) -> Reference:
    rate = units.si(peak.flop_per_s, "FLOP/s")
    return Reference(f"peak, {threads_words(peak.threads)}: {rate}", peak.flop_per_s / GIGA)
