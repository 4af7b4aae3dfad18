"""What scheduling costs in a fleet: 1,000 problems x 8 local workers with a task that does nothing.

The overhead is the elapsed time per task and host, as a share of the shortest real task: `convprof
run` of one small product with one strategy. The memory of this process must not grow.
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

from convprof.measure.report import describe
from convprof.problems import Gemm
from convprof.studies.fleet import connect, records, request, study, task
from convprof.studies.journal import Journal


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    wanted = parser.parse_args()
    problems = [Gemm(m=m, n=1, k=1) for m in range(1, wanted.problems + 1)]
    suite = study.suite_of([(describe(problem), 1) for problem in problems])
    task.measure = fleets.quick
    cluster = connect.connected(connect.Place("worker", wanted.workers))
    terms = study.Terms("worker", {})
    memory = psutil.Process().memory_info
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fleet.jsonl"
            with Journal(str(path), records.KIND) as journal:
                journal.begin(records.header(records.identity(problems, {}, "worker")))
                fleet = study.Fleet(cluster, journal, suite, terms)
                start, shown = time.monotonic(), 0.0
                for _ in fleet.events():
                    share = fleet.done / max(1, fleet.total)
                    if fleet.total and share >= shown:
                        elapsed_s = time.monotonic() - start
                        print(f"{share:4.0%} {elapsed_s:6.1f} s {memory().rss / 2**20:6.1f} MiB")
                        shown += 0.1
                elapsed_s = time.monotonic() - start
            print(f"{path.stat().st_size / fleet.total:.0f} bytes per line")
    finally:
        cluster.close()
    per_task_s = elapsed_s / wanted.problems
    real_s = _real_s()
    print(
        f"{1e3 * per_task_s:.1f} ms per task and host, {1e3 * elapsed_s / fleet.total:.2f} ms each"
    )
    print(f"shortest real task {real_s:.2f} s: overhead {per_task_s / real_s:.2%}")


def _real_s():
    small = request.described(Gemm(m=4, n=4, k=4))
    options = {"strategy": ("naive",), "threads": ("1",)}
    asked = request.Request(small, "here", "worker", 60.0, options)
    times = []
    for _ in range(3):
        start = time.monotonic()
        assert task.measured(asked, task.environment())["status"] == "finished"
        times.append(time.monotonic() - start)
    return min(times)


if __name__ == "__main__":
    main()
