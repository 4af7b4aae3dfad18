"""``compare peers``: convprof's own best strategy against libraries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import doubts, stats
from convprof.dtypes import types
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.peers.package import PEERS
from convprof.strategies.unfused_epilogue import variants
from convprof.studies import comparison
from convprof.studies.compare import isas
from convprof.studies.compare.contenders import contenders
from convprof.studies.comparison import BestComparison, best_doubt, ratio_of
from convprof.studies.run import Choice, OneProblem, contestants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.measure.participant import Participant
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.strategies.base import Strategy
    from convprof.studies.compare.isas import IsaComparison
    from convprof.studies.comparison import Comparison

KIND = "peers"
"""Of the comparisons in the result document."""
LARGEST_ERROR = 1e-4
"""Up to this ``max_rel_error``, and two roundings of the result, two results are equally exact."""


@dataclass(frozen=True)
class Standing(BestComparison):
    """One problem on one number of threads: our best strategy is ``a``, the fastest library ``b``.

    Of each library the best layout takes part.
    """

    others: tuple[Measurement, ...] = ()
    """The other libraries, fastest first."""

    @property
    def ours(self) -> Measurement:
        """Our best strategy."""
        return self.a

    @property
    def peer(self) -> Measurement:
        """The fastest library."""
        return self.b

    @property
    def peers(self) -> tuple[Measurement, ...]:
        """All libraries, fastest first."""
        return (self.b, *self.others)

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.a.threads

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded: another one may be the best of ours, or of libraries."""
        return super().doubt or doubts.of_best(self.b, self.others)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        return {**comparison.to_json(KIND, self.a.problem, self), "threads": self.threads}


class Peers(OneProblem):
    """One problem: our strategies and the libraries, in each layout, in one session.

    A choice that names strategies of ours, or libraries, restricts these; else our strategies but
    for the first rungs, and all libraries, take part.
    """

    def _contestants(self) -> list[Contestant]:
        return contestants(self.problem, chosen(self.problem, self.choice))

    def isas(self) -> list[IsaComparison]:
        """Return the instruction sets compared so far."""
        return isas.compared(self.session)

    @property
    def libraries(self) -> frozenset[str]:
        """The names of the libraries compared with."""
        return libraries(self.problem, self.choice)

    def standings(self) -> list[Standing]:
        """Return, per number of threads, our best against the fastest library so far.

        Best by the median (times in doubt come last), among results no less exact than 1e-4; either
        side is the best of several, so that luck favours neither.
        """
        exact = [
            participant
            for participant in self.session.participants
            if participant.samples
            and is_exact(participant.error, participant.contestant.setting.dtype)
        ]
        compared = []
        for threads in dict.fromkeys(
            participant.contestant.setting.threads for participant in exact
        ):
            participants = [e for e in exact if e.contestant.setting.threads == threads]
            ours = [e for e in participants if not e.contestant.strategy.role.is_peer]
            peers = [e for e in participants if e.contestant.strategy.role.is_peer]
            if ours and peers:
                compared.append(
                    self._standing(sorted(ours, key=self._rank), sorted(peers, key=self._rank))
                )
        return [standing for standing in compared if standing is not None]

    def _rank(self, participant: Participant) -> tuple[bool, float]:
        return self.session.measurement(participant).rank

    def _standing(self, ours: list[Participant], peers: list[Participant]) -> Standing | None:
        """Return the first of ours against the first library; both sides are fastest first."""
        ratio = ratio_of(ours[0], peers[0])
        if ratio is None:
            return None
        one, other = ([self.session.measurement(each) for each in side] for side in (ours, peers))
        doubt = best_doubt((one[0], one), (other[0], other))
        others = [self.session.measurement(each) for each in _best_layouts(peers)[1:]]
        return Standing(one[0], other[0], ratio, tuple(others), best_doubt=doubt)


