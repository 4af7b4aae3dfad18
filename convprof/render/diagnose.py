"""What ``convprof diagnose`` shows: a row per operation, findings, and what was not read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render.columns import Column, print_table
from convprof.render.console import hanging, say
from convprof.render.findings import GIGA
from convprof.render.tables import time_cell
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.diagnose.finding import name, way_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from convprof.studies.diagnose.program_time import ProgramTime
    from convprof.studies.diagnose.result import DiagnosisResult, Log
    from convprof.studies.diagnose.rows import Row
    from convprof.units import Unit

NOTHING = "-"
NARROW = 160
"""Cells; in a narrower console a name is cut."""
LONGEST_NAME = 36
LONGEST_IMPLEMENTATION = 18
LEGEND = (
    ("total", "total: calls and creations"),
    ("first", "first: the first call"),
    ("created", "created: how often the library created the operation"),
    ("lost", "lost: total - calls x the time that this machine's peak and bandwidths allow"),
    ("could", "could take: a call, measured here with operands in the caches"),
    ("saved", "saved: calls x (median - could take)"),
)
"""What a column means, by the first word of its heading."""
UNKNOWN_PROBLEM = (
    "-: no ceiling and no faster way is known; conversions, element-wise operations and operations "
    "without shapes are not problems of convprof"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a row, or the sum of the rows that are not printed."""

    name: str
    calls: int
    total_s: float
    share: float
    lost_s: float | None
    saved_s: float | None
    row: Row | None = None

    @classmethod
    def of(cls, row: Row) -> Line:
        """Return the line of a row."""
        return cls(name(row), row.calls, row.total_s, row.share, row.lost_s, row.saved_s, row)


def lines(rows: Sequence[Row], top: int | None) -> list[Line]:
    """Return the lines of the first and the measured rows, and one for all others.

    The measured rows come first. The lines add up to the total.
    """
    most = len(rows) if top is None else top
    shown = [row for number, row in enumerate(rows) if number < most or row.faster is not None]
    shown.sort(key=lambda row: row.faster is None)
    rest = [row for number, row in enumerate(rows) if number >= most and row.faster is None]
    if not rest:
        return [Line.of(row) for row in shown]
    others = Line(
        f"{len(rest):,} more",
        sum(row.calls for row in rest),
        math.fsum(row.total_s for row in rest),
        math.fsum(row.share for row in rest),
        _sum(row.lost_s for row in rest),
        _sum(row.saved_s for row in rest),
    )
    return [*map(Line.of, shown), others]


def _sum(seconds: Iterable[float | None]) -> float | None:
    """Return the sum of what is known; None if nothing is."""
    known = [value for value in seconds if value is not None]
    return math.fsum(known) if known else None


def diagnosis_report(console: Console, result: DiagnosisResult, *, top: int | None) -> None:
    """Print the table, the findings, and what was not read."""
    shown = lines(result.rows, top)
    if result.program is not None:
        say(console, program_line(result.program, result.total_s))
    cut = console.width < NARROW
    kept = print_table(console, title(result), columns(result, shown, cut=cut), shown)
    say(console, _legend(kept), *notes(result, shown), *unread(result.log), style="dim")
    for finding in result.findings:
        console.print()
        hanging(console, f"{finding.kind}: ", finding.evidence, bold=True)
        hanging(console, "  -> ", finding.way_out)


def notes(result: DiagnosisResult, shown: Sequence[Line]) -> list[str]:
    """Return what the dashes and marks of the table mean, and what was not measured."""
    rows = [line.row for line in shown if line.row is not None]
    texts = [UNKNOWN_PROBLEM] if any(row.measurement is None for row in rows) else []
    texts += [f"not measured: {reason}" for reason in result.not_measured]
    if any(row.over for row in result.rows):
        texts.append("! over the peak of this machine: nothing is concluded from it")
    return texts


def title(result: DiagnosisResult) -> str:
    """Return the total, and of how many calls by which libraries on how many threads."""
    names = dict.fromkeys(
        f"{process.library} {process.version}".strip() for process in result.log.processes
    )
    libraries = ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004
    threads = result.threads
    on = f"ceilings of {threads} thread{'s' if threads > 1 else ''}"
    by = f" by {libraries}" if libraries else ""
    calls = "1 call" if result.log.calls == 1 else f"{result.log.calls:,} calls and creations"
    return f"{units.time(result.total_s)} in {calls}{by}; {on}"


def program_line(program: ProgramTime, logged_s: float) -> str:
    """Return how long the program took, how much of it was logged, and what the logs cost."""
    share = logged_s / program.seconds if program.seconds else math.inf
    # Threads that work at the same time may have more time than the program.
    part = f" ({100 * share:.0f} %)" if share <= 1 else ""
    ended = f", exit code {program.exit_code}" if program.exit_code else ""
    return (
        f"the program: {units.time(program.seconds)}{ended}; logged operations: "
        f"{units.time(logged_s)}{part}; overhead of the logs: {_overhead(program)}"
    )


def _overhead(program: ProgramTime) -> str:
    if program.overhead is None or program.without_s is None:
        return "unknown (--overhead measures it)"
    return f"{100 * program.overhead:+.0f} % of {units.time(program.without_s)}, one run each"


def unread(log: Log) -> list[str]:
    """Return a line about what is not in the table; nothing if all of the log is."""
    counts = (
        (log.foreign, "of the program itself"),
        (log.nested, "inside of other operations"),
        (log.unread, "that could not be read"),
    )
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return [f"lines or events that are not in the table: {', '.join(parts)}"] if parts else []


