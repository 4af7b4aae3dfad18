"""``compare commands --python A --python B``: the same contestants in several environments.

Each contestant computes in a process of each environment, in the same shuffled rounds: the drift
of the machine affects all environments alike. The first environment is the base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.json_checks import array, count, mapping, text
from convprof.measure.events import Part
from convprof.results import FAILURES, way
from convprof.strategies import registry
from convprof.studies import comparison
from convprof.studies.compare.contenders import contenders, takes
from convprof.studies.compare.process_runs import Pair, joined, ratio_of, trusted
from convprof.studies.comparison import Comparison
from convprof.studies.roofline_session import RooflineSession
from convprof.studies.run import Run, contestants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Contestant
    from convprof.measure.events import Event
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.stats import Verdict
    from convprof.strategies.base import Strategy
    from convprof.studies.run import Choice

KIND = "environments"
"""Of the comparisons in the result document."""


@dataclass(frozen=True)
class EnvironmentComparison(Comparison["Measurement"]):
    """One contestant in another environment (``a``) and in the base (``b``)."""

    processes: int = 1
    """The pairs of processes that the ratio is from."""

    @property
    def verdict(self) -> Verdict:
        """What can be said of ``a``: a change is a whole interval beyond 2 %."""
        return "undecided" if self.doubt else self.ratio.change

    @property
    def way(self) -> str:
        """``torch nchw``: the contestant without its environment."""
        return way(self.b.strategy, self.b.layout, self.b.isa)

    def is_slower_by(self, share: float) -> bool:
        """Whether the whole interval is beyond a slow-down by that share."""
        return self.doubt is None and self.ratio.is_slower_by(share)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        common = comparison.to_json(KIND, self.a.problem, self)
        own = {"threads": self.a.threads, "processes": self.processes}
        return {**common, "verdict": self.verdict, **own}


class Environments(Run):
    """One problem: each contestant in each environment, in one session or in several.

    Each of several sessions has new processes.
    """

    def __init__(
        self,
        problem: Problem,
        choice: Choice,
        settings: Settings,
        machine: MachineModel,
        watch: NoiseWatch | None = None,
        *,
        processes: int = 1,
    ) -> None:
        """Nothing is measured yet. ``processes``: the number of sessions."""
        super().__init__(problem, choice, settings, machine, watch)
        self._settings, self._machine, self._watch = settings, machine, watch
        self._processes = processes
        self._sessions = [self.session]

    def _contestants(self) -> list[Contestant]:
        return contestants(self.problem, chosen(self.problem, self.choice))

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        if self._processes == 1:
            yield from self.session.events()
            return
        self._sessions.clear()
        for number in range(self._processes):
            name = f"process {number + 1}/{self._processes}"
            yield replace(Part.of(name, number, self._processes), inner=True)
            yield from self._events_of_new_processes()

    def _events_of_new_processes(self) -> Iterator[Event]:
        """Measure in a session whose processes end with it."""
        processes = self._settings.processes.others()
        settings = replace(self._settings, processes=processes)
        self.session = RooflineSession(self._contestants(), settings, self._machine, self._watch)
        self._sessions.append(self.session)
        try:
            yield from self.session.events()
        finally:
            self.session.release()
            processes.close()

    def measurements(self) -> list[Measurement]:
        """Return a measurement of each contestant."""
        return joined([session.measurements() for session in self._sessions])

    def compared(self) -> list[EnvironmentComparison]:
        """Return each contestant in each further environment, against the base."""
        groups: dict[tuple[str, str], list[Pair]] = {}
        for session in self._sessions:
            for pair in _pairs(session):
                groups.setdefault((pair.a.label, pair.b.label), []).append(pair)
        rows = {m.label: m for m in self.measurements() if m.time_s is not None}
        return [
            EnvironmentComparison(rows[a], rows[b], ratio_of(pairs), len(pairs))
            for (a, b), pairs in ((sides, trusted(every)) for sides, every in groups.items())
        ]


def _pairs(session: RooflineSession) -> list[Pair]:
    """Return each contestant in each further environment with its base, in one session."""
    groups: dict[tuple[Any, ...], list[Participant]] = {}
    for participant in session.participants:
        c = participant.contestant
        if participant.samples:
            key = (c.strategy.name, c.layout, c.isa, c.setting.threads)
            groups.setdefault(key, []).append(participant)
    return [
        each
        for participants in groups.values()
        for other in participants[1:]
        if _is_base(participants[0]) and (each := _pair(session, other, participants[0]))
    ]


def _pair(session: RooflineSession, other: Participant, base: Participant) -> Pair | None:
    ratio = comparison.ratio_of(other, base)
    sides = session.measurement(other), session.measurement(base)
    return None if ratio is None else Pair(*sides, ratio)


BASE = "A"
"""The letter of the first environment."""


def _is_base(participant: Participant) -> bool:
    environment = participant.contestant.environment
    return environment is not None and environment.name == BASE


def chosen(problem: Problem, choice: Choice) -> Choice:
    """Return the choice with strategies, if the user named none.

    They are our best one, and each library that an environment has.
    """
    if choice.strategies:
        return choice
    every = registry.strategies(problem.kind)
    libraries = [s for s in every if _is_there(s, choice) and takes(s, problem, choice.dtype)]
    strategies = (*contenders(problem, choice.dtype), *libraries)
    return replace(choice, strategies=tuple(s.name for s in strategies))


def _is_there(strategy: Strategy[Any], choice: Choice) -> bool:
    has = any(set(strategy.packages) <= set(each.modules) for each in choice.environments)
    return strategy.role.is_compared and has


def lost(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return what fails or computes wrongly in another environment, and has a time in the base."""
    timed = {_key(m) for m in measurements if m.environment == BASE and m.time_s is not None}
    return [m for m in measurements if m.status in FAILURES and _key(m) in timed]


