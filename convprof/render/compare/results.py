"""What ``compare results`` prints: both machines, the rows that changed, what could not match."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import describe, doubts, tables
from convprof.render.columns import VERDICT_STYLES, Column, print_table
from convprof.render.console import hanging, say
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.compare import results_machines
from convprof.studies.compare.results_basis import BASES, COMPARED, NAMES
from convprof.studies.run_answer import label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.compare.results import Compared, Row
    from convprof.studies.compare.results_basis import Basis

_OPTIONAL = 8
"""The rank of columns that are shown only where their cells differ."""
MOST_VALUES = 6
"""Values of one dimension that are listed where nothing matches."""


def results_report(console: Console, compared: Sequence[Compared], *, every: bool = False) -> None:
    """Print each new side: only the rows that changed, or ``every`` row."""
    for number, each in enumerate(compared):
        if number:
            console.print()
        say(console, f"{each.new.name} against {each.base.name}", style="bold")
        for line in _machine_lines(each):
            say(console, line)
        if each.rows:
            _rows(console, each, every=every)
        elif not each.lost:
            _nothing_matched(console, each)
        for line in _rest(each):
            say(console, line)


def _rows(console: Console, each: Compared, *, every: bool) -> None:
    rows = _ordered(each) if every else each.changed
    if rows:
        print_table(console, _title(each, rows), columns(each, rows), rows)
    doubt = doubts.line((m for row in each.rows for m in _doubtful(row)), label)
    if doubt is not None:
        say(console, doubt)
    hidden = len(each.rows) - len(rows)
    if hidden:
        counts = ((verdict, len(each.of(verdict))) for verdict in ("same", "undecided"))
        shown = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
        say(console, f"not shown: {shown}; --all shows every row", style="dim")


def _title(each: Compared, rows: Sequence[Row]) -> str:
    """Return what the ratios are, and the problem if there is only one: it has no column then."""
    text = f"{COMPARED[each.choice.basis]}, new / base"
    problems = set(map(_problem, rows))
    return f"{problems.pop()} · {text}" if len(problems) == 1 else text.capitalize()


def _ordered(each: Compared) -> list[Row]:
    return [*each.changed, *each.of("undecided"), *each.of("same")]


def columns(each: Compared, rows: Sequence[Row]) -> list[Column[Row]]:
    """Return the columns of the rows of one new side."""
    unit = units.time_unit([row.b.seconds for row in rows])
    basis = each.choice.basis

    problem: list[Column[Row]] = [Column("problem", _problem, 1, "left")]
    further: list[Column[Row]] = [
        Column("threads", lambda r: str(r.a.first.threads), 5, key=True),
        Column("type", lambda r: r.a.first.dtype, 8, "left", key=True),
        Column("cache", lambda r: r.a.first.cache, 8, "left", key=True),
    ]
    shown = [c for c in further if len({c.cell(row) for row in rows}) > 1 or c.rank < _OPTIONAL]
    others = [other for other in BASES if other != basis and any(other in r.ratios for r in rows)]
    return [
        *([] if len(set(map(_problem, rows))) == 1 else problem),
        Column("strategy", _strategy, 1, "left", key=True),
        *shown,
        Column(f"base [{unit.name}]", lambda r: units.digits(unit.scale(r.b.seconds)), 4),
        Column(f"new [{unit.name}]", lambda r: units.digits(unit.scale(r.a.seconds)), 4),
        Column("new/base", lambda r: tables.ratio_text(r.ratio), 2),
        Column("verdict", lambda r: r.verdict, 1, "left", style=_style),
        *(_other(other, 6 + rank) for rank, other in enumerate(others)),
    ]


def _other(basis: Basis, rank: int) -> Column[Row]:
    def cell(row: Row) -> str:
        ratio = row.ratios.get(basis)
        return tables.NOTHING if ratio is None else f"{ratio.value:.2f}"

    return Column(f"by {NAMES[basis]}", cell, rank)


def _problem(row: Row) -> str:
    return describe.short_name(label(row.a.first))


def _strategy(row: Row) -> str:
    """Return ``tiled nhwc ?``: one column, so that the ratio fits into 80 characters."""
    return doubts.marked(row.a.first.way, row.doubt)


def _style(row: Row) -> str:
    return VERDICT_STYLES[row.verdict]


def _machine_lines(each: Compared) -> Iterator[str]:
    """Yield what both sides have in common, what differs, and what is therefore compared."""
    facts = results_machines.facts(*each.hosts)
    same = [fact for fact in facts if not fact.differs and fact.base != results_machines.UNKNOWN]
    if same:
        yield "same: " + " · ".join(f"{fact.name} {fact.base}" for fact in same)
    for fact in facts:
        if fact.differs:
            yield f"differs: {fact.name}: {fact.base}, now {fact.new}"
    if each.rows:
        yield _spread_line(each)
    if each.choice.basis != "time":
        yield f"compared by {NAMES[each.choice.basis]}, not by seconds: {each.choice.reason}"


def _spread_line(each: Compared) -> str:
    """Return how much two runs of one program are taken to differ, and where that is from."""
    spread = each.spread
    text = f"between runs: {100 * spread.deviation:.1f} %"
    if f"{100 * spread.threaded:.1f}" != f"{100 * spread.deviation:.1f}":
        text += f" on one thread, {100 * spread.threaded:.1f} % on several"
    if spread.source == "rows":
        return f"{text}, as these rows show"
    if any(len(pool.measurements) > 1 for row in each.rows for pool in (row.a, row.b)):
        return f"{text}, where the files of a side do not show more"
    return f"{text}, assumed; several files of a side would show it"


def _rest(each: Compared) -> Iterator[str]:
    """Yield what has no row: results that are lost, and what only one side has."""
    for lost in each.lost:
        yield f"lost: {label(lost.new)}: {describe.exclusion_line(lost.new)}"
    if not each.rows:
        return
    for count, side in zip(each.only, ("base", "new files"), strict=True):
        if count:
            yield f"only in the {side}: {count} measurement{'s' if count > 1 else ''}"


def _nothing_matched(console: Console, each: Compared) -> None:
    """Print why nothing matches: what each side has."""
    reason, dimensions = each.unmatched
    say(console, f"Nothing matches: {reason}.", style="bold")
    for difference in dimensions:
        for side, values in (("base", difference.base), ("new", difference.new)):
            hanging(console, f"{side} has {difference.dimension}: ", _listed(values))


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
    return ", ".join(values[:MOST_VALUES]) + more


def _doubtful(row: Row) -> list[Measurement]:
    return [m for pool in (row.a, row.b) for m in pool.measurements if m.doubt is not None]


def to_csv(compared: Sequence[Compared]) -> Iterator[str]:
    """Yield a line for each row, and one for each result that is lost."""
    return csv_text(lambda: itertools.chain.from_iterable(map(_csv_rows, compared)))


def _csv_rows(each: Compared) -> Iterator[dict[str, Any]]:
    for row in _ordered(each):
        m, ratio = row.a.first, row.ratio
        yield {
            **_subject(each, m),
            "basis": each.choice.basis,
            "base_s": row.b.seconds,
            "new_s": row.a.seconds,
            "ratio": ratio.value,
            "ci95_low": ratio.low,
            "ci95_high": ratio.high,
            "rounds": ratio.rounds,
            "verdict": row.verdict,
            "doubt": row.doubt,
            **{f"ratio_{basis}": row.ratios[basis].value for basis in BASES if basis in row.ratios},
        }
    for lost in each.lost:
        more = {"base_s": lost.base.seconds, "verdict": lost.new.status, "doubt": lost.new.reason}
        yield {**_subject(each, lost.new), **more}


def _subject(each: Compared, m: Measurement) -> dict[str, Any]:
    return {
        "base": each.base.name,
        "new": each.new.name,
        "problem.kind": m.problem["kind"],
        "problem.descriptor": m.problem["descriptor"],
        "problem.name": m.problem["name"],
        "strategy": m.strategy,
        "layout": m.layout,
        "dtype": m.dtype,
        "threads": m.threads,
        "cache": m.cache,
        "isa": m.isa,
        "environment": m.environment,
    }


def to_markdown(compared: Sequence[Compared], *, every: bool) -> Iterator[str]:
    """Yield a section for each new side: the machines, and the rows that changed or all."""
    for each in compared:
        yield f"### {each.new.name} against {each.base.name}\n\n"
        yield "".join(f"- {line}\n" for line in _machine_lines(each)) + "\n"
        rows = _ordered(each) if every else each.changed
        if rows:
            yield f"{_title(each, rows)}\n\n"
            yield markdown_table(columns(each, rows), rows) + "\n"
        same, undecided = len(each.of("same")), len(each.of("undecided"))
        yield f"{len(each.rows)} measurements: {len(each.changed)} changed, {same} the same, "
        yield f"{undecided} undecided.\n\n"
        yield "".join(f"- {line}\n" for line in _rest(each))
