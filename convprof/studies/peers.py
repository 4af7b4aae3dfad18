"""``compare peers``: convprof's own best strategy against the libraries people use."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.measure.session import Entry, Session, Settings
from convprof.strategies import registry
from convprof.strategies.base import LAYOUTS
from convprof.strategies.unfused_epilogue import ways
from convprof.studies.run import Choice, contestants, with_peak

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.stats import Ratio, Verdict
    from convprof.strategies.base import Strategy

OURS = "auto"
"""What stands for us unless others are named: the best of our own, chosen for the problem."""
LARGEST_ERROR = 1e-4
"""``max_rel_error`` up to which two f32 results are worth the same."""

_TURNED: dict[Verdict, Verdict] = {"faster": "slower", "slower": "faster"}


@dataclass(frozen=True)
class Standing:
    """One problem on one number of threads: our best strategy and each library's best layout."""

    ours: Measurement
    peers: tuple[Measurement, ...]
    """At least one, fastest first."""
    ratio: Ratio
    """The fastest peer's time over ours: how many times as long the peer takes."""

    @property
    def peer(self) -> Measurement:
        """The fastest library."""
        return self.peers[0]

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.ours.threads

    @property
    def verdict(self) -> Verdict:
        """What can be said of ours."""
        return _TURNED.get(self.ratio.verdict, self.ratio.verdict)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        return {
            "kind": "peers",
            "problem": self.ours.problem,
            "threads": self.threads,
            "a": _side(self.ours),
            "b": _side(self.peer),
            "ratio": dataclasses.asdict(self.ratio),
            "verdict": self.verdict,
        }


class Peers:
    """One problem: our strategies and the libraries, in each layout, in one session.

    A choice that names strategies of ours, or libraries, restricts these; else our strategies but
    for the first rungs, and all libraries, take part.
    """

    def __init__(
        self, problem: Problem, choice: Choice, settings: Settings, watch: NoiseWatch | None = None
    ) -> None:
        self.problem = problem
        self.choice = choice
        chosen = dataclasses.replace(
            choice, strategies=_strategies(problem, choice), layouts=LAYOUTS
        )
        self.session = Session(contestants(problem, chosen), settings, watch)

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        return self.session.events()

    def measurements(self) -> list[Measurement]:
        """Return all results so far."""
        return [
            with_peak(measurement, self.choice.isa) for measurement in self.session.measurements()
        ]

    @property
    def libraries(self) -> frozenset[str]:
        """The names of the libraries compared with."""
        return libraries(self.problem, self.choice)

    def standings(self) -> list[Standing]:
        """Return, per number of threads, our best against the fastest library so far.

        Best by the median, among results no less exact than 1e-4; either side is the best of
        several, so that luck favours neither.
        """
        exact = [
            entry
            for entry in self.session.entries
            if entry.samples and entry.error <= LARGEST_ERROR
        ]
        found = []
        for threads in dict.fromkeys(entry.contestant.setting.threads for entry in exact):
            entries = [e for e in exact if e.contestant.setting.threads == threads]
            ours = [e for e in entries if not e.contestant.strategy.role.is_peer]
            peers = _best_layouts([e for e in entries if e.contestant.strategy.role.is_peer])
            if ours and peers:
                found.append(self._standing(min(ours, key=_median_s), peers))
        return found

    def _standing(self, ours: Entry, peers: list[Entry]) -> Standing:
        # Whoever has samples has one of the first round: there is always something in common.
        common = sorted(ours.samples.keys() & peers[0].samples.keys())
        ratio = stats.paired_ratio(
            [peers[0].samples[number].seconds for number in common],
            [ours.samples[number].seconds for number in common],
        )
        mine, *theirs = (
            with_peak(self.session.measurement(e), self.choice.isa) for e in (ours, *peers)
        )
        return Standing(mine, tuple(theirs), ratio)


def libraries(problem: Problem, choice: Choice) -> frozenset[str]:
    """Return the names of the libraries that a problem is compared with."""
    named = registry.named(problem.kind, choice.strategies)
    return frozenset(s.name for s in (*_libraries(problem), *named) if s.role.is_peer)


@dataclass(frozen=True)
class Summary:
    """Several problems on one number of threads."""

    threads: int
    problems: int
    mean: float
    """Geometric mean of the ratios: how many times as long the fastest library takes."""
    worst: Standing
    """The one with the smallest ratio."""


def summaries(standings: Sequence[Standing]) -> list[Summary]:
    """Return one summary per number of threads, in the order in which they come."""
    found = []
    for threads in dict.fromkeys(standing.threads for standing in standings):
        those = [standing for standing in standings if standing.threads == threads]
        ratios = [standing.ratio.value for standing in those]
        worst = min(those, key=lambda standing: standing.ratio.value)
        found.append(Summary(threads, len(those), stats.geometric_mean(ratios), worst))
    return found


def _strategies(problem: Problem, choice: Choice) -> tuple[str, ...]:
    every = registry.strategies(problem.kind)
    named = registry.named(problem.kind, choice.strategies)
    ours = (
        [s for s in named if not s.role.is_peer]
        or [s for s in every if s.name == OURS]
        or [s for s in every if s.role.is_listed and not s.role.is_peer]
    )
    libraries = [s for s in named if s.role.is_peer] or _libraries(problem)
    return tuple(strategy.name for strategy in (*ours, *libraries))


def _libraries(problem: Problem) -> list[Strategy[Any]]:
    """Return the libraries compared with: an epilogue is computed in passes where not fused."""
    compared = [s for s in registry.strategies(problem.kind) if s.role.is_compared]
    return [ways(strategy, problem)[0] for strategy in compared]


def _median_s(entry: Entry) -> float:
    return stats.median([sample.seconds for sample in entry.samples.values()])


def _best_layouts(entries: Sequence[Entry]) -> list[Entry]:
    """Return each strategy's fastest entry, the fastest strategy first."""
    best: dict[str, Entry] = {}
    for entry in sorted(entries, key=_median_s):
        best.setdefault(entry.contestant.strategy.name, entry)
    return list(best.values())


def _side(measurement: Measurement) -> dict[str, Any]:
    return {
        "strategy": measurement.strategy,
        "layout": measurement.layout,
        "threads": measurement.threads,
    }
