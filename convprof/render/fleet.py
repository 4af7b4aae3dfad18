"""What ``fleet`` prints: problems x hosts, a row per host, and what has failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import doubts, tables
from convprof.render.columns import BEST, Column, print_table, shortened
from convprof.render.console import say
from convprof.render.export import flat
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.run_answer import label, label_of
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.fleet.table import HostInfo, Row, Table, Total
    from convprof.units import Unit

_LONGEST_NAME = 40
_MOST_REASONS = 12
_PEAK, _STRATEGIES, _CYCLES = 1000, 1500, 2000
"""Ranks of columns: the times of all hosts are more important than shares and cycles."""


def fleet_report(console: Console, table: Table, prices: Mapping[str, float]) -> None:
    """Print the problems, the hosts, and the failures."""
    totals = table.totals(prices)
    rows = [row for row in table.ordered if any(cell.best for cell in row.cells.values())]
    if rows:
        print_table(console, _title(table), problem_columns(table, rows, totals), rows)
        best = [cell.best for row in rows for cell in row.cells.values() if cell.best]
        doubt = doubts.line(best, label)
        if doubt is not None:
            say(console, doubt)
        console.print()
    print_table(
        console,
        _hosts_title(table),
        host_columns(totals, prices),
        totals,
        lambda total: BEST if total is totals[0] and _is_best(totals) else "",
    )
    remark = table.remark()
    say(console, *_reasons(table), *([f"{remark}."] if remark else []))


def _is_best(totals: Sequence[Total]) -> bool:
    """Whether the first host is the fastest of several, without a doubt."""
    timed = [total for total in totals if total.seconds is not None]
    return len(timed) > 1 and not any(total.doubtful for total in timed)


def _title(table: Table) -> str:
    dtypes = {_type(row) for row in table.ordered}
    how = _of_one(_strategies(table.ordered)) or "its fastest strategy"
    where = "" if table.spread else " on each host"
    return f"each problem{where}, with {how} · {_of_one(dtypes) or 'several types'}"


def _of_one(names: set[str]) -> str | None:
    """Return the name that all rows share; None if they differ."""
    return next(iter(names)) if len(names) == 1 else None


def _type(row: Row) -> str:
    """Return the types of a row; in a file of an older version only the results have them."""
    best = next((cell.best for cell in row.cells.values() if cell.best), None)
    return tables.types_of(row.problem, row.dtype or (best.dtype if best else tables.NOTHING))


def _strategies(rows: Iterable[Row]) -> set[str]:
    """Return the strategies that are the fastest somewhere."""
    return {cell.best.strategy for row in rows for cell in row.cells.values() if cell.best}


def _hosts_title(table: Table) -> str:
    common = table.common
    count = sum(row.count for row in common)
    each = "each once" if count == len(common) else f"{count} with repetitions"
    problems = f"{len(common)} problem{'' if len(common) == 1 else 's'}"
    if table.spread:
        names = ", ".join(sorted(table.controls))
        return f"identical hosts: {names} · time and share of {problems}, {each}"
    return f"hosts · time and share of {problems} that all hosts finished, {each}"


def problem_columns(
    table: Table, rows: Sequence[Row], totals: Sequence[Total]
) -> list[Column[Row]]:
    """Return the columns of the problems; the hosts in the order of their totals."""
    every = [cell.best for row in rows for cell in row.cells.values() if cell.best]
    unit = units.time_unit(map(seconds, every))
    cycles = units.count_unit([m.cycles.per_call for m in every if m.cycles])
    named = len(_strategies(rows)) > 1
    dtype: list[Column[Row]] = [Column("type", _type, 1, "left")]
    repeated: list[Column[Row]] = [Column("count", lambda r: str(r.count), 500)]
    several: list[Column[Row]] = [Column("fastest", lambda r: r.fastest or tables.NOTHING, 1)]
    where: list[Column[Row]] = [Column("host", _measured_on, 3, "left")]
    return [
        Column(
            "problem",
            lambda r: shortened(label_of(r.problem), _LONGEST_NAME),
            0,
            "left",
            key=True,
            whole=lambda r: label_of(r.problem),
        ),
        *(dtype if len({_type(row) for row in rows}) > 1 else []),
        *(repeated if any(row.count > 1 for row in rows) else []),
        *(
            column
            for at, total in enumerate(totals)
            for column in _of_host(total.host, at, (unit, cycles), named=named)
        ),
        *(several if len(totals) > 1 else []),
        *(where if table.spread else []),
    ]


def _measured_on(row: Row) -> str:
    return row.measured_on or tables.NOTHING


def _of_host(
    host: HostInfo, at: int, scales: tuple[Unit, Unit], *, named: bool
) -> Iterator[Column[Row]]:
    """Yield the columns of a host. ``scales``: of times and of cycles. ``named``: the strategy."""
    unit, cycles = scales

    def best(row: Row) -> Measurement | None:
        cell = row.cells.get(host.name)
        return None if cell is None else cell.best

    def time(row: Row) -> str:
        measurement = best(row)
        if measurement is None:
            cell = row.cells.get(host.name)
            return tables.NOTHING if cell is None else cell.status
        return doubts.before(units.digits(unit.scale(seconds(measurement))), measurement.doubt)

    def peak(row: Row) -> str:
        measurement = best(row)
        return tables.NOTHING if measurement is None else tables.peak_cell(measurement)

    def count(row: Row) -> str:
        measurement = best(row)
        if measurement is None or measurement.cycles is None:
            return tables.NOTHING
        return units.digits(cycles.scale(measurement.cycles.per_call))

    def strategy(row: Row) -> str:
        measurement = best(row)
        return tables.NOTHING if measurement is None else measurement.way

    yield Column(f"{host.name} [{unit.name}]", time, 2 + at)
    yield Column("% peak", peak, _PEAK + at)
    if named:
        yield Column("strategy", strategy, _STRATEGIES + at, "left")
    yield Column(f"{cycles.name}cycles", count, _CYCLES + at)


def host_columns(totals: Sequence[Total], prices: Mapping[str, float]) -> list[Column[Total]]:
    """Return the columns of the hosts. ``prices``: per hour, by host."""
    unit = units.table_unit([t.seconds for t in totals if t.seconds is not None])
    cycles = units.count_unit([t.cycles for t in totals if t.cycles is not None])
    missing: list[Column[Total]] = [
        Column("refused", lambda t: str(t.refused), 4),
        Column("failed", lambda t: str(t.failed), 4),
        Column("missing", lambda t: str(t.missing), 4),
    ]
    price: list[Column[Total]] = [
        Column("price of 1 h", lambda t: _number(prices.get(t.host.name)), 6),
        Column("price of 10^6 runs", lambda t: _number(t.price_per_million), 2),
    ]
    return [
        Column("host", lambda t: t.host.name, 1, "left", key=True),
        Column("CPU", lambda t: _cpu(t.host), 7, "left"),
        Column("finished", lambda t: str(t.finished), 5),
        *(column for column in missing if _any(totals, column.heading)),
        Column(f"time [{unit.name}]", lambda t: _scaled(t.seconds, unit), 1),
        Column("% peak", lambda t: _percent(t.peak_fraction), 3),
        Column(f"{cycles.name}cycles", lambda t: _scaled(t.cycles, cycles), 6),
        *([Column("fastest in", lambda t: str(t.wins), 4)] if len(totals) > 1 else []),
        *(price if any(t.price_per_million is not None for t in totals) else []),
    ]


def _any(totals: Sequence[Total], name: str) -> bool:
    return any(getattr(total, name) for total in totals)


def _cpu(host: HostInfo) -> str:
    cores = f", {host.cores} core{'' if host.cores == 1 else 's'}" if host.cores else ""
    return f"{host.brand or tables.NOTHING}{cores}"


def _number(value: float | None) -> str:
    return tables.NOTHING if value is None else units.digits(value)


def _scaled(value: float | None, unit: Unit) -> str:
    return tables.NOTHING if value is None else units.digits(unit.scale(value))


def _percent(share: float | None) -> str:
    return tables.NOTHING if share is None else f"{100 * share:.1f}"


def _reasons(table: Table) -> list[str]:
    """Return each reason of failures and refusals once, with its host and its problems."""
    several = len({_type(row) for row in table.ordered}) > 1
    counts: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    for row in table.ordered:
        for host, cell in row.cells.items():
            if cell.status != "finished":
                key = (cell.status, row.measured_on or host, cell.reason or "")
                counts[key] += 1
                name = label_of(row.problem)
                first.setdefault(key, f"{name} {_type(row)}" if several else name)
    lines = []
    for (status, host, reason), count in counts.most_common(_MOST_REASONS):
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"{status} on {host}: {first[status, host, reason]}{more}: {reason}")
    if len(counts) > _MOST_REASONS:
        lines.append(f"{len(counts) - _MOST_REASONS} more reasons: --json has them")
    return lines


def to_csv(table: Table, prices: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each problem on each host."""
    return csv_text(lambda: _csv_rows(table, prices))


def _csv_rows(table: Table, prices: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for row in table.ordered:
        for name, cell in row.cells.items():
            host = table.hosts[name]
            yield {
                "host": row.measured_on or name,
                "brand": host.brand,
                "price_per_hour": prices.get(name),
                "problem.kind": row.problem["kind"],
                "problem.descriptor": row.problem["descriptor"],
                "problem.name": row.problem["name"],
                "count": row.count,
                "dtype": row.dtype,
                "fastest": row.fastest == name,
                **({} if cell.best is None else flat(cell.best)),
                "status": cell.status,
                "reason": cell.reason,
            }


def to_markdown(table: Table, prices: Mapping[str, float]) -> Iterator[str]:
    """Yield the problems and the hosts as tables."""
    totals, rows = table.totals(prices), table.ordered
    yield f"### {_title(table)}\n\n"
    yield markdown_table(problem_columns(table, rows, totals), rows) + "\n"
    yield f"### {_hosts_title(table)}\n\n"
    yield markdown_table(host_columns(totals, prices), totals) + "\n"
    yield "".join(f"- {line}\n" for line in _reasons(table))
