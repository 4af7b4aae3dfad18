"""One problem, all rungs of a ladder in the same rounds, and what limits each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.dtypes import COMMON
from convprof.measure.contestant import Contestant
from convprof.measure.events import Auxiliary, Part, Refused
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies import comparison, evidence
from convprof.studies.comparison import Comparison, ratio_of
from convprof.studies.ladder import rung_limits
from convprof.studies.ladder.rung_limits import Laboratory
from convprof.studies.ladder.schedules import schedules
from convprof.studies.ladder.time_limit import too_slow
from convprof.studies.roofline_session import RooflineSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.evidence import Evidence
    from convprof.studies.ladder.rung_limits import RungLimit
    from convprof.studies.run import Choice


MEASURING_SHARE = 0.8
"""The usual fraction of a ladder's time before the limits of its rungs are measured."""
EXPERIMENTS = 0.85
"""The fraction of a ladder's time before the experiments: after the rounds, loops are read."""
TIME_LIMIT_S = 60.0
"""A rung may take this many seconds unless a user gives another limit."""
PARALLEL = "parallel"
"""The last rung: the last strategy that computes the problem, on all threads."""
LADDERS = {
    "gemm": (
        "naive", "reordered", "tiled", "vectorized", "fma", "unrolled", "packed", "prepacked",
        "strassen",
    ),
    "conv2d": ("direct", "reordered", "im2col", "tiled", "microkernel", "winograd", "auto"),
}  # fmt: skip
"""Strategies by kind of problem; each does what the one before does but for one idea."""


@dataclass(frozen=True)
class Rung:
    """One step of a ladder."""

    name: str
    strategy: str
    threads: int


@dataclass(frozen=True)
class Step:
    """A rung and its results."""

    rung: Rung
    summary: str
    measurement: Measurement
    evidence: Evidence | None = None
    before: Comparison[Measurement] | None = None
    """Against the nearest rung below that was timed."""
    explanation: tuple[str, ...] = ()
    """What was chosen, where the strategy chooses."""
    all_cores_fraction: float | None = None
    """Share of the peak on all the ladder's threads."""
    limit: RungLimit | None = None
    """What limits the rung most; None where no peak is known."""


@dataclass(frozen=True)
class Pair:
    """A rung and the schedule of another library that has the same idea; either may be missing."""

    rung: str | None
    ours: Measurement | None
    theirs: Measurement
    comparison: Comparison[Measurement] | None
    """Of our rung with the schedule."""


def rungs(
    kind: str,
    threads: int,
    names: Sequence[str] = (),
    computes: Callable[[str], bool] = lambda _: True,
) -> list[Rung]:
    """Return the rungs of a kind of problem, or only the named ones.

    Without a second thread there is no rung for it. ``computes``: whether a strategy does not
    refuse the problem on all threads.
    """
    ladder = [Rung(name, name, 1) for name in LADDERS[kind]]
    if threads > 1:
        last = next(filter(computes, reversed(LADDERS[kind])), LADDERS[kind][-1])
        ladder.append(Rung(PARALLEL, last, threads))
    return [rung for rung in ladder if not names or rung.name in names]


