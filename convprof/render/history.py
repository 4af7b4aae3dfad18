"""The output of ``history``: a row for each line of saved runs, its changes, and a chart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.dtypes import short_name
from convprof.render.charts.chart import Chart, Mark, Point, Series
from convprof.render.charts.terminal import chart_lines
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.tables import NOTHING
from convprof.render.text_tables import csv_text, markdown_table
from convprof.results import way
from convprof.studies.history.study import label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from convprof.studies.history.store import Run
    from convprof.studies.history.study import Change, Line

MOST_SERIES = 8
"""Lines in one chart that a reader can distinguish."""
_DAY_S = 86_400
_HEIGHT = 12
_WINDOW = 20
"""Problems in the table, the newest; `--all` shows every one."""


def history_report(console: Console, lines: Sequence[Line], *, every: bool) -> None:
    """Print a row for each line, the changes, and a chart where one problem has few lines."""
    shown = lines if every else lines[-_WINDOW:]
    print_table(console, _title(lines), columns(lines), shown)
    if len(shown) < len(lines):
        say(console, f"not shown: {len(lines) - len(shown)} older; --all shows every row")
    for line in shown:
        for change in line.changes:
            say(console, _change(line, change))
    few = len({label(line) for line in lines}) == 1 and len(lines) <= MOST_SERIES
    if few and any(len(line.runs) > 1 for line in lines):
        console.print()
        console.print(chart_lines(history_chart(lines), console.width, _HEIGHT))


def removed_report(console: Console, runs: Sequence[Run], left: int) -> None:
    """Print the runs that were removed, and how many are left."""
    for run in runs[:_WINDOW]:
        say(console, f"removed: run {run.run}, {run.name}, of {_date(run.saved_s)} UTC")
    if len(runs) > _WINDOW:
        say(console, f"and {len(runs) - _WINDOW:,} more")
    several = "s" if len(runs) > 1 else ""
    say(console, f"{len(runs):,} run{several} removed, {left:,} left", style="bold")


def _title(lines: Sequence[Line]) -> str:
    names = {label(line) for line in lines}
    return f"saved runs of {names.pop()}" if len(names) == 1 else "saved runs, the newest last"


def columns(lines: Sequence[Line]) -> list[Column[Line]]:
    """Return the columns of the table."""
    available: list[Column[Line]] = [
        Column("problem", label, 1, "left", key=True),
        Column("type", lambda line: line.latest.point.dtype, 6, "left", key=True),
        Column("threads", lambda line: str(line.latest.point.threads), 5, key=True),
        Column("cache", lambda line: line.latest.point.cache, 8, "left", key=True),
        Column("machine", _machine, 4, "left", key=True),
        Column("runs", lambda line: f"{len(line.runs):,}", 2),
        Column("best", lambda line: _shown(line, max(map(line.value, line.runs))), 7),
        Column("latest", lambda line: _shown(line, line.value(line.latest)), 1),
        Column("by", _by, 5, "left"),
        Column("of", lambda line: _date(line.latest.saved_s), 3, "left"),
        Column("changes", _changes, 2),
    ]
    keys = {
        c.heading: len({c.cell(line) for line in lines}) > 1
        for c in available
        if c.heading in {"cache", "machine"}
    }
    return [c for c in available if keys.get(c.heading, True)]


def _changes(line: Line) -> str:
    """Return the number of changes; no number where the runs are too few to find one."""
    return str(len(line.changes)) if line.is_testable else NOTHING


def _machine(line: Line) -> str:
    return f"{line.latest.brand or 'unknown CPU'} {line.latest.machine[:4]}"


def _by(line: Line) -> str:
    point = line.latest.point
    return way(point.strategy, point.layout, point.isa)


def _shown(line: Line, value: float) -> str:
    return f"{100 * value:.0f} % of peak" if line.by_peak else f"{units.time(1 / value)} a call"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(min(seconds, _LATEST_S), UTC).strftime("%Y-%m-%d %H:%M")


_LATEST_S = 253_402_300_799
"""The last second that `datetime` can show; the store may come from a stranger."""


def _change(line: Line, change: Change) -> str:
    point = line.latest.point
    threads = f"{point.threads} thread{'s' if point.threads > 1 else ''}"
    return (
        f"changed: {label(line)} {short_name(point.dtype)} {threads}: "
        f"{_shown(line, change.before)} before, {_shown(line, change.after)} since "
        f"{_date(change.at.saved_s)} (run {change.at.run}, {change.at.name})"
    )


def to_csv(lines: Sequence[Line]) -> Iterator[str]:
    """Yield a row for each run of each line."""
    return csv_text(lambda: _csv_rows(lines))


def _csv_rows(lines: Sequence[Line]) -> Iterator[dict[str, Any]]:
    for line in lines:
        changed = {change.at.run for change in line.changes}
        for run in line.runs:
            point = run.point
            yield {
                "run": run.run,
                "name": run.name,
                "saved": _date(run.saved_s),
                "machine": run.machine,
                "brand": run.brand,
                "problem": point.problem,
                "problem_name": point.problem_name,
                "kind": point.kind,
                "dtype": point.dtype,
                "threads": point.threads,
                "cache": point.cache,
                "strategy": point.strategy,
                "layout": point.layout,
                "isa": point.isa,
                "seconds": point.seconds,
                "peak_fraction": point.peak_fraction,
                "changed": run.run in changed,
            }


def to_markdown(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table and the changes."""
    yield f"### {_title(lines)}\n\n{markdown_table(columns(lines), lines)}\n"
    for line in lines:
        yield from (f"- {_change(line, change)}\n" for change in line.changes)


