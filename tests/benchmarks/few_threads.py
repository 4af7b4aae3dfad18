"""Small problems on one thread and on two: which is faster, and what the model says.

    python tests/benchmarks/few_threads.py [--rounds N] [PROBLEM ...]

Interleaved rounds in one process; the fastest sample of each counts.
"""

from __future__ import annotations

import argparse
import sys

from interleaved import fastest_us

from convprof.measure.operands import Operands
from convprof.problems import parse
from convprof.strategies import launch, registry
from convprof.strategies.base import Setting
from convprof.strategies.tuning import on_paper
from convprof.strategies.tuning.candidate import Candidate

PROBLEMS = [
    "8x8:8x16", "16x16:16x16", "32x32:32x32", "48x48:48x48", "64x64:64x64", "96x96:96x96",
    "1x256:256x256", "1x512:512x512", "ic16ih7oc16kh1", "ic16ih7oc16kh3ph1", "ic64ih7oc64kh1",
    "ic32ih14oc32kh1", "attention:1x1x16x16", "attention:1x2x32x32",
]  # fmt: skip
CALLS = 200


def main() -> int:
    """Print a line for each problem."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    chosen = parser.parse_args()
    setting = Setting("nhwc", threads=2, tune="off")
    print(f"a transfer between cores: {launch.transfer_cycles():.0f} cycles")
    for text in chosen.problems:
        problem = parse(text)
        ranked = registry.find(problem.kind, "auto")._ranked(problem, setting)
        best = ranked[0][1]
        prepared = []
        for threads in (None, 1):
            one = Candidate.first(best, problem, setting, threads).prepare(problem, setting)
            one.bind(*Operands(problem, setting.types, 0).all("nhwc"))
            prepared.append(one)
        both, alone = fastest_us(prepared, chosen.rounds, CALLS)
        model = on_paper.choose(ranked, problem, setting)[0].threads or 2
        print(
            f"{text:22} {best.name:12} 2 threads {both:7.2f} µs  1 thread {alone:7.2f}  "
            f"model: {model}  {'ok' if (alone < both) == (model == 1) else 'differs'}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
