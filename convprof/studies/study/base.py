"""A study: first the machine is measured, then all variants in the same rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convprof import stats
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.studies.study.page import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Contestant
    from convprof.measure.events import Event
    from convprof.measure.stopwatch import Stopwatch
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.studies.study.page import Page


@dataclass(frozen=True)
class Options:
    """The options of a study; some studies ignore some of them."""

    dtype: str = "f32"
    isa: str = "native"
    threads: int = 1
    sizes: tuple[int, ...] = ()
    budget_s: float = 0.07
    seed: int = 0


class Results:
    """What was measured so far, by contestant."""

    def __init__(
        self,
        contestants: Sequence[Contestant],
        measurements: Sequence[Measurement],
        samples: dict[str, dict[int, float]],
    ) -> None:
        """Take the records and `samples`: seconds per call by contestant's label and round."""
        names = {m.label: m for m in measurements}
        self._by_name = {c.strategy.name: names[c.label] for c in contestants if c.label in names}
        self._samples = samples
        self._labels = {c.strategy.name: c.label for c in contestants}
        self.statuses = {m.status for m in measurements}

    def measurement(self, name: str) -> Measurement | None:
        """Return the record of a variant; None before it is measured."""
        return self._by_name.get(name)

    def seconds(self, name: str) -> Figure | None:
        """Return the seconds per call."""
        measurement = self._by_name.get(name)
        time = None if measurement is None else measurement.time_s
        return None if time is None else Figure(time.median, time.ci95_low, time.ci95_high)

    def rate(self, name: str) -> Figure | None:
        """Return the executed FLOPs per second."""
        measurement, time = self._by_name.get(name), self.seconds(name)
        if measurement is None or measurement.flops is None or time is None:
            return None
        work = measurement.flops.executed
        ends = (None if end is None else work / end for end in (time.high, time.low))
        return Figure(work / time.value, *ends)

    def cycles(self, name: str, each: float | None = None) -> float | None:
        """Return core cycles per executed FLOP, or per one of `each` in a call."""
        measurement = self._by_name.get(name)
        if measurement is None or measurement.cycles is None or measurement.flops is None:
            return None
        count = each or measurement.flops.executed
        return measurement.cycles.per_call / count if count else None

    def hz(self, name: str) -> float | None:
        """Return the core clock during the samples."""
        measurement = self._by_name.get(name)
        return measurement.cycles.core_hz if measurement and measurement.cycles else None

    def ratio(self, a: str, b: str) -> Ratio | None:
        """Return how many times as long a call of `a` takes as one of `b`, round by round."""
        first, second = (self._samples.get(self._labels.get(name, ""), {}) for name in (a, b))
        return stats.ratio_by_round(first, second)

    def _doubt(self, a: str, b: str) -> str | None:
        """Return why the ratio of two variants cannot be believed."""
        ratio = self.ratio(a, b)
        either = (record.doubt for name in (a, b) if (record := self._by_name.get(name)))
        return next((doubt for doubt in either if doubt), ratio.doubt if ratio else None)

    def row(
        self,
        name: str,
        variant: dict[str, Any],
        *,
        counted: dict[str, Any],
        expected: float | None,
        measured: Figure | None,
        cycles: float | None = None,
        other: str | None = None,
    ) -> Row:
        """Return a variant's row, with its status, reason, error and doubt.

        `other`: the variant that the figure compares it with.
        """
        record = self._by_name.get(name)
        if record is None:
            return Row(variant, counted, expected, status="missing", reason="not measured")
        return Row(
            variant,
            counted,
            expected,
            measured,
            cycles,
            record.status,
            record.reason,
            record.max_rel_error,
            record.doubt if other is None else self._doubt(name, other),
        )


class Study(ABC):
    """One question. Iterate over `steps()`; `page()` may be called after the first step."""

    name: ClassVar[str]

    def __init__(
        self,
        options: Options,
        machine: MachineModel,
        watch: NoiseWatch | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Nothing is measured yet; `watch` and `stopwatch` as for a session."""
        self.options, self.machine = options, machine
        self._watch, self._stopwatch = watch, stopwatch
        self._session: Session | None = None
        self._entered: list[Contestant] = []
        self.ready = False
        """Whether the figures that the theory needs are known: a page can be made."""

    def check(self) -> None:  # noqa: B027  # most options are checked where they are read
        """Raise InputError for options that make no sense here, before anything is measured."""

    @abstractmethod
    def learn(self) -> Iterator[str]:
        """Measure the figures that the theory needs; yield in words what is measured."""

    @abstractmethod
    def contestants(self) -> list[Contestant]:
        """Return the variants; each strategy's name is unique."""

    @abstractmethod
    def page(self) -> Page:
        """Return the page with what was measured so far."""

    def settle(self) -> Iterator[str]:
        """Measure again, after the rounds, what may have changed; by default nothing."""
        yield from ()

    def steps(self) -> Iterator[str | Event]:
        """Measure everything; yield what happens."""
        yield from self.learn()
        self.ready = True
        settings = Settings(self.options.budget_s, None, self.options.seed)
        self._entered = self.contestants()
        self._session = Session(self._entered, settings, self._watch, self._stopwatch)
        yield from self._session.events()
        yield from self.settle()

    @property
    def results(self) -> Results:
        """What was measured so far."""
        session = self._session
        if session is None:
            return Results([], [], {})
        samples = {
            participant.contestant.label: participant.seconds
            for participant in session.participants
        }
        return Results(self._entered, session.measurements(), samples)