def history_chart(lines: Sequence[Line]) -> Chart:
    """Return the share of the peak over the days, with a mark at each change."""
    shown = [line for line in lines if line.by_peak][-MOST_SERIES:] or lines[-MOST_SERIES:]
    by_peak = shown[0].by_peak
    start = min(run.saved_s for line in shown for run in line.runs)
    several = len({label(line) for line in shown}) > 1
    unit, seconds = _time_unit(max(line.latest.saved_s for line in shown) - start)
    changed = {change.at.run: change.at.saved_s for line in shown for change in line.changes}
    return Chart(
        title=_title(shown),
        x_label=f"{unit} since {_date(start)} UTC",
        y_label="% of peak" if by_peak else "calls per second",
        series=tuple(
            Series(
                _series(line, shown, several=several),
                tuple(
                    Point(
                        (run.saved_s - start) / seconds,
                        line.value(run) * (100 if line.by_peak else 1),
                    )
                    for run in line.runs
                ),
                subject=str(number),
            )
            for number, line in enumerate(shown)
            if line.by_peak == by_peak
        ),
        marks=tuple(Mark(f"run {run}", (at - start) / seconds) for run, at in changed.items()),
        y_log=True,  # from the lowest value on: a change of 5 % must be visible
        caption="Changes by Pettitt's test, 5 %; medians that differ by over 2 %",
    )


def _time_unit(span_s: float) -> tuple[str, float]:
    """Return the unit of the time axis, and its seconds."""
    units_ = (("days", 4 * _DAY_S, _DAY_S), ("hours", 4 * 3600, 3600))
    return next(((name, unit) for name, least, unit in units_ if span_s >= least), ("minutes", 60))


def _series(line: Line, lines: Sequence[Line], *, several: bool) -> str:
    point = line.latest.point
    machines = len({each.latest.machine for each in lines}) > 1
    parts = (
        label(line) if several else "",
        point.dtype,
        f"{point.threads} thread{'s' if point.threads > 1 else ''}",
        point.cache if len({each.latest.point.cache for each in lines}) > 1 else "",
        _machine(line) if machines else "",
    )
    return " ".join(part for part in parts if part)
