"""The results of a fleet: problems x hosts, the totals of each host, and prices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof.results import Measurement, envelope, problem_key
from convprof.studies import shortlist
from convprof.studies.fleet import control
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.studies.answer import Answer
    from convprof.studies.fleet.records import Part
    from convprof.studies.fleet.reply import Reply, Status

KIND = "fleet_table"
ANY_HOST = "any host"
"""The column of several identical hosts."""
MILLION = 10**6
HOUR_S = 3600.0


@dataclass(frozen=True)
class Cell:
    """A problem on a host."""

    status: Status
    reason: str | None = None
    best: Measurement | None = None
    """The fastest strategy, in doubt if another one may be faster; None without a time."""


@dataclass
class Row:
    """A problem on all hosts."""

    problem: dict[str, Any]
    count: int
    """How often the suite has it."""
    cells: dict[str, Cell] = field(default_factory=dict)
    dtype: str = ""
    """The element types; empty in a file of an older version."""
    measured_on: str | None = None
    """Which of several identical hosts has measured it."""

    @property
    def fastest(self) -> str | None:
        """The host with the shortest time; None unless several hosts have one, none in doubt."""
        best = {host: cell.best for host, cell in self.cells.items() if cell.best}
        if len(best) == 1 or any(m.doubt is not None for m in best.values()):
            return None
        return min(best, key=lambda host: seconds(best[host]), default=None)


@dataclass(frozen=True)
class HostInfo:
    """The machine that a host is, as its last result says."""

    name: str
    key: str | None = None
    brand: str | None = None
    cores: int | None = None


@dataclass(frozen=True)
class Total:
    """One host over the suite."""

    host: HostInfo
    finished: int
    refused: int
    failed: int
    missing: int
    """Problems without a line in the file."""
    seconds: float | None
    """Of the problems that all hosts have finished, each as often as the suite has it."""
    peak_fraction: float | None
    """The share of the host's own peak over these problems."""
    cycles: float | None
    wins: int
    """For how many problems the host is the fastest."""
    price_per_million: float | None
    """Of a million runs of these problems, in the currency of the price per hour."""
    doubtful: int
    """Times of these problems that are in doubt."""


