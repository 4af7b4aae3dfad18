"""False alarms and found slow-downs of ``compare results``, and how its interval was chosen.

    python tests/benchmarks/saved_results.py [--times 200]      simulated rounds, three intervals
    python tests/benchmarks/saved_results.py --measure 20       one kernel, measured again and again

Simulated: a run has 25 rounds with a random error, some disturbed rounds, and an error of its own
that all its rounds share (pages, alignment, clock). ``bootstrap``: of the quotient of the medians;
``medians``: of the two medians' intervals, as for documents without rounds; ``ranks``: the choice.
With ``2 %``, an interval must be wholly beyond 2 %, as ``compare results`` demands.

Measured: separate sessions of ``tiled`` and of a copy that takes 5 % longer. Each is compared with
the session before it, through a document as ``--json`` writes it.
Expected: ``ranks, 2 %`` under 1 % false alarms and at least 95 % found, but for very noisy rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from verdicts import PROBLEM, Slowed

from convprof import stats
from convprof.measure.contestant import Contestant
from convprof.measure.session import Session, Settings
from convprof.results import Document
from convprof.stats import SAME_WITHIN, Estimate, Ratio
from convprof.strategies.base import Setting
from convprof.studies import reading
from convprof.studies.compare import results
from convprof.studies.compare.results_files import Side
from convprof.studies.show import Saved

SLOWER = 1.05
BOOTSTRAPS = 400


@dataclass(frozen=True)
class Noise:
    """What a run adds to the true time."""

    rounds: float
    """Standard deviation of a round's logarithm."""
    disturbed: float
    """Share of the rounds that take a third longer, on the average."""
    run: float
    """Standard deviation of what all rounds of a run share."""

    def draw(self, random_: random.Random, seconds: float) -> list[float]:
        """Return the rounds of one run."""
        seconds *= math.exp(random_.gauss(0, self.run))
        return [
            seconds
            * math.exp(random_.gauss(0, self.rounds))
            * (1 + (random_.expovariate(3) if random_.random() < self.disturbed else 0))
            for _ in range(stats.MOST_ROUNDS)
        ]


NOISES = {
    "quiet": Noise(0.004, 0.02, 0.002),
    "usual": Noise(0.012, 0.05, 0.005),
    "noisy": Noise(0.03, 0.10, 0.007),
}


def bootstrap(a: list[float], b: list[float], random_: random.Random) -> Ratio:
    """Return the quotient of the medians, with the interval of drawing the rounds again."""
    drawn = sorted(
        stats.median(random_.choices(a, k=len(a))) / stats.median(random_.choices(b, k=len(b)))
        for _ in range(BOOTSTRAPS)
    )
    cut = BOOTSTRAPS // 40
    return Ratio(stats.median(a) / stats.median(b), drawn[cut], drawn[-1 - cut], len(a))


def medians(a: list[float], b: list[float], _: random.Random) -> Ratio:
    """Return the quotient of the medians, with the interval of both intervals."""
    one, other = (Estimate(stats.median(x), *stats.median_interval(x), len(x)) for x in (a, b))
    return stats.ratio_of_estimates(one, other)


def ranks(a: list[float], b: list[float], _: random.Random) -> Ratio:
    """Return what `stats.unpaired_ratio` does."""
    return stats.unpaired_ratio(a, b)


def simulate(times: int) -> None:
    """Print the rates of each interval, by noise."""
    for name, noise in NOISES.items():
        for interval in (bootstrap, medians, ranks):
            random_ = random.Random(1)
            counts: Counter[str] = Counter()
            for _ in range(times):
                base, same, slow = (noise.draw(random_, s) for s in (1.0, 1.0, SLOWER))
                alarm, slowed = interval(same, base, random_), interval(slow, base, random_)
                for margin in (0.0, SAME_WITHIN):
                    beyond = alarm.low > 1 + margin or alarm.high < 1 / (1 + margin)
                    counts[f"alarms {margin}"] += beyond
                    counts[f"found {margin}"] += slowed.low > 1 + margin
            for margin in (0.0, SAME_WITHIN):
                alarms = 100 * counts[f"alarms {margin}"] / times
                hits = 100 * counts[f"found {margin}"] / times
                print(
                    f"{name:6} {interval.__name__:9} beyond {100 * margin:.0f} %: "
                    f"{alarms:5.1f} % false alarms, {hits:5.1f} % found"
                )


def side(share: float, seed: int, budget: float) -> Side:
    """Measure in a session of its own; return its document, written and read."""
    session = Session(
        [Contestant(Slowed(share), PROBLEM, Setting("nhwc"))], Settings(budget_s=budget, seed=seed)
    )
    for _ in session.events():
        pass
    document = Document("1", {"key": "0123456789ab"}, {}, {}, {})
    document.measurements += session.measurements()
    read = reading.document(json.loads(json.dumps(document.to_json())))
    return Side(str(seed), (Saved(str(seed), read),))


def measure(times: int, budget: float) -> None:
    """Print the verdicts on pairs of sessions that follow one another."""
    plain = [side(0.0, seed, budget) for seed in range(times + 1)]
    slow = [side(SLOWER - 1, seed, budget) for seed in range(times)]
    slower = zip(plain[1:], slow, strict=True)
    for name, pairs in (("the same", pairwise(plain)), ("5 % slower", slower)):
        rows = [results.compare(base, new).rows[0] for base, new in pairs]
        counts = Counter(row.verdict for row in rows)
        doubts = sum(row.doubt is not None for row in rows)
        print(f"{name}: " + ", ".join(f"{v} {n}" for v, n in counts.most_common()), end="")
        print(f" (in doubt {doubts})")


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--measure", type=int, metavar="TIMES")
    parser.add_argument("--budget", type=float, default=0.2)
    flags = parser.parse_args()
    if flags.measure:
        measure(flags.measure, flags.budget)
    else:
        simulate(flags.times)


if __name__ == "__main__":
    main()
