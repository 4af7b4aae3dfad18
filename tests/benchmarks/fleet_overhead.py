"""What scheduling costs in a fleet of 8 local workers.

Idle hosts: with tasks of 1 s that sleep, the share of the elapsed time in which a host runs no
task. Memory: with 1,000 problems x 8 workers and tasks that take no time, the memory of this
process, and how many tasks per second this process can take (all workers share the machine).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "studies" / "helpers"))
import fleets

from convprof.problems import Gemm, TypedProblem
from convprof.studies.fleet import connect, records, study, suite, task
from convprof.studies.fleet.job import Terms
from convprof.studies.journal import Journal

STEPS = 10


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--naps", type=int, default=60)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    cluster = connect.connected(connect.Place("worker", arguments.workers))
    try:
        task.measure = fleets.nap
        elapsed_s = measured(cluster, arguments.naps)
        ideal_s = fleets.NAP_S * arguments.naps
        print(
            f"{arguments.naps} tasks of {fleets.NAP_S:g} s on each of {arguments.workers} workers:"
        )
        print(f"{elapsed_s:.2f} s, idle {elapsed_s / ideal_s - 1:.2%}")
        task.measure = fleets.quick
        elapsed_s = measured(cluster, arguments.problems, shows=True)
        tasks = arguments.problems * arguments.workers
        print(f"{tasks} tasks that take no time: {elapsed_s:.1f} s, {tasks / elapsed_s:.0f} per s")
    finally:
        cluster.close()


def measured(cluster, count, *, shows=False):
    """Run a suite of ``count`` problems; return the seconds from the first task to the last."""
    problems = [Gemm(m=m, n=1, k=1) for m in range(1, count + 1)]
    parts = suite.suite_of({TypedProblem(problem, "f32"): 1 for problem in problems})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "fleet.jsonl")
        with Journal(path, records.KIND) as journal:
            journal.begin(records.header(records.identity(parts, {}, "worker")))
            terms = Terms("worker", {})
            fleet = study.Fleet(cluster, suite.Suite(journal, parts, terms))
            start, step = None, 0
            for _ in fleet.events():
                if start is None and fleet.total:
                    start = time.monotonic()
                while shows and fleet.total and fleet.done * STEPS >= step * fleet.total:
                    mib = psutil.Process().memory_info().rss / 2**20
                    print(f"{step / STEPS:4.0%} {time.monotonic() - start:6.1f} s {mib:6.1f} MiB")
                    step += 1
            return time.monotonic() - start


if __name__ == "__main__":
    main()