class Ladder:
    """One problem, all rungs in one session. Iterate over ``events()``; then ask.

    ``choice`` has one layout, and the number of threads of the last rung as its largest.
    """

    def __init__(
        self,
        problem: Problem,
        choice: Choice,
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
        *,
        names: Sequence[str] = (),
        time_limit_s: float = TIME_LIMIT_S,
        halide: bool = False,
    ) -> None:
        self.problem = problem
        self.isa = choice.isa
        self.threads = max(choice.threads)
        setting = Setting(choice.layouts[0], choice.dtype, 1, choice.isa, choice.tune)

        def contestant(name: str, threads: int) -> Contestant:
            strategy = registry.find(problem.kind, name)
            return Contestant(strategy, problem, replace(setting, threads=threads), choice.cache)

        def computes(name: str) -> bool:
            own = contestant(name, self.threads)
            return own.strategy.why_not(problem, own.setting) is None

        self.rungs = rungs(problem.kind, self.threads, names, computes)
        # A rung that is let in at all has the time for an interval, if its calls allow it.
        self._settings = replace(settings, time_limit_s=time_limit_s)
        self._watch, self._time_limit_s = watch, time_limit_s
        self._ours = [contestant(rung.strategy, rung.threads) for rung in self.rungs]
        pairs = schedules(problem.kind, self.threads) if halide else []
        kept = {rung.name for rung in self.rungs}
        self._schedules = [p for p in pairs if p.rung is None or p.rung in kept or not names]
        self._theirs = [contestant(pair.strategy, pair.threads) for pair in self._schedules]
        self._refused: dict[str, Measurement] = {}
        self._machine = machine
        self._session = RooflineSession([], settings, machine, watch)
        self._evidence: dict[str, Evidence | None] = {}
        """Of the contestants, by label."""
        self._laboratory = Laboratory(settings, machine) if machine is not None else None

    def events(self) -> Iterator[Event]:
        """Leave out rungs that would take too long, measure the others; yield what happens."""
        yield Part("", 0.0, MEASURING_SHARE, inner=True)
        taking_part = []
        contestants = [*self._ours, *self._theirs]
        for contestant in contestants:
            yield Auxiliary(f"a few rows of {contestant.label}")
            refusal = too_slow(contestant, self._settings, self._time_limit_s)
            if refusal is None:
                taking_part.append(contestant)
            else:
                self._refused[contestant.label] = refusal
                yield Refused(refusal)
        self._session = RooflineSession(taking_part, self._settings, self._machine, self._watch)
        yield from self._session.events()
        if self._machine is not None:
            yield from self._limits(self._machine)

    def _limits(self, machine: MachineModel) -> Iterator[Part | Auxiliary]:
        """Measure what the rungs' loops are limited by; yield what is measured next."""
        ours = {contestant.label for contestant in self._ours}
        limited = [
            (label, participant)
            for label, participant in self._participants().items()
            # instructions of other types are not counted
            if label in ours and participant.contestant.setting.dtype in COMMON
        ]
        yield Part("", MEASURING_SHARE, EXPERIMENTS - MEASURING_SHARE, inner=True)
        for label, participant in limited:
            yield Auxiliary(f"the limits of {label}")
            dtype, isa = participant.contestant.setting.dtype, self._isa_of(participant)
            peak, *_ = machine.measure_peaks(dtype, [1, self.threads], isa)
            self._evidence[label] = evidence.measure(participant.prepared, peak, machine)
        yield from self._experiments([participant for _, participant in limited])

    def _experiments(self, participants: Sequence[Participant]) -> Iterator[Part | Auxiliary]:
        """Time the code on other problems where its inner loop does not explain the time."""
        if self._laboratory is None:
            return
        unexplained = []
        for participant in participants:
            label, measurement = (
                participant.contestant.label,
                self._session.measurement(participant),
            )
            within = rung_limits.explained(measurement, self._evidence[label])
            if within is None and measurement.doubt is None:
                unexplained.append((participant.contestant, measurement))
        for index, (contestant, measurement) in enumerate(unexplained):
            share = (1 - EXPERIMENTS) / len(unexplained)
            yield Part("", EXPERIMENTS + index * share, share, inner=True)
            yield from self._laboratory.events(contestant, measurement)

    def measurements(self) -> list[Measurement]:
        """Return the results so far, in the ladder's order, Halide's last."""
        results = self._results()
        return [results[c.label] for c in (*self._ours, *self._theirs) if c.label in results]

    def steps(self) -> list[Step]:
        """Return the rungs that have a result, lowest first."""
        results, participants = self._results(), self._participants()
        steps: list[Step] = []
        below: Participant | None = None
        for rung, contestant in zip(self.rungs, self._ours, strict=True):
            if contestant.label not in results:
                continue
            measurement = results[contestant.label]
            participant = participants.get(contestant.label)
            summary = contestant.strategy.summary
            if participant is None:
                steps.append(Step(rung, summary, measurement))
                continue
            before = None if below is None else self._compare(participant, below)
            steps.append(
                Step(
                    rung,
                    summary,
                    measurement,
                    self._evidence.get(contestant.label),
                    before,
                    participant.bench.facts.explanation,
                    self._of_all_cores(participant, measurement),
                    self._limit(contestant, measurement, results),
                )
            )
            below = participant
        return steps

    def pairs(self) -> list[Pair]:
        """Return Halide's schedules, each with the rung that has the same idea."""
        results, participants = self._results(), self._participants()
        ours = {rung.name: c for rung, c in zip(self.rungs, self._ours, strict=True)}
        pairs = []
        for pair, contestant in zip(self._schedules, self._theirs, strict=True):
            if contestant.label not in results:
                continue
            mine = ours.get(pair.rung or "")
            own = results.get(mine.label) if mine else None
            one = participants.get(mine.label) if mine else None
            two = participants.get(contestant.label)
            theirs = results[contestant.label]
            comparison = self._compare(one, two) if one and two else None
            pairs.append(Pair(pair.rung, own, theirs, comparison))
        return pairs

    def comparisons(self) -> list[dict[str, Any]]:
        """Return what was compared as the result document has it."""
        steps = self.steps()
        by_label = {step.measurement.label: step for step in steps}
        return [
            _to_json(against, step, by_label.get(against.b.label))
            for step, against in (
                *((step, step.before) for step in steps),
                *(
                    (by_label[pair.ours.label], pair.comparison)
                    for pair in self.pairs()
                    if pair.ours is not None
                ),
            )
            if against is not None
        ]

    def _results(self) -> dict[str, Measurement]:
        return {m.label: m for m in self._session.measurements()} | self._refused

    def _participants(self) -> dict[str, Participant]:
        """Return the contestants that have samples, by label."""
        return {e.contestant.label: e for e in self._session.participants if e.samples}

    def _compare(self, one: Participant, other: Participant) -> Comparison[Measurement] | None:
        ratio = ratio_of(one, other)
        if ratio is None:
            return None
        a, b = (self._session.measurement(p) for p in (one, other))
        return Comparison(a, b, ratio)

    def _limit(
        self, contestant: Contestant, measurement: Measurement, results: dict[str, Measurement]
    ) -> RungLimit | None:
        if self._machine is None or self._laboratory is None:
            return None
        one = replace(contestant, setting=replace(contestant.setting, threads=1))
        return rung_limits.limit(
            measurement,
            self._evidence.get(contestant.label),
            self._laboratory.of(contestant.label),
            self._machine,
            results.get(one.label) if contestant.setting.threads > 1 else None,
        )

    def _isa_of(self, participant: Participant) -> str:
        return self.isa if participant.contestant.strategy.generated else NATIVE

    def _of_all_cores(self, participant: Participant, measurement: Measurement) -> float | None:
        if measurement.flop_per_s is None or self._machine is None:
            return None
        isa = self._isa_of(participant)
        peak = self._machine.peak(measurement.dtype, self.threads, isa)
        return measurement.flop_per_s / peak.flop_per_s if peak is not None else None


def _to_json(against: Comparison[Measurement], step: Step, other: Step | None) -> dict[str, Any]:
    def counted(one: Step | None) -> dict[str, Any] | None:
        return one.evidence.to_json() if one and one.evidence else None

    def limit_of(one: Step | None) -> dict[str, Any] | None:
        return one.limit.to_json() if one and one.limit else None

    return {
        **comparison.to_json("ladder", against.a.problem, against),
        "threads": against.a.threads,
        "evidence": {"a": counted(step), "b": counted(other)},
        "limits": {"a": limit_of(step), "b": limit_of(other)},
    }