@dataclass
class Table:
    """What the files of a fleet have."""

    problems: int = 0
    """How many the suite has."""
    spread: bool = False
    """Whether each problem was measured on one of several identical hosts: they are one column."""
    controls: dict[str, dict[str, float]] = field(default_factory=dict)
    """By identical host and contestant, the seconds of the control."""
    hosts: dict[str, HostInfo] = field(default_factory=dict)
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    """By problem, in the order of the suite."""
    places: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def add(self, part: Part, reply: Reply) -> None:
        """Take a line of a file; a later line of the same problem and host replaces it."""
        if self.spread:
            self._add_control(part, reply)
            if part.is_control:
                return
        host = ANY_HOST if self.spread else part.host
        key = (*problem_key(part.problem), part.dtype)
        row = self.rows.setdefault(key, Row(part.problem, part.count, dtype=part.dtype))
        self.places.setdefault(key, part.index)
        best = None
        if reply.document is not None:
            best = shortlist.fastest_of_problem(reply.document.measurements)
            self.hosts[host] = _info(host, reply.document.machine)
        else:
            self.hosts.setdefault(host, HostInfo(host))
        if best is not None:
            best = replace(best, problem=part.problem)
        row.cells[host] = Cell(reply.status, reply.reason, best)
        row.measured_on = part.host if self.spread else None

    def _add_control(self, part: Part, reply: Reply) -> None:
        if part.index == control.index_of(self.problems) and reply.document is not None:
            self.controls[part.host] = control.times_of(reply.document.measurements)

    def remark(self) -> str | None:
        """Return how far identical hosts differ; None where nothing is known."""
        middle = control.index_of(self.problems)
        of_control = [row for key, row in self.rows.items() if self.places[key] == middle]
        if not of_control:
            return None
        problem = of_control[0].problem
        return control.remark(str(problem["name"] or problem["descriptor"]), self.controls)

    @property
    def ordered(self) -> list[Row]:
        """The problems in the order of the suite."""
        return [self.rows[key] for key in sorted(self.rows, key=self.places.__getitem__)]

    @property
    def common(self) -> list[Row]:
        """The problems that have a time on every host that has any time."""
        timed = {
            name for row in self.rows.values() for name, cell in row.cells.items() if cell.best
        }
        return [
            row
            for row in self.ordered
            if timed and all(name in row.cells and row.cells[name].best for name in timed)
        ]

    def totals(self, prices: Mapping[str, float]) -> list[Total]:
        """Return the hosts, fastest first. ``prices``: per hour, by host."""
        common, rows = self.common, self.ordered
        every = [self._total(host, common, rows, prices) for host in self.hosts.values()]
        return sorted(every, key=lambda t: (t.seconds is None, t.seconds or 0.0, t.host.name))

    def _total(
        self,
        host: HostInfo,
        common: Sequence[Row],
        rows: Sequence[Row],
        prices: Mapping[str, float],
    ) -> Total:
        cells = [row.cells[host.name] for row in rows if host.name in row.cells]
        statuses = [cell.status for cell in cells]
        pairs = [
            (best, row.count)
            for row in common
            if host.name in row.cells and (best := row.cells[host.name].best)
        ]
        time_s = sum(seconds(best) * count for best, count in pairs) if pairs else None
        price = prices.get(host.name)
        return Total(
            host,
            statuses.count("finished"),
            statuses.count("refused"),
            statuses.count("failed"),
            max(self.problems, len(rows)) - len(cells),
            time_s,
            _peak_fraction(pairs),
            _cycles(pairs),
            sum(row.fastest == host.name for row in rows),
            None if None in (price, time_s) else _per_million(price or 0.0, time_s or 0.0),
            sum(best.doubt is not None for best, _ in pairs),
        )


def _per_million(price: float, time_s: float) -> float:
    return price / HOUR_S * time_s * MILLION


def _peak_fraction(pairs: Sequence[tuple[Measurement, int]]) -> float | None:
    """Return the share of the peak of all together: the times at the peak over the times."""
    shares = [(best.peak_fraction, seconds(best) * count) for best, count in pairs]
    if not shares or any(share is None for share, _ in shares):
        return None
    return sum((share or 0.0) * time_s for share, time_s in shares) / sum(t for _, t in shares)


def _cycles(pairs: Sequence[tuple[Measurement, int]]) -> float | None:
    counted = [best.cycles.per_call * count for best, count in pairs if best.cycles]
    return sum(counted) if counted and len(counted) == len(pairs) else None


def _info(name: str, machine: dict[str, Any]) -> HostInfo:
    return HostInfo(name, machine["key"], machine.get("brand"), machine.get("physical_cores"))


def document(
    table: Table, prices: Mapping[str, float] | None = None, answer: Answer | None = None
) -> dict[str, Any]:
    """Return the table as a document of kind ``fleet_table``."""
    prices = prices or {}
    return envelope(
        KIND,
        problems=table.problems,
        spread=table.spread,
        controls=table.controls,
        hosts=[_total_json(total, prices) for total in table.totals(prices)],
        rows=[
            {
                "problem": row.problem,
                "dtype": row.dtype or None,
                "count": row.count,
                "fastest": row.fastest,
                "measured_on": row.measured_on,
                "hosts": {
                    name: {"status": cell.status, "reason": cell.reason, "measurement": cell.best}
                    for name, cell in row.cells.items()
                },
            }
            for row in table.ordered
        ],
        answer=None if answer is None else answer.to_json(),
    )


def _total_json(total: Total, prices: Mapping[str, float]) -> dict[str, Any]:
    fields = {name: getattr(total, name) for name in Total.__dataclass_fields__ if name != "host"}
    return {
        "name": total.host.name,
        "key": total.host.key,
        "brand": total.host.brand,
        "physical_cores": total.host.cores,
        "price_per_hour": prices.get(total.host.name),
        **fields,
    }
