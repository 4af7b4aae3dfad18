"""A/A and A/B: 50 comparisons of a strategy with itself, and with a copy made 5 % slower.

    python tests/benchmarks/verdicts.py [--times 50] [--budget 0.2]

Expected: at least 48 of 50 A/A comparisons ``same`` or ``undecided``; at least 45 of 50 slower
copies called ``slower``.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from convprof import stats
from convprof.measure.contestant import Contestant
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.problems import Conv2d
from convprof.strategies import registry
from convprof.strategies.base import Setting, Strategy

PROBLEM = Conv2d(n=1, c=64, h=28, w=28, k=64, r=3, s=3, pad=(1, 1))


class Slowed(Strategy):
    """A strategy whose every call takes five per cent longer, by spinning on the clock."""

    name = "slowed"
    kind = "conv2d"
    summary = "tiled, five per cent slower"

    def __init__(self, share: float) -> None:
        self._share = share

    def prepare(self, problem, setting):
        """Wrap the run of ``tiled``."""
        prepared = registry.find("conv2d", "tiled").prepare(problem, setting)
        fast = prepared.run
        share = self._share

        def run() -> None:
            start = time.perf_counter_ns()
            fast()
            now = time.perf_counter_ns()
            until = now + share * (now - start)
            while time.perf_counter_ns() < until:
                pass

        prepared.run = run
        return prepared


def verdicts(strategies: tuple[Strategy, Strategy], times: int, budget: float) -> Counter[str]:
    """Return how often the second was called what, against the first."""
    counts: Counter[str] = Counter()
    for seed in range(times):
        session = Session(
            [Contestant(strategy, PROBLEM, Setting("nhwc")) for strategy in strategies],
            Settings(budget_s=budget, seed=seed),
        )
        for _ in session.events():
            pass
        a, b = (
            [sample.seconds for _, sample in sorted(participant.samples.items())]
            for participant in session.participants
        )
        counts[stats.paired_ratio(b, a).verdict] += 1
    return counts


def main() -> None:
    """Run both experiments and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--budget", type=float, default=0.2)
    given = parser.parse_args()
    same = Slowed(0.0)
    for label, second in (("A/A", same), ("A/B, 5 % slower", Slowed(0.05))):
        counts = verdicts((same, second), given.times, given.budget)
        print(f"{label}: " + ", ".join(f"{word} {count}" for word, count in counts.most_common()))


if __name__ == "__main__":
    main()