def _key(m: Measurement) -> tuple[Any, ...]:
    return (m.problem["kind"], str(m.problem), m.strategy, m.layout, m.threads, m.isa, m.dtype)


def read(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[EnvironmentComparison]:
    """Return the comparisons of environments in a document; one that does not fit is left out."""

    def build(fields: dict[str, Any], sides: Comparison[Measurement]) -> EnvironmentComparison:
        processes = count(fields.get("processes", 1))
        return EnvironmentComparison(sides.a, sides.b, sides.ratio, processes)

    return comparison.read(KIND, build, comparisons, measurements)


# What the environments are, in the settings of a document.

_LONGEST_PATH = 4096


@dataclass(frozen=True)
class Facts:
    """What a document has about an environment."""

    name: str
    python: str
    versions: dict[str, str]
    lent: bool


def facts(settings: dict[str, Any]) -> list[Facts]:
    """Return the environments of a document; InputError for damaged ones."""
    return [_facts(mapping(item)) for item in array(settings.get("environments"))]


def _facts(fields: dict[str, Any]) -> Facts:
    versions = mapping(fields.get("versions"))
    return Facts(
        text(fields.get("name")),
        text(fields.get("python"), _LONGEST_PATH),
        {text(name): text(value, _LONGEST_PATH) for name, value in versions.items()},
        fields.get("lent") is True,
    )


@dataclass(frozen=True)
class Version:
    """One program in all environments."""

    program: str
    versions: tuple[str | None, ...]
    """In the order of the environments; None where it is not installed."""

    @property
    def differs(self) -> bool:
        """Whether the environments have different versions."""
        return len(set(self.versions)) > 1


def versions(environments: Sequence[Facts]) -> list[Version]:
    """Return the versions of each program that an environment has."""
    programs = dict.fromkeys(name for each in environments for name in each.versions)
    return [Version(p, tuple(each.versions.get(p) for each in environments)) for p in programs]
