"""How long the samples of a session will take, with what is not timed around them.

Between two samples other threads have to settle, the clock of the core is measured, caches are
filled or evicted. For short calls this takes longer than the samples. It is learned from the
samples taken so far.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from convprof.measure.rounds import ROUNDS, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings

OVERHEAD_S = 3e-4
"""Seconds around a sample, before one was taken: 0.2 ms in which others settle, and the clock."""
OVERHEAD_SAMPLES = 4
"""The number of samples for which the usual overhead counts."""
ENOUGH = 3
"""Samples of a participant whose median counts instead of the prediction."""
NETWORK_FLOP_PER_S = 5e10
"""Of a whole network, before anything was timed."""
FIRST_CALLS = 3
"""Calls of a contestant that is verified and warmed up; a slow one is called once or twice."""


class Forecast:
    """Learns from the samples of one session."""

    def __init__(self, settings: Settings, resolution_s: float) -> None:
        self._settings, self._resolution_s = settings, resolution_s
        self._took_s: dict[int, list[float]] = {}
        """Seconds of the samples of a participant, by its identity; the shortest first."""
        self._median_s: dict[int, float] = {}
        self._sum_s, self._sum_of_medians_s = 0.0, 0.0
        """Of all samples; a disturbed sample takes longer than the median of its participant."""
        self._around_s = OVERHEAD_SAMPLES * OVERHEAD_S
        self._samples = OVERHEAD_SAMPLES
        self.call_s: Callable[[Contestant], float | None] = lambda _: None
        """Returns the seconds of a call of a contestant that is not prepared; a study that can
        predict them sets it."""

    def begin_from(self, earlier: Forecast) -> None:
        """Expect around the first samples what an earlier session found around its samples."""
        self._around_s = OVERHEAD_SAMPLES * earlier._overhead_s  # of the same class

    def learn(self, participant: Participant, seconds: float) -> None:
        """Take the seconds of a sample with everything around it."""
        key = id(participant)
        own_s = self._took_s.setdefault(key, [])
        self._sum_of_medians_s -= len(own_s) * self._median_s.get(key, 0.0)
        bisect.insort(own_s, seconds)  # sorting all of them after each sample is quadratic work
        self._median_s[key] = (own_s[(len(own_s) - 1) // 2] + own_s[len(own_s) // 2]) / 2
        self._sum_of_medians_s += len(own_s) * self._median_s[key]
        self._sum_s += seconds
        self._around_s += max(0.0, seconds - _computing_s(participant))
        self._samples += 1

    def left_s(
        self, number: int, rest: Iterable[Participant], chosen: Iterable[Participant]
    ) -> float:
        """Return the seconds of ``rest`` in round ``number``, and of ``chosen`` in later rounds."""
        later = (self._sample_s(each) * max(0, each.rounds - number - 1) for each in chosen)
        return sum(map(self._sample_s, rest)) + sum(later)

    def waiting_s(
        self, contestants: Iterable[Contestant], participants: Sequence[Participant]
    ) -> float:
        """Return the seconds of all samples of contestants that are not prepared yet."""
        return sum(self._waiting_s(each, participants) for each in contestants)

    def first_calls_s(
        self, contestants: Iterable[Contestant], participants: Sequence[Participant], slow_s: float
    ) -> float:
        """Return the seconds of the calls before the samples, where they can be predicted."""
        calls_s = (self._call_s(each, participants) or 0.0 for each in contestants)
        return sum(seconds * (1 if seconds > slow_s else FIRST_CALLS) for seconds in calls_s)

    def predicted(
        self, contestants: Iterable[Contestant], participants: Sequence[Participant]
    ) -> int:
        """Return the number of contestants whose time can be predicted."""
        return sum(self._call_s(each, participants) is not None for each in contestants)

    def _sample_s(self, participant: Participant) -> float:
        pace = self._sum_s / self._sum_of_medians_s if self._sum_of_medians_s else 1.0
        predicted_s = pace * (_computing_s(participant) + self._overhead_s)
        taken_s = self._took_s.get(id(participant))
        if taken_s is None:
            return predicted_s
        median_s = pace * self._median_s[id(participant)]
        # a first call may have been disturbed, and so may one or two samples
        return median_s if len(taken_s) >= ENOUGH else min(median_s, predicted_s)

    @property
    def _overhead_s(self) -> float:
        return self._around_s / self._samples

    def _waiting_s(self, contestant: Contestant, participants: Sequence[Participant]) -> float:
        call_s = self._call_s(contestant, participants)
        if call_s is None:
            rounds = self._settings.rounds or ROUNDS
            return self._settings.budget_s + rounds * self._overhead_s
        network = contestant.problem.is_network
        calls, rounds = share(self._settings, self._resolution_s, call_s, network=network)
        return rounds * (calls * call_s + self._overhead_s)

    def _call_s(self, contestant: Contestant, participants: Sequence[Participant]) -> float | None:
        """Predict a call: as the study says; a network by another one, or by its layers' rates."""
        predicted = self.call_s(contestant)
        if predicted is not None or not contestant.problem.is_network:
            return predicted
        for participant in reversed(participants):
            if participant.contestant.problem is contestant.problem:
                return participant.estimate_s
        hot = [p for p in participants if p.contestant.cache == "hot" and p.estimate_s]
        flops = sum(p.contestant.problem.flops for p in hot)
        rate = flops / sum(p.estimate_s for p in hot) if flops else NETWORK_FLOP_PER_S
        return contestant.problem.flops / rate


def _computing_s(participant: Participant) -> float:
    """Return the seconds of a sample's calls, and of the first one, which is not timed."""
    cold = participant.contestant.cache == "cold"
    calls = participant.calls + (participant.calls > 1 and not cold)
    return calls * (participant.estimate_s + participant.bench.untimed_s)
