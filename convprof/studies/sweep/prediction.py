"""How long the points of a sweep will take, by the rates at the points before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.measure.rounds import FEWEST_ROUNDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.measure.contestant import Contestant
    from convprof.measure.settings import Settings

CONTESTANT_S = 0.15
"""Seconds of a contestant at a point besides its calls, before a point was measured."""
FIRST_CALLS = 3
"""Calls at a point before the samples: one is verified, others warm up."""
USUAL_FLOP_PER_S = 5e9
"""Between loops that are slow and kernels that are fast."""
LEAST_TREND = 0.5
"""No rate is expected to fall further from one point to the next: the last one was disturbed."""


class Prediction:
    """Learns the rates of contestants, and what a point takes besides their calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rates: dict[str, float] = {}
        """FLOP/s of each contestant at the last point that it was measured at."""
        self._trends: dict[str, float] = {}
        """This rate over the one at the point before."""
        self._besides_s = CONTESTANT_S
        """Seconds of a contestant at the last point besides its calls."""

    def learn(self, rates: Mapping[str, float]) -> None:
        """Take the FLOP/s of the contestants at a point."""
        before = self._rates
        self._trends |= {name: rate / before.get(name, rate) for name, rate in rates.items()}
        self._rates = {**before, **rates}

    def learn_time(self, contestants: Sequence[Contestant], seconds: float) -> None:
        """Take how long a point has taken."""
        besides_s = seconds - sum(map(self._calls_s, contestants))
        self._besides_s = max(0.0, besides_s) / max(1, len(contestants))

    def rate(self, contestant: Contestant) -> float | None:
        """Return the FLOP/s at the last point; None if there was no point."""
        return self._rates.get(contestant.label)

    def call_s(self, contestant: Contestant) -> float | None:
        """Predict the seconds of a call; None without a rate.

        A rate that falls, because operands leave a cache, will fall as much once more, or by half.
        """
        rate = self.rate(contestant)
        if rate is None:
            return None
        trend = max(LEAST_TREND, min(1.0, self._trends[contestant.label]))
        return contestant.problem.flops / (rate * trend)

    def point_s(self, contestants: Sequence[Contestant]) -> float:
        """Predict the seconds of a point with these contestants."""
        return sum(self._besides_s + self._calls_s(each) for each in contestants)

    def _calls_s(self, contestant: Contestant) -> float:
        """Predict the seconds of a contestant's calls at a point; usual ones before any point."""
        call_s = self.call_s(contestant) or contestant.problem.flops / USUAL_FLOP_PER_S
        warming = FIRST_CALLS if call_s < self._settings.budget_s else 0
        return warming * call_s + predicted_s(call_s, self._settings)


def predicted_s(call_s: float, settings: Settings) -> float:
    """Return the seconds that a contestant takes at a point if a call takes `call_s`.

    The call that is verified, and the samples that `Session` would take.
    """
    if settings.rounds is not None:
        return call_s * (1 + settings.rounds)
    affordable = max(1, int(settings.longest_s / call_s))
    return max(settings.budget_s, call_s * (1 + min(FEWEST_ROUNDS, affordable)))
