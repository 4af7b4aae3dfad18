"""``compare results``: saved measurements against earlier ones, row by row.

Measurements match if problem, strategy, layout, type, threads, cache and instruction set are the
same. A change is called one only if its whole interval is beyond `stats.SAME_WITHIN`. The interval
has the spread of the rounds and the spread of the runs (`results_spread`);
`tests/benchmarks/result_rates.py` has the rates of false alarms and of detected changes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from convprof.results import envelope
from convprof.stats import Ratio, Verdict
from convprof.studies.compare import results_basis, results_machines, results_spread
from convprof.studies.compare.results_basis import BASES, Basis, Choice, Pool
from convprof.studies.compare.results_matching import (
    Difference,
    Measured,
    flat,
    matched,
    nothing_matched,
)
from convprof.studies.comparison import Comparison, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.results_files import Side
    from convprof.studies.compare.results_machines import Host
    from convprof.studies.compare.results_spread import RunSpread

_NO_BASIS: dict[Basis, str] = {
    "time": "a side has no time",
    "cycles": "core cycles are not known on both sides",
    "peak": "no share of the peak is known on both sides",
}
_MEMORY = "memory limits it, and shares of the peak do not compare memories"


@dataclass(frozen=True)
class Row(Comparison[Pool]):
    """One thing that was measured on both sides: ``a`` is the new time, ``b`` the base's."""

    ratios: dict[Basis, Ratio]
    """By everything that both sides have; `ratio` is the one that decides."""
    lacks: str | None = None
    """Why what should be compared cannot be."""

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded."""
        return super().doubt or self.lacks

    @property
    def verdict(self) -> Verdict:
        """What can be said of the new time: a change is a whole interval beyond 2 %."""
        return "undecided" if self.doubt else self.ratio.change

    def is_slower_by(self, share: float) -> bool:
        """Whether the whole interval is beyond a slow-down by that share."""
        return self.doubt is None and self.ratio.is_slower_by(share)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        m = self.a.first
        return {
            **_subject(m),
            "base": _side_json(self.b),
            "new": _side_json(self.a),
            **figures(self.ratio, self.doubt),
            "verdict": self.verdict,
            "ratios": {basis: _figures(self.ratios.get(basis)) for basis in BASES},
        }


@dataclass(frozen=True)
class Lost:
    """A measurement of the base whose strategy computes wrongly or fails in the new files."""

    base: Pool
    new: Measurement

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        return {
            **_subject(self.new),
            "base": _side_json(self.base),
            "status": self.new.status,
            "reason": self.new.reason,
        }


@dataclass(frozen=True)
class Compared:
    """A new side against the base."""

    base: Side
    new: Side
    hosts: tuple[Host, Host]
    """Of the base and of the new side."""
    choice: Choice
    spread: RunSpread
    """How much runs usually differ, by what is compared."""
    rows: list[Row]
    lost: list[Lost]
    only: tuple[int, int]
    """Of how many measurements only the base has a time, and only the new side."""
    unmatched: tuple[str, list[Difference]]
    """Where nothing matches: why, and what both sides have; empty elsewhere."""

    def of(self, verdict: Verdict) -> list[Row]:
        """Return the rows with a verdict, the largest change first."""
        rows = [row for row in self.rows if row.verdict == verdict]
        return sorted(rows, key=lambda row: row.ratio.value, reverse=verdict != "faster")

    @property
    def changed(self) -> list[Row]:
        """The slower rows and then the faster ones, the largest changes first."""
        return [*self.of("slower"), *self.of("faster")]

    def failing(self, share: float) -> list[Row]:
        """Return the rows whose whole interval is beyond a slow-down by that share."""
        rows = [row for row in self.rows if row.is_slower_by(share)]
        return sorted(rows, key=lambda row: row.ratio.value, reverse=True)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        base, new = self.hosts
        facts = results_machines.facts(base, new)
        return {
            "name": self.new.name,
            "files": [file.source for file in self.new.files],
            "host": new.to_json(),
            "differences": [
                {"name": fact.name, "base": fact.base, "new": fact.new}
                for fact in facts
                if fact.differs
            ],
            "basis": self.choice.basis,
            "basis_reason": self.choice.reason or None,
            "run_spread": asdict(self.spread),
            "rows": [row.to_json() for row in self.rows],
            "lost": [lost.to_json() for lost in self.lost],
            "only_base": self.only[0],
            "only_new": self.only[1],
            "unmatched": {
                "reason": self.unmatched[0] or None,
                "differences": [each._asdict() for each in self.unmatched[1]],
            },
        }


def compare(base: Side, new: Side, basis: Basis | None = None) -> Compared:
    """Return the rows of both sides; ``basis``: what to compare, None for what suits them."""
    ours, theirs = Measured.of(base), Measured.of(new)
    pairs, only = matched(ours, theirs)
    hosts = (results_machines.host(base), results_machines.host(new))
    same = results_machines.same_machine(*hosts)
    choice = results_basis.choose(pairs, same_machine=same)
    if basis is not None:
        choice = Choice(
            basis, "" if basis == choice.basis == "time" else "as you chose", is_forced=True
        )
    spreads, ratios = _ratios(pairs)
    rows = [
        _row(b, n, choice, of_pair, same_machine=same)
        for (b, n), of_pair in zip(pairs, ratios, strict=True)
    ]
    lost = [
        Lost(Pool.of(flat(ours.timed[key])), theirs.failed[key])
        for key in only[0]
        if key in theirs.failed
    ]
    missing = [key for key in only[0] if key not in theirs.failed]
    unmatched = ("", []) if rows or lost else nothing_matched(ours.timed, theirs.timed)
    counts = (len(missing), len(only[1]))
    return Compared(base, new, hosts, choice, spreads[choice.basis], rows, lost, counts, unmatched)


def document(compared: Sequence[Compared], fail_on: str | None, answer: Answer) -> dict[str, Any]:
    """Return the comparisons with one base in JSON types."""
    first = compared[0]
    return envelope(
        "comparison",
        base={
            "name": first.base.name,
            "files": [file.source for file in first.base.files],
            "host": first.hosts[0].to_json(),
        },
        fail_on=fail_on,
        comparisons=[each.to_json() for each in compared],
        answer=answer.to_json(),
    )


Ratios = dict["Basis", Ratio]


def _ratios(pairs: Sequence[tuple[Pool, Pool]]) -> tuple[dict[Basis, RunSpread], list[Ratios]]:
    """Return the usual spread of runs by each basis, and the ratios of each pair with it."""
    spreads: dict[Basis, RunSpread] = {}
    by_pair: list[Ratios] = [{} for _ in pairs]
    for basis in BASES:
        paired = [(results_basis.ratio(new, base, basis), new, base) for base, new in pairs]
        known = [(ratio, new, base) for ratio, new, base in paired if ratio is not None]
        spreads[basis] = results_spread.of_rows(known)
        for at, (ratio, new, base) in enumerate(paired):
            if ratio is not None:
                by_pair[at][basis] = results_spread.widened(ratio, new, base, basis, spreads[basis])
    return spreads, by_pair


def _row(base: Pool, new: Pool, choice: Choice, ratios: Ratios, *, same_machine: bool) -> Row:
    fallback = Ratio(new.seconds / base.seconds, None, None, 1)
    ratio = ratios.get(choice.basis)
    if ratio is None:
        return Row(new, base, fallback, ratios, _NO_BASIS[choice.basis])
    lacks = None
    if (
        not choice.is_forced
        and choice.basis != "time"
        and (base.is_memory_bound or new.is_memory_bound)
    ):
        if not same_machine:
            lacks = _MEMORY
        elif "time" in ratios:
            ratio = results_basis.between(ratio, ratios["time"])
    return Row(new, base, ratio, ratios, lacks)


def _subject(m: Measurement) -> dict[str, Any]:
    return {
        "problem": m.problem,
        "strategy": m.strategy,
        "layout": m.layout,
        "dtype": m.dtype,
        "threads": m.threads,
        "cache": m.cache,
        "isa": m.isa,
        "environment": m.environment,
    }


def _figures(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {name: value for name, value in figures(ratio).items() if name in {"ratio", "ci95"}}


def _side_json(pool: Pool) -> dict[str, Any]:
    return {
        "seconds": pool.seconds,
        "measurements": len(pool.measurements),
        "peak_fraction": pool.first.peak_fraction,
        "doubt": pool.doubt,
    }
