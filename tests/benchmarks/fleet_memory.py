"""The memory of the command of a fleet, for each 1,000 tasks that take no time.

``--within``: the scheduler is in this process, as with ``--workers``. Without it the scheduler is
in a process of its own, as with ``--scheduler``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "studies" / "helpers"))
import fleets

from convprof.problems import Gemm, TypedProblem
from convprof.studies.fleet import connect, records, study, suite, task
from convprof.studies.fleet.connect import Place
from convprof.studies.fleet.job import Terms
from convprof.studies.journal import Journal

STEP = 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--within", action="store_true")
    arguments = parser.parse_args()
    task.measure = fleets.quick
    place = Place("worker", arguments.workers)
    with contextlib.ExitStack() as stack:
        if not arguments.within:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            place = Place("worker", 0, stack.enter_context(started(folder, arguments.workers)))
        cluster = connect.connected(place)
        stack.callback(cluster.close)
        show(cluster, arguments)


@contextlib.contextmanager
def started(folder, workers):
    """Start a scheduler and workers as processes; yield the address."""
    file = Path(folder) / "scheduler.json"
    at = ["--scheduler-file", str(file), "--no-dashboard"]
    each = ["dask_worker", *at, "--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--name"]
    words = [["dask_scheduler", "--host", "127.0.0.1", "--port", "0", *at]]
    words += [[*each, f"worker-{number}"] for number in range(workers)]
    environment = {**os.environ, "PYTHONPATH": str(Path(fleets.__file__).parent)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *rest],
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        for name, *rest in words
    ]
    try:
        while not file.exists():
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def show(cluster, arguments):
    problems = [Gemm(m=m, n=1, k=1) for m in range(1, arguments.problems + 1)]
    parts = suite.suite_of({TypedProblem(problem, "f32"): 1 for problem in problems})
    terms = Terms("worker", {}, hosts=arguments.workers)
    known = records.identity(parts, {}, "worker")
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal(str(Path(folder) / "fleet.jsonl"), records.KIND) as journal,
    ):
        journal.begin(records.header(known))
        fleet = study.Fleet(cluster, suite.Suite(journal, parts, terms))
        step = 0
        for _ in fleet.events():
            if fleet.total and fleet.done >= step * STEP:
                step += 1
                gc.collect()
                print(f"{fleet.done:6} tasks {memory_mib():7.1f} MiB", flush=True)


def memory_mib():
    return psutil.Process().memory_info().rss / 2**20


if __name__ == "__main__":
    main()