def columns(result: DiagnosisResult, shown: Sequence[Line], *, cut: bool) -> list[Column[Line]]:
    """Return the columns; ``cut``: names have a limited length.

    Where faster ways were measured, a narrow table keeps the time of a call next to them.
    """
    first = _columns(shown, cut=cut)
    if not result.measured:
        return first
    ranked = [
        replace(column, rank=_MEASURED_RANKS.get(_word(column), column.rank)) for column in first
    ]
    return [*ranked, *_faster_columns(shown)]


_MEASURED_RANKS = {"total": 2, "median": 1, "%": 5, "lost": 4}
"""By the first word of a heading, the rank of a column next to faster ways."""


def _word(column: Column[Line]) -> str:
    return column.heading if column.heading.startswith("% ") else column.heading.partition(" ")[0]


def _faster_columns(shown: Sequence[Line]) -> list[Column[Line]]:
    could = units.time_unit(
        line.row.could_s for line in shown if line.row is not None and line.row.could_s
    )
    total = units.table_unit(line.total_s for line in shown)
    return [
        Column(f"could take [{could.name}]", lambda line: _could(line, could), 1),
        Column("by", _by, 3, "left"),
        Column(f"saved [{total.name}]", lambda line: _time(line.saved_s, total), 2),
    ]


def _could(line: Line, unit: Unit) -> str:
    faster = None if line.row is None else line.row.faster
    return NOTHING if faster is None else time_cell(faster.best, unit)


def _by(line: Line) -> str:
    faster = None if line.row is None else line.row.faster
    return NOTHING if faster is None else way_of(faster.best, line.row)


def _columns(shown: Sequence[Line], *, cut: bool) -> list[Column[Line]]:
    total = units.table_unit(line.total_s for line in shown)
    each = units.time_unit(_each(shown))
    return [
        Column(
            "operation",
            lambda line: _cut(line.name, LONGEST_NAME if cut else None),
            1,
            "left",
            whole=lambda line: line.name,
        ),
        Column(
            "implementation",
            lambda line: _cut(
                _text(line, "implementation"), LONGEST_IMPLEMENTATION if cut else None
            ),
            3,
            "left",
            whole=lambda line: _text(line, "implementation"),
        ),
        Column("type", lambda line: _text(line, "types"), 6, "left"),
        Column("layout", lambda line: _text(line, "layout"), 10, "left"),
        Column("calls", lambda line: f"{line.calls:,}", 4),
        Column(f"total [{total.name}]", lambda line: _time(line.total_s, total), 2),
        Column("%", lambda line: f"{100 * line.share:.1f}", 2),
        Column(f"median [{each.name}]", lambda line: _of(line, "median_s", each), 5),
        Column(f"first [{each.name}]", lambda line: _of(line, "first_s", each), 8),
        Column("created", _created, 9),
        Column("GFLOP/s", _rate, 6),
        Column("% of peak", _peak, 2),
        Column("bound by", lambda line: (line.row and line.row.bound) or NOTHING, 7, "left"),
        Column(f"lost [{total.name}]", lambda line: _time(line.lost_s, total), 2),
    ]


def to_csv(result: DiagnosisResult) -> Iterator[str]:
    """Yield a row per operation in SI units."""
    return csv_text(lambda: map(_flat, result.rows))


def to_markdown(result: DiagnosisResult) -> str:
    """Return the table with every row and column, and the findings."""
    shown = lines(result.rows, None)
    every = columns(result, shown, cut=False)
    parts = [f"### {title(result)}\n", markdown_table(every, shown)]
    parts.append(f"{_legend([column.heading for column in every])}\n")
    parts += [f"- **{f.kind}**: {f.evidence} {f.way_out}\n" for f in result.findings]
    further = [*notes(result, shown), *unread(result.log)]
    return "\n".join([*parts, *(f"{line}\n" for line in further)])


def _flat(row: Row) -> dict[str, Any]:
    fields = row.to_json()
    problem, faster = fields.pop("problem"), fields.pop("faster")
    best = faster["best"] if faster else dict.fromkeys(("strategy", "layout", "median_s"))
    return {
        "problem": problem["descriptor"] if problem else None,
        **fields,
        "faster_strategy": best["strategy"],
        "faster_layout": best["layout"],
        "faster_s": best["median_s"],
    }


def _legend(headings: Sequence[str]) -> str:
    words = {heading.partition(" ")[0] for heading in headings}
    return " · ".join(text for word, text in LEGEND if word in words)


def _cut(text: str, longest: int | None) -> str:
    if longest is None or len(text) <= longest:
        return text
    return f"{text[: longest - 3]}..."


def _text(line: Line, field: str) -> str:
    return (getattr(line.row.operation, field) if line.row else "") or NOTHING


def _time(seconds: float | None, unit: Unit) -> str:
    return NOTHING if seconds is None else units.digits(unit.scale(seconds))


def _each(shown: Sequence[Line]) -> list[float]:
    return [line.row.median_s or 0.0 for line in shown if line.row is not None]


def _of(line: Line, field: str, unit: Unit) -> str:
    return _time(None if line.row is None else getattr(line.row, field), unit)


def _created(line: Line) -> str:
    return f"{line.row.created:,}" if line.row is not None and line.row.created else NOTHING


def _rate(line: Line) -> str:
    rate = None if line.row is None else line.row.flop_per_s
    return NOTHING if rate is None else units.digits(rate / GIGA)


def _peak(line: Line) -> str:
    if line.row is None or line.row.peak_fraction is None:
        return NOTHING
    return f"{units.digits(100 * line.row.peak_fraction, 2)}{'!' if line.row.over else ''}"
