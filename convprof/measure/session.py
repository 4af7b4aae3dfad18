"""The sampler: every contestant verified and warmed up, then interleaved, shuffled rounds.

A shared machine drifts. A round takes one sample of every contestant, in an order shuffled by a
recorded seed, so that drift hits all alike and two contestants can be compared round by round.
Contestants too slow for a sample in every round of the budget take part in the first rounds.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from convprof import stats
from convprof.codegen import affinity
from convprof.dtypes import tolerance
from convprof.errors import ConvprofError, InputError, ThreadsError, ToolchainError
from convprof.machine.surroundings import Lookout
from convprof.measure import report
from convprof.measure.bench import LocalBench
from convprof.measure.events import (
    Auxiliary,
    Event,
    Failed,
    Finished,
    Refused,
    Sampled,
    Started,
)
from convprof.measure.forecast import Forecast
from convprof.measure.idle import settle
from convprof.measure.operands import draw, max_rel_error
from convprof.measure.participant import Participant, Suspect
from convprof.measure.rounds import WHOLE_BUDGETS, share
from convprof.measure.stopwatch import Sample, Stopwatch
from convprof.strategies import loading, memory
from convprof.strategies.tuning import search_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convprof.dtypes import Types
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.bench import Bench
    from convprof.measure.contestant import Contestant
    from convprof.measure.operands import Drawn
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement

SLOW = 0.25
"""A call of more than this share of the budget is not warmed up, and its phases are not timed."""
PHASE_RUNS = 5
FEW_PHASE_RUNS, MANY_PHASE_RUNS = 3, 9
"""Of a contestant whose phases are what is asked for."""
PHASE_CALLS = 2
"""A call that wakes the threads, and the call with clocks."""
PHASES = "the phases of each strategy"
MOST_AGAIN = 2
"""How often a contestant whose time is suspect is measured again."""
LONGEST_START_S = 0.3
"""Seconds of the first call up to which it may have been slow for reasons that do not return."""
WARM_WITHIN = 0.1
WARM_UP_CALLS = 8


class Session:
    """Contestants that are measured against each other. Iterate over ``events()``.

    Whatever interrupts the iteration, what was measured so far is in ``measurements()``.
    """

    def __init__(
        self,
        contestants: Sequence[Contestant],
        settings: Settings,
        watch: NoiseWatch | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._contestants = list(contestants)
        self._settings = settings
        self._watch = watch
        self._stopwatch = stopwatch or Stopwatch()
        self._operands: dict[tuple[Problem, Types], Drawn] = {}
        self.participants: list[Participant] = []
        self._benches: list[Bench] = []
        self._lookout = Lookout()
        self.forecast = Forecast(settings, self._stopwatch.resolution_s)
        self._released = False
        self._kept: dict[int, Measurement] = {}
        """By the identity of a participant that was released."""
        self._found: list[Participant | Measurement] = []
        """In the contestants' order: participants, and the records of contestants that do not take
        part."""
        self.suspects: Callable[[], Sequence[Suspect]] = tuple
        """Returns the participants to measure again after all rounds, and why; a study sets it."""

    def events(self) -> Iterator[Event]:
        """Prepare every contestant, then sample in rounds; yield what happens."""
        if self._released:
            raise ConvprofError("this session is over: its memory was given back")
        try:
            searches = new_searches(self._contestants)
            starts = self._settings.processes.starts(self._contestants)
            for index, contestant in enumerate(self._contestants):
                yield self._started(index, sum(searches[index:]), sum(starts[index:]))
                excluded = self._enter(contestant)
                if excluded is not None:
                    yield excluded
            self._operands.clear()
            self._lookout.begin()
            yield from self._rounds()
            self._lookout.end()
            yield from self._phases()
            yield from self._again()
            for participant in list(self.participants):
                yield Finished(self.measurement(participant))
        finally:
            for bench in self._benches:
                bench.close()
            self._stopwatch.close()

    def release(self) -> None:
        """Give the memory of all contestants back; results stay, nothing can be run any more."""
        if self._released:
            return
        self._released = True
        for participant in self.participants:
            if participant.samples:
                self._kept[id(participant)] = self.measurement(participant)
            del participant.bench
        self._benches.clear()
        memory.give_back()

    def measurements(self) -> list[Measurement]:
        """Return the results so far, in the contestants' order; those without a sample left out."""
        return [
            self.measurement(item) if isinstance(item, Participant) else item
            for item in self._found
            if not isinstance(item, Participant) or item.samples
        ]

    def _enter(self, contestant: Contestant) -> Refused | Failed | None:
        """Prepare, verify and warm up one contestant; return why it does not take part."""
        try:
            reason = None
            if contestant.environment is None:  # else its process refuses
                reason = contestant.strategy.why_not(contestant.problem, contestant.setting)
            if reason is None:
                # A library may bind this thread to a CPU when it is first used.
                with affinity.restored(contestant.setting.threads):
                    participant = self._prepare(contestant)
                problem = contestant.problem
                types = contestant.setting.types
                limit = tolerance(types, problem.terms, problem.roundings)
                limit += problem.known_error(types)
                if participant.error <= limit:
                    self.participants.append(participant)
                    self._found.append(participant)
                    return None
                reason = f"max_rel_error {participant.error:.2g} is over {limit:.2g}"
                wrong = report.excluded(contestant, "wrong", reason, participant.error)
                return Failed(self._exclude(wrong))
        except ToolchainError as error:
            if contestant.environment is None:  # all others would fail alike: one line for all
                raise
            return Failed(self._exclude(report.failed(contestant, error)))
        except (InputError, ThreadsError) as error:  # it refuses after all, or lacks memory
            reason = str(error)
        except Exception as error:  # noqa: BLE001  # a strategy never takes the others down
            return Failed(self._exclude(report.failed(contestant, error)))
        return Refused(self._exclude(report.excluded(contestant, "refused", reason)))

    def _exclude(self, measurement: Measurement) -> Measurement:
        self._found.append(measurement)
        return measurement

    def _drop(self, participant: Participant, error: Exception) -> Failed:
        """Record that a contestant under way has raised; it takes no further part."""
        measurement = report.failed(participant.contestant, error)
        self.participants = [other for other in self.participants if other is not participant]
        self._found = [measurement if item is participant else item for item in self._found]
        return Failed(measurement)

    def _prepare(self, contestant: Contestant) -> Participant:
        problem, setting = contestant.problem, contestant.setting
        key = (problem, setting.types)
        if key not in self._operands:
            self._operands[key] = draw(problem, setting.types, self._settings.seed)
        operands = self._operands[key]
        bench = self._bench(contestant)
        self._benches.append(bench)
        first_s = bench.start(operands)
        error = max_rel_error(operands, bench.output(), setting.layout)
        participant = Participant(contestant, bench, error)
        participant.estimate_s = self._warm_up(participant, first_s)
        self._plan_rounds(participant)
        return participant

    def _bench(self, contestant: Contestant) -> Bench:
        """Return where the contestant computes."""
        processes = self._settings.processes
        if processes.take(contestant):
            return processes.bench(contestant, self._settings.seed)
        if contestant.environment is not None:
            raise ConvprofError("a contestant of another environment needs another process")
        return LocalBench(contestant, self._stopwatch)

    def _warm_up(self, participant: Participant, first_s: float) -> float:
        """Call until two successive calls agree; return the seconds of the last one.

        A slow call is repeated only if all but its start may have been fast: a library starts
        threads in its first call, and another program may have taken the CPU.
        """
        before_s = first_s
        if self._slow_s < first_s <= LONGEST_START_S:
            before_s = participant.bench.call_s()
        if before_s > self._slow_s:
            return min(first_s, before_s)
        for _ in range(WARM_UP_CALLS):
            now_s = participant.bench.call_s()
            if abs(now_s - before_s) <= WARM_WITHIN * before_s:
                return now_s
            before_s = now_s
        return before_s

    def _plan_rounds(self, participant: Participant) -> None:
        """Choose calls per sample and rounds from the budget and the time of a call."""
        participant.calls, participant.rounds = share(
            self._settings,
            self._stopwatch.resolution_s,
            participant.estimate_s,
            network=participant.contestant.problem.is_network,
        )

    def _rounds(self, only: Sequence[Participant] | None = None) -> Iterator[Sampled | Failed]:
        """Sample all participants, or ``only`` some."""
        order = random.Random(self._settings.seed)
        chosen = self.participants if only is None else only
        rounds = max((participant.rounds for participant in chosen), default=0)
        after_s = self._after_s() if only is None else 0.0
        for number in range(rounds):
            active = [
                participant
                for participant in self.participants
                if participant.rounds > number and (only is None or _among(participant, only))
            ]
            order.shuffle(active)
            for position, participant in enumerate(active):
                try:
                    sample = self._sample(participant)
                except Exception as error:  # noqa: BLE001  # the others go on
                    yield self._drop(participant, error)
                    continue
                participant.samples[number] = sample
                if self._watch is not None and sample.core_hz:
                    self._watch.see_clock(sample.core_hz)
                if self._watch is not None and sample.source not in {None, self._stopwatch.source}:
                    self._watch.see_partial_count()
                left_s = self.forecast.left_s(number, active[position + 1 :], chosen)
                label = participant.contestant.label
                yield Sampled(label, number + 1, rounds, sample.seconds, left_s, after_s)

    def _started(self, index: int, searches: int, starts: int) -> Started:
        """Return the event of contestant ``index``, which comes before it is prepared.

        ``searches``, ``starts``: how many are left.
        """
        forecast, waiting = self.forecast, self._contestants[index:]
        processes = self._settings.processes
        prepared_s = forecast.left_s(-1, [], self.participants)
        return Started(
            self._contestants[index].label,
            index,
            len(self._contestants),
            sampling_s=prepared_s + forecast.waiting_s(waiting, self.participants),
            after_s=self._after_s(),
            loaded_s=loading.seconds() + processes.spent.total_s,
            starting_s=starts * processes.spent.usual_start_s,
            searched_s=search_time.total_s(),
            searching_s=searches * search_time.usual_s(),
            calling_s=forecast.first_calls_s(waiting, self.participants, self._slow_s),
            predicted=forecast.predicted(waiting, self.participants),
        )

    def _after_s(self, done: int = 0) -> float:
        """Estimate the seconds after all samples: the phases, of which ``done`` runs are over."""
        return sum(
            PHASE_CALLS * max(0, self._phase_runs(each) - done) * each.estimate_s
            for each in self.participants
        )

    def _again(self) -> Iterator[Sampled | Failed]:
        """Measure the suspects again, at most twice; keep the faster samples of each.

        The rounds of the second samples are not the rounds of the other contestants: a suspect
        takes part in no comparison by rounds.
        """
        for _ in range(MOST_AGAIN):
            again = [suspect.participant for suspect in self.suspects()]
            if not again:
                return
            before = [dict(participant.samples) for participant in again]
            yield from self._rounds(again)
            for participant, samples in zip(again, before, strict=True):
                if _median_s(samples) < _median_s(participant.samples):
                    participant.samples = samples
        for suspect in self.suspects():
            suspect.participant.doubt = suspect.reason

    def _phases(self) -> Iterator[Auxiliary | Failed]:
        """Time the phases of each participant in a few rounds of their own; keep the medians."""
        runs: dict[int, list[Mapping[str, float]]] = {}
        for number in range(max(map(self._phase_runs, self.participants), default=0)):
            yield Auxiliary(PHASES, self._after_s(number))
            for participant in list(self.participants):
                if number >= self._phase_runs(participant):
                    continue
                settle()
                try:
                    runs.setdefault(id(participant), []).append(participant.bench.phases())
                except Exception as error:  # noqa: BLE001  # the others go on
                    yield self._drop(participant, error)
        for participant in self.participants:
            phases = runs.get(id(participant), [{}])
            participant.phases = {
                name: stats.median([run[name] for run in phases]) for name in phases[0]
            }

    def _phase_runs(self, participant: Participant) -> int:
        """Return how often the phases of a contestant are timed: 0 for a slow one."""
        if participant.bench.facts.times_phases:
            affordable = int(WHOLE_BUDGETS * self._settings.budget_s / participant.estimate_s)
            return max(FEW_PHASE_RUNS, min(MANY_PHASE_RUNS, affordable))
        return 0 if participant.estimate_s > self._slow_s else PHASE_RUNS

    @property
    def _slow_s(self) -> float:
        """Seconds of a call from which on a contestant is slow."""
        return SLOW * self._settings.budget_s

    def _sample(self, participant: Participant) -> Sample:
        began_s = self._stopwatch.now()
        if len(self.participants) > 1:
            settle()
        sample = participant.bench.sample(participant.calls)
        self.forecast.learn(participant, self._stopwatch.now() - began_s)
        return sample

    def measurement(self, participant: Participant) -> Measurement:
        """Return the result of a contestant that has samples."""
        if id(participant) in self._kept:
            return self._kept[id(participant)]
        samples = [participant.samples[number] for number in sorted(participant.samples)]
        if self._watch is not None:
            self._watch.see_samples(participant.contestant.label, [s.seconds for s in samples])
        around = self._lookout.around()
        return report.finished(participant, samples, self._stopwatch.source, around)


def new_searches(contestants: Sequence[Contestant]) -> list[int]:
    """Return the number of timed searches of each contestant that no contestant before it makes."""
    known: set[str] = set()
    numbers = []
    for contestant in contestants:
        own = contestant.strategy.searches(contestant.problem, contestant.setting)
        numbers.append(len(own - known))
        known |= own
    return numbers


def _among(participant: Participant, others: Sequence[Participant]) -> bool:
    return any(participant is other for other in others)


def _median_s(samples: Mapping[int, Sample]) -> float:
    return stats.median([sample.seconds for sample in samples.values()])
