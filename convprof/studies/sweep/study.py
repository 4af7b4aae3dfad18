"""`sweep`: the same strategies over a range of sizes, threads or tiles, one point after another.

Every point is a session of its own: interleaved rounds over all strategies. A point goes to the
journal when it is finished, and is then dropped, so memory does not grow with the number of points.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.machine import facts
from convprof.machine.noise import Noise, NoiseWatch
from convprof.measure import report
from convprof.measure.events import Part
from convprof.measure.session import Session
from convprof.results import envelope, plain
from convprof.studies import document, reading
from convprof.studies.compare import isas
from convprof.studies.forget import forget
from convprof.studies.run import measure_peaks
from convprof.studies.sweep.plan import KIND
from convprof.studies.sweep.points import flop_rates
from convprof.studies.sweep.prediction import Prediction, predicted_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.measure.contestant import Contestant
    from convprof.measure.events import Event
    from convprof.measure.forecast import Forecast
    from convprof.results import Measurement
    from convprof.studies.compare.isas import IsaComparison
    from convprof.studies.journal import Journal, Record
    from convprof.studies.sweep.plan import Plan

MOST_SHOWN = 60
"""Characters of what a damaged file says that an error repeats."""


@dataclass(frozen=True, slots=True)
class Began:
    """A point is about to be measured."""

    index: int
    total: int
    x: int
    part: Part
    """How long the point will take, and all points after it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A point was measured and is in the journal."""

    record: Record


def begin(plan: Plan, argv: Sequence[str], machine: MachineModel) -> Record:
    """Measure the peaks; return the journal's header."""
    identity = plan.identity()
    choice = replace(plan.choice, threads=plan.threads)
    measure_peaks(choice, machine)
    begun = document.begin({}, choice, machine)
    return envelope(
        KIND,
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        machine=begun.machine,
        ceilings=begun.ceilings,
        sweep={**identity["sweep"], "meaning": plan.meaning},
        settings={**identity["settings"], "argv": list(argv)},
    )


class Sweep:
    """A plan under way. Iterate over `events()`; finished points are in the journal."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self._plan, self._journal = plan, journal
        self._prediction = Prediction(plan.settings)
        self._forecast: Forecast | None = None
        """Of the last point."""
        self.done: set[int] = set()
        """Numbers of the points in the journal."""
        self.statuses: set[str] = set()
        self.noise: dict[str, tuple[Noise, int]] = {}
        """The last disturbance of each kind, and at how many points there was one."""
        self.isas: list[IsaComparison] = []
        """The comparisons of instruction sets at all points."""
        for record in journal.records():
            self._take_over(record)

    def events(self) -> Iterator[Event | Began | Ended]:
        """Measure the points that are not in the journal yet; yield what happens."""
        values = self._plan.values
        to_measure = [index for index in range(len(values)) if index not in self.done]
        for number, index in enumerate(to_measure):
            x = values[index]
            part = Part("", seconds=self._point_s(index), after_s=self._after_s(to_measure, number))
            yield Began(index, len(values), x, part)
            start = time.monotonic()
            yield from self._point(index, x)
            if number:  # the first point imports and compiles what all others use
                taking_part = self._taking_part(index)
                self._prediction.learn_time(taking_part, time.monotonic() - start)

    def _after_s(self, to_measure: Sequence[int], number: int) -> float:
        """Predict the seconds of the points after one."""
        return sum(map(self._point_s, to_measure[number + 1 :]))

    def _point_s(self, index: int) -> float:
        return self._prediction.point_s(self._taking_part(index))

    def _taking_part(self, index: int) -> list[Contestant]:
        every = self._plan.contestants(self._plan.values[index])
        return [contestant for contestant in every if self._too_slow(contestant) is None]

    def _take_over(self, record: Record) -> None:
        """Learn from a point measured before; InputError if it is not one of this sweep."""
        index, values = record.get("index"), self._plan.values
        x = values[index] if isinstance(index, int) and 0 <= index < len(values) else None
        if x is None or record.get("x") != x or index in self.done:
            raise self._journal.damaged(
                f"point {str(index)[:MOST_SHOWN]} does not belong to this sweep"
            )
        try:
            self._learn(record)
        except (InputError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            raise self._journal.damaged(f"point {index} is damaged") from None

    def _learn(self, record: Record) -> None:
        self._prediction.learn(flop_rates(record))
        self.statuses |= {m["status"] for m in record["measurements"]}
        comparisons = reading.objects(record.get("comparisons", []))
        if comparisons:
            measurements = [reading.measurement(each) for each in record["measurements"]]
            self.isas += isas.read(comparisons, measurements)
        self.done.add(record["index"])

    def _point(self, index: int, x: int) -> Iterator[Event | Ended]:
        watch = NoiseWatch(facts().topology.logical_cpus or 1)
        contestants = self._plan.contestants(x)
        refused = {c.label: m for c in contestants if (m := self._too_slow(c)) is not None}
        taking_part = [c for c in contestants if c.label not in refused]
        measured = Session(taking_part, self._plan.settings, watch)
        measured.forecast.call_s = self._prediction.call_s
        if self._forecast is not None:
            measured.forecast.begin_from(self._forecast)
        self._forecast = measured.forecast
        yield from measured.events()
        results = {m.label: self._with_peak(m) for m in measured.measurements()} | refused
        record: Record = plain(
            {
                "index": index,
                "x": x,
                "state": watch.state(),
                "measurements": [results[c.label] for c in contestants if c.label in results],
                "comparisons": [each.to_json() for each in isas.compared(measured)],
            }
        )
        self._journal.append(record)
        self._learn(record)
        self._see_noise(watch)
        del measured, results
        forget()
        yield Ended(record)

    def _too_slow(self, contestant: Contestant) -> Measurement | None:
        """Return a refusal if the contestant is predicted to take too long at this point."""
        rate = self._prediction.rate(contestant)
        if rate is None:
            return None
        seconds = predicted_s(contestant.problem.flops / rate, self._plan.settings)
        if seconds <= self._plan.time_limit_s:
            return None
        reason = (
            f"predicted to take {seconds:.0f} s at this point, over the patience of "
            f"{self._plan.time_limit_s:g} s: raise it (and name a new file if you keep one)"
        )
        return report.excluded(contestant, "refused", reason)

    def _with_peak(self, measurement: Measurement) -> Measurement:
        """Return the measurement with its share of the ceiling in the header."""
        ceilings = (self._journal.header or {})["ceilings"]
        of_isa = [p for p in ceilings["isa_peaks"] or () if p["isa"] == measurement.isa]
        peaks = of_isa or ceilings["peaks"]
        rate = [p["flop_per_s"] for p in peaks if p["threads"] == measurement.threads]
        if measurement.flop_per_s is None or not rate:
            return measurement
        return replace(measurement, peak_fraction=measurement.flop_per_s / rate[0])

    def _see_noise(self, watch: NoiseWatch) -> None:
        for finding in watch.findings():
            _, count = self.noise.get(finding.kind, (finding, 0))
            self.noise[finding.kind] = (finding, count + 1)
