"""The output of ``compare peers``: all contestants of one problem, or a row per problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import stats, units
from convprof.render import describe, doubts, notes, tables
from convprof.render.columns import BEST, VERDICT_STYLES, Column, print_table
from convprof.render.console import say
from convprof.render.run import hidden_report
from convprof.studies import shortlist
from convprof.studies.compare.peers import totals
from convprof.studies.run_answer import label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.compare.peers import Standing, Total

NOTHING_COMPARED = "No problem was computed by a library and by convprof: nothing to compare."


def peers_report(
    console: Console,
    measurements: Sequence[Measurement],
    standings: Sequence[Standing],
    libraries: AbstractSet[str],
    *,
    every: bool = False,
) -> None:
    """Print the contestants of one problem, fastest first, and the refusals."""
    timed = shortlist.timed(measurements)
    if timed:
        rows = timed if every else shortlist.shortlist(timed)
        title = describe.problem_line(rows[0].problem, rows[0].dtype)
        best = shortlist.surely_fastest(timed)
        columns = _contestant_columns(rows, libraries)
        print_table(console, title, columns, rows, lambda m: BEST if m is best else "")
        hidden_report(console, timed, rows)
        _remarks(console, doubts.line(rows), rows)
    _exclusions(console, tables.excluded(measurements))
    if not standings:
        say(console, NOTHING_COMPARED, style="bold")


def summary_report(
    console: Console,
    measurements: Sequence[Measurement],
    standings: Sequence[Standing],
    libraries: AbstractSet[str],
    counts: Mapping[tuple[str, ...], int],
) -> None:
    """Print a row per problem and number of threads, and totals by the counts of problems."""
    if standings:
        dtype = tables.types_words(each.ours for each in standings)
        title = f"convprof against the fastest library · {dtype}"
        print_table(console, title, _standing_columns(standings), standings)
        sides = [m for s in standings for m in (s.ours, s.peer)]
        _remarks(console, doubts.line_of_comparisons(standings), sides)
        say(console, *map(total_line, totals(standings, counts)))
    # All refusals of our own strategies would fill pages; they are in the document.
    excluded = tables.excluded(measurements)
    _exclusions(console, [m for m in excluded if m.status != "refused" or m.strategy in libraries])
    if not standings:
        say(console, NOTHING_COMPARED, style="bold")


def total_line(total: Total) -> str:
    """Return ``total of 24 problems, each once, on 1 thread: convprof 9.1 ms, …``."""
    on = f"{total.threads} thread{'s' if total.threads > 1 else ''}"
    parts = [f"convprof {units.time(total.ours_s)}"]
    parts.append(f"the fastest library of each {units.time(total.fastest_s)}")
    parts += [f"{name} {units.time(seconds)}" for name, seconds in total.libraries]
    how = "each once"
    if total.count > total.problems:
        how = f"each as often as it was named ({total.count} layers)"
    return f"total of {total.problems} problems, {how}, on {on}: {', '.join(parts)}"


def _remarks(console: Console, doubt: str | None, rows: Sequence[Measurement]) -> None:
    say(console, *filter(None, [doubt]), *notes.lines(rows))


def _contestant_columns(
    rows: Sequence[Measurement], libraries: AbstractSet[str]
) -> list[Column[Measurement]]:
    unit = units.time_unit([m.time_s.median for m in rows if m.time_s])
    layout: list[Column[Measurement]] = [
        Column("layout", lambda m: m.layout or tables.NOTHING, 4, "left", key=True),
    ]
    isa: list[Column[Measurement]] = [
        Column("ISA", lambda m: m.isa or tables.NOTHING, 4, "left", key=True),
    ]
    tiles: list[Column[Measurement]] = [Column("% tiles", tables.tile_cell, 7)]
    return [
        Column("by", lambda m: "library" if m.strategy in libraries else "convprof", 3, "left"),
        Column("strategy", lambda m: doubts.marked(m.strategy, m.doubt), 1, "left", key=True),
        *(layout if any(m.layout for m in rows) else []),
        *(isa if tables.several_isas(rows) else []),
        Column("threads", lambda m: str(m.threads), 5, key=True),
        Column(f"time [{unit.name}]", lambda m: tables.time_cell(m, unit), 2),
        Column("GFLOP/s", tables.gflops_cell, 6),
        Column("% peak", tables.peak_cell, 7),
        *(tiles if tables.has_tiles(rows) else []),
    ]


def _standing_columns(standings: Sequence[Standing]) -> list[Column[Standing]]:
    # The smallest problem may take nanoseconds and the next milliseconds.
    medians = [m.time_s.median for s in standings for m in (s.ours, *s.peers) if m.time_s]
    unit = units.time_unit([stats.median(medians)])
    dtype: list[Column[Standing]] = [
        Column("type", lambda s: tables.type_name(s.ours), 1, "left", key=True)
    ]
    columns: list[Column[Standing]] = [
        Column("problem", lambda s: doubts.marked(_problem(s.ours), s.doubt), 1, "left"),
        *(dtype if tables.several_dtypes(each.ours for each in standings) else []),
        Column("threads", lambda s: str(s.threads), 3, key=True),
        Column("convprof's", lambda s: s.ours.way, 6, "left"),
        Column(f"convprof [{unit.name}]", lambda s: _time_cell(s.ours, unit), 5),
        Column("library", lambda s: s.peer.way, 7, "left", key=True),
        Column(f"library [{unit.name}]", lambda s: _time_cell(s.peer, unit), 5),
        Column("library/convprof", _ratio_cell, 2),
        Column("convprof is", lambda s: s.verdict, 4, "left", style=_verdict_style),
    ]
    names = dict.fromkeys(peer.strategy for s in standings for peer in s.peers)
    for rank, name in enumerate(names):
        columns.append(Column(f"{name} [{unit.name}]", _peer_cell(name, unit), 8 + rank))
    return columns


def _verdict_style(standing: Standing) -> str:
    return VERDICT_STYLES[standing.verdict]


def _time_cell(measurement: Measurement | None, unit: units.Unit) -> str:
    if measurement is None or measurement.time_s is None:
        return tables.NOTHING
    return units.digits(unit.scale(measurement.time_s.median))


def _peer_cell(name: str, unit: units.Unit) -> Callable[[Standing], str]:
    def cell(standing: Standing) -> str:
        peers = (peer for peer in standing.peers if peer.strategy == name)
        return _time_cell(next(peers, None), unit)

    return cell


def _exclusions(console: Console, excluded: Sequence[Measurement]) -> None:
    """Print each reason once: a library that is not installed refuses in every setting."""
    refused = [m for m in excluded if m.status == "refused"]
    say(console, *describe.refusal_lines(refused), style="dim")
    others = (m for m in excluded if m.status != "refused")
    lines = dict.fromkeys(f"{_problem(m)}: {describe.exclusion_line(m)}" for m in others)
    say(console, *lines, style="bold red")


def _ratio_cell(standing: Standing) -> str:
    """Return the ratio of the library's time to ours."""
    return tables.ratio_text(standing.ratio.inverse)


def _problem(measurement: Measurement) -> str:
    return describe.short_name(label(measurement))
