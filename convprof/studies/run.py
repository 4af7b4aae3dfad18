"""``run``: each strategy on a problem, in each layout, on each number of threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.dtypes import of_kind
from convprof.measure import report
from convprof.measure.contestant import Cache, Contestant
from convprof.measure.report import excluded
from convprof.problems.layouts import LAYOUTS
from convprof.results import NATIVE, Measurement
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.unfused_epilogue import variants
from convprof.studies.compare import isas
from convprof.studies.one_session import OneSession
from convprof.studies.roofline_session import RooflineSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.machine.peaks import Peak
    from convprof.measure.isolated.environment import Environment
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Status
    from convprof.strategies.base import Strategy
    from convprof.studies.compare.isas import IsaComparison


@dataclass(frozen=True)
class Choice:
    """What the user chose to compare."""

    strategies: tuple[str, ...] = ()
    """Names; empty for all of the problem's kind, except libraries that are installed
    separately."""
    layouts: tuple[str, ...] = LAYOUTS
    threads: tuple[int, ...] = (1,)
    dtype: str = "f32"
    further_dtypes: tuple[str, ...] = ()
    """Other types: compared with ``dtype``, or of some problems of a shape file."""
    every_dtype: bool = False
    """Whether the user named no types: f32 from pieces and weights of 8 and 4 bits take part."""
    isas: tuple[str, ...] = (NATIVE,)
    """Instruction sets of generated kernels; strategies with other kernels take part once."""
    tune: str = "quick"
    """For strategies whose kernels are generated; others ignore it."""
    max_error: float = 0.0
    """The error of the algorithm that ``auto`` may accept."""
    cache: Cache = "hot"
    environments: tuple[Environment, ...] = ()
    """Whose Pythons compute each contestant; empty for this one only."""

    @property
    def isa(self) -> str:
        """The first instruction set: the only one, of commands that take one."""
        return self.isas[0]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """All element types."""
        return (self.dtype, *self.further_dtypes)

    def in_type(self, dtype: str) -> Choice:
        """Return the same choice in one type."""
        return replace(self, dtype=dtype, further_dtypes=())

    @property
    def named_isas(self) -> tuple[str, ...]:
        """The instruction sets that the user named: their peaks are not the machine's."""
        return tuple(name for name in self.isas if name != NATIVE)


def contestants(problem: Problem, choice: Choice) -> list[Contestant]:
    """Return the contestants, in ladder order.

    A strategy is left out at numbers of threads that it does not take. If it takes none of them, it
    is included once, and refused with its reason.
    """
    taking_part, dtype = [], of_kind(choice.dtype, problem.kind)
    for strategy in _chosen(problem, choice):
        most = max(choice.threads) if strategy.parallel else 1
        counts = [t for t in choice.threads if strategy.least_threads <= t <= most]
        counts = counts or [choice.threads[0]]
        for layout in choice.layouts if problem.has_layout else LAYOUTS[:1]:
            for threads in counts:
                for isa in choice.isas if strategy.generated else choice.isas[:1]:
                    setting = Setting(layout, dtype, threads, isa, choice.tune, choice.max_error)
                    taking_part += [
                        Contestant(strategy, problem, setting, choice.cache, environment)
                        for environment in choice.environments or (None,)
                    ]
    return taking_part


def _chosen(problem: Problem, choice: Choice) -> list[Strategy[Any]]:
    """Return the chosen strategies that the problem's kind has.

    Without a choice all that need no further package: the libraries take part when named. An
    epilogue is then both fused, by strategies that can, and computed in passes of its own.
    """
    if not choice.strategies:
        every = registry.strategies(problem.kind)
        return [
            variant
            for strategy in every
            if strategy.role.is_listed
            for variant in variants(strategy, problem)
        ]
    return registry.named(problem.kind, choice.strategies)


def refused(problem: Problem, choice: Choice, reason: str) -> list[Measurement]:
    """Return the records of a problem that is refused before it begins."""
    return [excluded(each, "refused", reason) for each in contestants(problem, choice)]


def measure_peaks(choice: Choice, machine: MachineModel) -> None:
    """Measure the peaks that the choice's results are compared with, if missing.

    ThreadsError if the system allows none of the numbers of threads.
    """
    for dtype in choice.dtypes:
        for isa in dict.fromkeys((NATIVE, *choice.isas)):
            machine.measure_peaks(dtype, choice.threads, isa)


def known_peaks(choice: Choice, machine: MachineModel) -> tuple[list[Peak], list[Peak]]:
    """Return the measured peaks of the machine, and the peaks of the named instruction sets."""

    def of(isa: str) -> list[Peak]:
        return [p for dtype in choice.dtypes for p in machine.peaks(dtype, choice.threads, isa)]

    return of(NATIVE), [peak for isa in choice.named_isas for peak in of(isa)]


class OneProblem(OneSession, ABC):
    """One problem; a choice says which contestants take part."""

    def __init__(
        self,
        problem: Problem,
        choice: Choice,
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
    ) -> None:
        """Nothing is measured yet."""
        self.problem, self.choice, self.seed = problem, choice, settings.seed
        self.session = RooflineSession(self._contestants(), settings, machine, watch)

    @abstractmethod
    def _contestants(self) -> Sequence[Contestant]:
        """Return who takes part in measuring ``problem`` by ``choice``."""


class Run(OneProblem):
    """One problem, all contestants, one session. Iterate over ``events()``."""

    def _contestants(self) -> list[Contestant]:
        return contestants(self.problem, self.choice)

    def comparisons(self) -> list[IsaComparison]:
        """Return the instruction sets compared so far."""
        return isas.compared(self.session)

    def explanations(self) -> list[tuple[str, str]]:
        """Return what was chosen and why, by contestant, where there was a choice."""
        return [
            (participant.contestant.label, line)
            for participant in self.session.participants
            for line in participant.bench.facts.explanation
        ]

    def inner_loops(self) -> list[tuple[str, str]]:
        """Return title and assembly of the inner loops of each strategy's kernels, by layout."""
        loops_by_kernel: dict[tuple[str, str | None, str | None], list[tuple[str, str]]] = {}
        for participant in self.session.participants:
            contestant = participant.contestant
            isa = contestant.isa if contestant.isa != NATIVE else None
            key = (contestant.strategy.name, contestant.layout, isa)
            if key not in loops_by_kernel:
                loops_by_kernel[key] = participant.prepared.inner_loops()
        return [
            (f"{' '.join(filter(None, key))}: {title}", text)
            for key, loops in loops_by_kernel.items()
            for title, text in loops
        ]


def unmeasured(problem: Problem, choice: Choice, status: Status, reason: str) -> Measurement:
    """Return one record for all strategies of a problem that an error left without results."""
    return Measurement(
        problem=report.describe(problem),
        strategy=",".join(choice.strategies) or "all",
        layout=None,
        dtype=of_kind(choice.dtype, problem.kind),
        threads=choice.threads[0],
        cache=choice.cache,
        status=status,
        reason=reason,
    )
