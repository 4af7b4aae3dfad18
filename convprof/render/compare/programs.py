"""What ``compare commands --command`` prints: a row per program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import stats, units
from convprof.render import tables
from convprof.render.charts.chart import Bar, Bars, Panel
from convprof.render.columns import VERDICT_STYLES, Column, print_table, shortened
from convprof.render.console import say
from convprof.render.findings import INTERVAL, joined
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.compare.programs import BASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.studies.compare.programs import Program, ProgramComparison, Programs

_LONGEST = 26
"""Characters of a command line in the table."""


def programs_report(console: Console, study: Programs) -> None:
    """Print the table, and the programs that failed."""
    rows = [program for program in study.programs if program.runs]
    if rows:
        print_table(console, _title(study), columns(study), rows)
    for program in study.programs:
        if program.reason is not None:
            say(console, f"failed: {program.name}: {program.reason}", style="bold red")


def _title(study: Programs) -> str:
    runs = max(len(program.runs) for program in study.programs)
    return f"Whole programs, {runs} run{'s' if runs > 1 else ''} of each in alternating rounds"


def columns(study: Programs) -> list[Column[Program]]:
    """Return the columns: the time from start to end, the processor time, the ratio."""
    unit = units.time_unit([program.median_s for program in study.programs if program.runs])
    compared = {each.a.name: each for each in study.comparisons()}

    def ratio(program: Program) -> str:
        each = compared.get(program.name)
        return tables.NOTHING if each is None else tables.ratio_text(each.ratio)

    return [
        Column("", lambda p: p.name, 1, "left", key=True),
        Column("command", lambda p: shortened(p.command, _LONGEST), 1, "left"),
        Column(f"time [{unit.name}]", lambda p: _time(p, unit), 2),
        Column(f"fastest [{unit.name}]", lambda p: _fastest(p, unit), 6),
        Column(f"processor [{unit.name}]", lambda p: _processor(p, unit), 5),
        Column(f"ratio to {BASE}", ratio, 1),
        Column("verdict", lambda p: _verdict(p, compared), 1, "left", style=_style(compared)),
    ]


def _time(program: Program, unit: units.Unit) -> str:
    interval = stats.median_interval(list(program.seconds.values()))
    half = None if interval is None else (interval[1] - interval[0]) / 2
    return tables.seconds_cell(program.median_s, half, unit)


def _fastest(program: Program, unit: units.Unit) -> str:
    return units.digits(unit.scale(min(program.seconds.values())))


def _processor(program: Program, unit: units.Unit) -> str:
    return units.digits(unit.scale(program.processor_s or 0.0))


def _verdict(program: Program, compared: dict[str, ProgramComparison]) -> str:
    each = compared.get(program.name)
    return tables.NOTHING if each is None else each.verdict


def _style(compared: dict[str, ProgramComparison]) -> Callable[[Program], str]:
    return lambda program: VERDICT_STYLES.get(_verdict(program, compared), "")


def to_csv(study: Programs) -> Iterator[str]:
    """Yield a line for each program."""
    compared = {each.a.name: each for each in study.comparisons()}

    def rows() -> Iterator[dict[str, Any]]:
        for program in study.programs:
            each = compared.get(program.name)
            row = {k: v for k, v in program.to_json().items() if k not in {"rounds_s", "ci95_s"}}
            yield {
                **row,
                "runs": len(program.runs),
                "ratio": each.ratio.value if each else None,
                "ci95_low": each.ratio.low if each else None,
                "ci95_high": each.ratio.high if each else None,
                "verdict": each.verdict if each else None,
            }

    return csv_text(rows)


def to_markdown(study: Programs) -> Iterator[str]:
    """Yield the table, and the programs that failed."""
    rows = [program for program in study.programs if program.runs]
    if rows:
        yield f"### {_title(study)}\n\n{markdown_table(columns(study), rows)}\n"
    for program in study.programs:
        if program.reason is not None:
            yield f"- failed: {program.name}: {program.reason}\n"


def programs_chart(study: Programs, *, dated: str) -> Bars | None:
    """Return the times; None if no program has run."""
    rows = [program for program in study.programs if program.runs]
    if not rows:
        return None
    unit = units.time_unit([program.median_s for program in rows])
    bars = tuple(_bar(program, unit) for program in rows)
    return Bars(
        title="Whole programs, from start to end",
        panels=(Panel(f"time [{unit.name}]", bars, "", ()),),
        subtitle=joined(f"{max(len(p.runs) for p in rows)} runs of each", dated),
        caption=INTERVAL,
    )


def _bar(program: Program, unit: units.Unit) -> Bar:
    interval = stats.median_interval(list(program.seconds.values()))
    low, high = (None, None) if interval is None else map(unit.scale, interval)
    value = unit.scale(program.median_s)
    note = f"{units.digits(value)} {unit.name}"
    name = f"{program.name}: {shortened(program.command, _LONGEST)}"
    return Bar(name, value, low, high, note, program.name)
