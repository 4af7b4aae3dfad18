"""A journal that is continued: what is held of its problems until their turn comes."""

from __future__ import annotations

import gc
import tracemalloc

from convprof.measure.report import describe
from convprof.problems import Gemm
from convprof.results import Cycles, Flops, Measurement, Time, plain
from convprof.studies import run_journal

KEPT_BYTES = 10_000
"""Of memory for a problem: its 18 results take 40 kB as Python objects."""


def rows(problem):
    return [
        Measurement(
            describe(problem), "packed", None, "f32", threads, "hot", "ok",
            time_s=Time(threads / 7e5, 1e-9, 1 / 7e5, 1 / 6e5, 1 / 8e5, 25, 100),
            cycles=Cycles(threads / 7 * 1e3, threads / 7, "calibrated", 3e9 + threads),
            flops=Flops(problem.flops, problem.flops), bytes_min=100,
        )
        for threads in range(1, 19)
    ]  # fmt: skip


class Lines:
    """A journal in memory, its lines made one at a time."""

    header = None

    def __init__(self, problems):
        self.problems = problems

    def records(self):
        for number, problem in enumerate(self.problems):
            state = {"load_per_core": number / 7, "platform": "x" * 5000}
            yield run_journal.record(number, problem, rows(problem), [{"kind": "peers"}], state)


def test_a_long_journal_takes_little_memory_and_comes_back_whole():
    problems = [Gemm(m=4, n=5, k=6 + number) for number in range(60)]
    run_journal.finished(Lines(problems[:2]), problems)  # imports and caches
    gc.collect()
    tracemalloc.start()
    found = run_journal.finished(Lines(problems), problems)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < KEPT_BYTES * len(problems)
    assert list(found) == list(range(60))
    assert [plain(m) for m in found[7].measurements] == plain(rows(problems[7]))
    assert list(found[7].comparisons) == [{"kind": "peers"}]
