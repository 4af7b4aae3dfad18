"""What ``--isolate`` costs: each contestant in this process and in another, in the same rounds.

The contestants of a library share its process, in all problems.

    python tests/benchmarks/isolated.py --rounds 100 -t 1 -t 2

Prints the ratio of the times (isolated / here) of the medians and of the shortest samples, and the
seconds that starting, preparing and verifying takes on either side.
"""

from __future__ import annotations

import contextlib
import itertools
import time

import click

from convprof import stats
from convprof.measure.bench import LocalBench
from convprof.measure.contestant import Contestant
from convprof.measure.events import Started
from convprof.measure.isolated.processes import Processes
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.base import Setting

PROBLEMS = ("mb1ic64ih56oc64kh3ph1", "mb1ic64ih14oc64kh1ph0", "256x256:256x256", "32x32:32x32")
NAMES = "microkernel,prepacked,blas,torch,onnxruntime,openvino"


class Pairs(Session):
    """Every second contestant computes in another process."""

    entered = 0

    def _bench(self, contestant):
        self.entered += 1
        if self.entered % 2:
            return LocalBench(contestant, self._stopwatch)
        return super()._bench(contestant)


@click.command()
@click.option("--rounds", default=50, show_default=True)
@click.option("--threads", "-t", multiple=True, type=int, default=(1,))
@click.option("--strategies", "-s", default=NAMES, show_default=True)
@click.argument("problems", nargs=-1)
def main(rounds, threads, strategies, problems):
    with contextlib.closing(Processes(300.0)) as processes:
        compare(rounds, threads, strategies, problems, processes)


def compare(rounds, threads, strategies, problems, processes):
    """Print the ratios of each problem."""
    ratios = []
    for text in problems or PROBLEMS:
        problem = parse(text)
        contestants = [
            Contestant(strategy, problem, Setting(threads=count))
            for strategy in registry.named(problem.kind, strategies.split(","))
            for count in threads
            if strategy.why_not(problem, Setting(threads=count)) is None
            for _ in range(2)
        ]
        budget_s = rounds * 3e-3
        session = Pairs(contestants, Settings(budget_s, rounds, processes=processes))
        starts = []
        for event in session.events():
            if isinstance(event, Started) or len(starts) == len(contestants):
                starts.append(time.perf_counter())
        seconds = [after - before for before, after in itertools.pairwise(starts)]
        pairs = zip(session.participants[::2], session.participants[1::2], strict=True)
        for number, (here, isolated) in enumerate(pairs):
            first, second = list(here.seconds.values()), list(isolated.seconds.values())
            median = stats.median(second) / stats.median(first)
            ratios.append(min(second) / min(first))
            prepared = " and ".join(f"{s:.2f} s" for s in seconds[2 * number : 2 * number + 2])
            print(
                f"{text:24} {here.contestant.label:30} {min(first) * 1e6:9.1f} us"
                f"  medians {median:.3f}  shortest {ratios[-1]:.3f}  prepared {prepared}"
            )
    print(f"geometric mean of the shortest: {stats.geometric_mean(ratios):.3f}")


if __name__ == "__main__":
    main()