def read(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[Standing]:
    """Return the comparisons with libraries in a document; one that does not fit is left out.

    The document names the fastest library only: the others are among the measurements.
    """

    def build(fields: dict[str, Any], sides: Comparison[Measurement]) -> Standing:
        others = tuple(_others(sides.a, sides.b, measurements))
        doubt = comparison.read_best_doubt(fields)
        return Standing(sides.a, sides.b, sides.ratio, others, best_doubt=doubt)

    return comparison.read(KIND, build, comparisons, measurements)


def _others(
    ours: Measurement, fastest: Measurement, measurements: Sequence[Measurement]
) -> list[Measurement]:
    """Return the other libraries' fastest exact results on the same problem and threads."""
    names = {s.name for s in registry.strategies(ours.problem["kind"]) if s.role.is_peer}
    best: dict[str, Measurement] = {}
    for m in sorted(measurements, key=lambda m: m.rank):
        same = (m.problem, m.threads, m.dtype) == (ours.problem, ours.threads, ours.dtype)
        exact = m.time_s is not None and is_exact(m.max_rel_error or 0.0, m.dtype)
        if same and exact and m.strategy in names and m.strategy != fastest.strategy:
            best.setdefault(m.strategy, m)
    return list(best.values())


def is_exact(error: float, dtype: str) -> bool:
    """Whether a result counts in a comparison: f32's limit, and the rounding of the result."""
    return error <= LARGEST_ERROR + 2 * types(dtype).result.epsilon


def chosen(problem: Problem, choice: Choice) -> Choice:
    """Return the choice with the strategies of both sides, in both layouts."""
    return dataclasses.replace(choice, strategies=_strategies(problem, choice), layouts=LAYOUTS)


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
    """The one in which the library takes the least time, by ours."""


def summaries(standings: Sequence[Standing]) -> list[Summary]:
    """Return one summary per number of threads, in order of appearance.

    Comparisons that are in doubt are left out.
    """
    by_threads = []
    clear = [standing for standing in standings if standing.doubt is None]
    for threads in dict.fromkeys(standing.threads for standing in clear):
        of_count = [standing for standing in clear if standing.threads == threads]
        ratios = [standing.ratio.inverse.value for standing in of_count]
        worst = max(of_count, key=lambda standing: standing.ratio.value)
        by_threads.append(Summary(threads, len(of_count), stats.geometric_mean(ratios), worst))
    return by_threads


@dataclass(frozen=True)
class Total:
    """The times of several problems added up, each as often as it counts, on some threads."""

    threads: int
    problems: int
    count: int
    """How often all problems together count."""
    ours_s: float
    fastest_s: float
    """Of the fastest library of each problem."""
    libraries: tuple[tuple[str, float], ...]
    """Each library that computed all of these problems, and its seconds."""


def totals(standings: Sequence[Standing], counts: Mapping[tuple[str, ...], int]) -> list[Total]:
    """Return a total per number of threads with several problems; doubtful ones are left out.

    ``counts``: how often a problem counts, by its key; once if it is not there.
    """

    def count(measurement: Measurement) -> int:
        return counts.get(measurement.problem_key, 1)

    def seconds(measurement: Measurement) -> float:
        return count(measurement) * _seconds(measurement)

    totals_by_threads = []
    clear = [standing for standing in standings if standing.doubt is None]
    for threads in dict.fromkeys(standing.threads for standing in clear):
        of_count = [standing for standing in clear if standing.threads == threads]
        if len(of_count) == 1:
            continue
        sums: dict[str, list[float]] = {}
        for peer in (peer for standing in of_count for peer in standing.peers):
            sums.setdefault(peer.strategy, []).append(seconds(peer))
        everywhere = {name: sum(each) for name, each in sums.items() if len(each) == len(of_count)}
        totals_by_threads.append(
            Total(
                threads,
                len(of_count),
                sum(count(standing.ours) for standing in of_count),
                sum(seconds(standing.ours) for standing in of_count),
                sum(seconds(standing.peer) for standing in of_count),
                tuple(sorted(everywhere.items(), key=lambda item: item[1])),
            )
        )
    return totals_by_threads


def _seconds(measurement: Measurement) -> float:
    return measurement.time_s.median if measurement.time_s else 0.0


def _strategies(problem: Problem, choice: Choice) -> tuple[str, ...]:
    named = registry.named(problem.kind, choice.strategies)
    ours = [s for s in named if not s.role.is_peer] or contenders(problem, choice.dtype)
    libraries = [s for s in named if s.role.is_peer] or _libraries(problem)
    return tuple(strategy.name for strategy in (*ours, *libraries))


def _libraries(problem: Problem) -> list[Strategy[Any]]:
    """Return the libraries compared with: an epilogue is computed in passes where not fused."""
    compared = [s for s in registry.strategies(problem.kind) if _is_compared(s)]
    return [variants(strategy, problem)[0] for strategy in compared]


def _is_compared(strategy: Strategy[Any]) -> bool:
    """Whether a library takes part unnamed; one with an extra of its own does if installed."""
    expected = strategy.extra in ("", PEERS)
    return strategy.role.is_compared and (expected or strategy.missing_package() is None)


def _best_layouts(participants: Sequence[Participant]) -> list[Participant]:
    """Return the first participant of each strategy."""
    best: dict[str, Participant] = {}
    for participant in participants:
        best.setdefault(participant.contestant.strategy.name, participant)
    return list(best.values())
