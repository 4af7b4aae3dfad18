"""``run``: each strategy on a problem, in each layout, on each number of threads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.dtypes import types
from convprof.errors import ThreadsError
from convprof.machine import ceilings
from convprof.measure import report
from convprof.measure.contestant import Cache, Contestant
from convprof.measure.report import excluded
from convprof.measure.session import Session, Settings
from convprof.problems import NetworkProblem
from convprof.problems.layouts import LAYOUTS
from convprof.results import Measurement
from convprof.strategies import registry
from convprof.strategies.base import NATIVE, Setting
from convprof.strategies.unfused_epilogue import ways
from convprof.studies import roofline_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.ceilings import Peak
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.problems import Problem
    from convprof.results import Status
    from convprof.strategies.base import Strategy


@dataclass(frozen=True)
class Choice:
    """What the user asked to be compared."""

    strategies: tuple[str, ...] = ()
    """Names; empty for all of the problem's kind but libraries to be installed apart."""
    layouts: tuple[str, ...] = LAYOUTS
    threads: tuple[int, ...] = (1,)
    dtype: str = "f32"
    isa: str = NATIVE
    tune: str = "quick"
    """For strategies whose kernels are generated; others ignore it."""
    cache: Cache = "hot"


def contestants(problem: Problem, choice: Choice) -> list[Contestant]:
    """Return the contestants, in ladder order.

    A strategy that runs on one thread only is left out at other thread counts, unless it would
    not take part at all: then it is there to be refused with its reason.
    """
    found = []
    for strategy in _chosen(problem, choice):
        counts = [t for t in choice.threads if t == 1 or strategy.parallel] or [choice.threads[0]]
        for layout in choice.layouts if problem.has_layout else LAYOUTS[:1]:
            for threads in counts:
                setting = Setting(layout, choice.dtype, threads, choice.isa, choice.tune)
                found.append(Contestant(strategy, problem, setting, choice.cache))
    return found


def _chosen(problem: Problem, choice: Choice) -> list[Strategy[Any]]:
    """Return the chosen strategies that the problem's kind has; of several kinds, each its own.

    Without a choice all that need no further package: the libraries take part when named. An
    epilogue is then both fused, by those that can, and computed in passes of its own.
    """
    if not choice.strategies:
        every = registry.strategies(problem.kind)
        return [
            way for strategy in every if strategy.role.is_listed for way in ways(strategy, problem)
        ]
    return registry.named(problem.kind, choice.strategies)


def refused(problem: Problem, choice: Choice, reason: str) -> list[Measurement]:
    """Return the records of a problem that is refused before it begins."""
    return [excluded(each, "refused", reason) for each in contestants(problem, choice)]


class Run:
    """One problem, all contestants, one session. Iterate over ``events()``."""

    def __init__(
        self, problem: Problem, choice: Choice, settings: Settings, watch: NoiseWatch | None = None
    ) -> None:
        self.problem = problem
        self.isa = choice.isa
        self.session = Session(contestants(problem, choice), settings, watch)

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        return self.session.events()

    def measurements(self) -> list[Measurement]:
        """Return the results so far, with their share of the measured peak."""
        return [with_peak(measurement, self.isa) for measurement in self.session.measurements()]

    def explanations(self) -> list[tuple[str, str]]:
        """Return what was chosen and why, by contestant, where there was a choice."""
        return [
            (participant.contestant.label, line)
            for participant in self.session.participants
            for line in participant.prepared.explanation
        ]

    def inner_loops(self) -> list[tuple[str, str]]:
        """Return title and assembly of the inner loops of each strategy's kernels, by layout."""
        found: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
        for participant in self.session.participants:
            key = (participant.contestant.strategy.name, participant.contestant.layout)
            if key not in found:
                found[key] = participant.prepared.inner_loops()
        return [
            (f"{' '.join(filter(None, key))}: {title}", text)
            for key, loops in found.items()
            for title, text in loops
        ]


def unmeasured(problem: Problem, choice: Choice, status: Status, reason: str) -> Measurement:
    """Return the record of a problem of which an error left nothing else, all strategies in one."""
    return Measurement(
        problem=report.describe(problem),
        strategy=",".join(choice.strategies) or "all",
        layout=None,
        dtype=choice.dtype,
        threads=choice.threads[0],
        cache=choice.cache,
        status=status,
        reason=reason,
    )


def with_peak(measurement: Measurement, isa: str = NATIVE) -> Measurement:
    """Return the measurement with its share of the FMA peak on the same number of threads.

    That of ``isa`` if the strategy's kernels are generated, otherwise that of the machine. With it
    comes what bounds the strategy: that peak, or the bandwidth of the memory it works in.
    """
    if measurement.flop_per_s is None:
        return measurement
    kind = measurement.problem["kind"]
    if isa != NATIVE and not registry.find(kind, measurement.strategy).generated:
        isa = NATIVE
    if not types(measurement.dtype).has_peak:
        return measurement
    try:
        (ceiling,) = peaks(measurement.dtype, [measurement.threads], isa)
    except ThreadsError:  # the threads were a library's own, and no more are to be had
        return measurement
    # A whole network has layers that one roof bounds and layers that the other does.
    placed = (
        roofline_model.place_here(measurement, ceiling.flop_per_s)
        if kind != NetworkProblem.kind
        else None
    )
    return dataclasses.replace(
        measurement,
        peak_fraction=measurement.flop_per_s / ceiling.flop_per_s,
        bound=placed.bound if placed else None,
    )


def peaks(dtype: str, threads: Sequence[int], isa: str = NATIVE) -> list[Peak]:
    """Measure the ceilings that the results will be compared with; none for types without kernels.

    Numbers of threads that the system does not allow are left out, ``ThreadsError`` if that is all.
    """
    if not types(dtype).has_peak:
        return []
    widest: list[Peak] = []
    reason: ThreadsError | None = None
    for count in threads:
        try:
            widest.append(ceilings.peak(dtype, count))
        except ThreadsError as error:
            reason = error
    if reason is not None and not widest:
        raise reason
    if isa == NATIVE:
        return widest
    found = isas.find(isa)
    return [
        dataclasses.replace(
            peak
            if found.bits == peak.bits
            else ceilings.peak(dtype, peak.threads, found.bits, fused=found.fused),
            isa=isa,
        )
        for peak in widest
    ]
