"""``run``: each strategy on a problem, in each layout, on each number of threads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.machine import ceilings
from convprof.measure.contestant import Cache, Contestant
from convprof.measure.session import Session, Settings
from convprof.strategies import registry
from convprof.strategies.base import LAYOUTS, Setting
from convprof.strategies.peers.package import Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.ceilings import Peak
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.strategies.base import Strategy


@dataclass(frozen=True)
class Choice:
    """What the user asked to be compared."""

    strategies: tuple[str, ...] = ()
    """Names; empty for all of the problem's kind but libraries to be installed apart."""
    layouts: tuple[str, ...] = LAYOUTS
    threads: tuple[int, ...] = (1,)
    dtype: str = "f32"
    cache: Cache = "hot"


def contestants(problem: Problem, choice: Choice) -> list[Contestant]:
    """Return who takes part, in ladder order.

    A strategy that runs on one thread only is left out at other thread counts, unless it would
    not take part at all: then it is there to be refused with its reason.
    """
    found = []
    for strategy in _chosen(problem, choice):
        counts = [t for t in choice.threads if t == 1 or strategy.parallel] or [choice.threads[0]]
        for layout in choice.layouts if problem.kind == "conv2d" else LAYOUTS[:1]:
            for threads in counts:
                setting = Setting(layout, choice.dtype, threads)
                found.append(Contestant(strategy, problem, setting, choice.cache))
    return found


def _chosen(problem: Problem, choice: Choice) -> list[Strategy]:
    """Return the chosen strategies that the problem's kind has; of several kinds, each its own.

    Without a choice all that need no further package: the libraries take part when named.
    """
    if not choice.strategies:
        every = registry.strategies(problem.kind)
        return [strategy for strategy in every if not isinstance(strategy, Library)]
    names = {strategy.name for strategy in registry.strategies(problem.kind)}
    return [registry.find(problem.kind, name) for name in choice.strategies if name in names]


class Run:
    """One problem, all contestants, one session. Iterate over ``events()``."""

    def __init__(
        self, problem: Problem, choice: Choice, settings: Settings, watch: NoiseWatch | None = None
    ) -> None:
        self.problem = problem
        self.session = Session(contestants(problem, choice), settings, watch)

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        return self.session.events()

    def measurements(self) -> list[Measurement]:
        """Return the results so far, with their share of the measured peak."""
        return [with_peak(measurement) for measurement in self.session.measurements()]


def with_peak(measurement: Measurement) -> Measurement:
    """Return the measurement with its share of the FMA peak on the same number of threads."""
    if measurement.flop_per_s is None:
        return measurement
    ceiling = ceilings.peak(measurement.dtype, measurement.threads)
    return dataclasses.replace(
        measurement, peak_fraction=measurement.flop_per_s / ceiling.flop_per_s
    )


def peaks(dtype: str, threads: Sequence[int]) -> list[Peak]:
    """Measure the ceilings that the results will be held against."""
    return [ceilings.peak(dtype, count) for count in threads]
