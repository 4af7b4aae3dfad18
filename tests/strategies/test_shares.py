"""The shares of several threads on one thread: complete, the same result, the lines they write."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.threads import Work
from convprof.errors import RefusedError
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.shares import SharesRunner, assigned, finished

THREADS = 3


def runner(text, strategy, layout="nhwc", threads=THREADS):
    problem = parse(text)
    setting = Setting(layout, threads=threads, tune="off")
    chosen = registry.find(problem.kind, strategy)
    made = SharesRunner(strategy, problem, setting, chosen.plan(problem, setting))
    random = np.random.default_rng(0)
    operands = [
        random.random(spec.shape, dtype=np.float32) - 0.5
        for spec in problem.operands(layout, setting.types)
    ]
    made.bind(*operands)
    return made


def work(tasks, *, fixed):
    return Work(0, 5, 5 + tasks, 0, 0, fixed)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("tasks", [0, 1, 7, 100])
def test_every_task_belongs_to_one_thread(tasks, fixed):
    shares = assigned(work(tasks, fixed=fixed), 4)
    assert len(shares) == 4
    every = sorted(task for share in shares for part in share for task in part)
    assert every == list(range(5, 5 + tasks))


def test_a_fixed_stage_ends_with_its_longest_share():
    times = finished([[1.0], [2.0, 1.0], []], fixed=True)
    assert (times.longest, times.work) == (3.0, 4.0)


def test_a_free_thread_takes_the_next_chunk():
    # in order: 5, 1, 1, 1 on two threads: 5 on one, the three others on the other one
    times = finished([[5.0, 1.0], [1.0, 1.0]], fixed=False)
    assert (times.longest, times.work) == (5.0, 8.0)


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.parametrize(
    ("text", "strategy", "layout"),
    [
        ("mb1ic16ih9oc32kh3ph1", "microkernel", "nhwc"),
        ("mb1ic16ih9oc32kh3ph1", "microkernel", "nchw"),
        ("mb1ic16ih8oc16kh3ph1", "winograd", "nhwc"),
        ("mb1ic16ih9oc32kh3ph1", "threaded", "nhwc"),
        ("20x33:33x70", "prepacked", "nhwc"),
    ],
)
def test_the_shares_compute_the_whole_result(text, strategy, layout):
    shares = runner(text, strategy, layout)
    shares.run()
    whole = shares.output().copy()
    shares.output().fill(0)
    for stage in range(len(shares.stages)):
        for share in shares._shares:
            for part in share[stage]:
                part.run()
    assert (shares.output() == whole).all()
    seconds = [shares.member_seconds(member) for member in range(THREADS)]
    assert all(len(own) == len(shares.stages) for own in seconds)


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.parametrize(("channels", "shared"), [(16, False), (5, True)])
def test_lines_that_two_threads_write_are_counted(channels, shared):
    """16 floats of a pixel fill a line; of 5 floats, two threads share the line at the border."""
    shares = runner(f"mb1ic4ih9oc{channels}kh1", "threaded")
    shares.run()
    before = shares.output().copy()
    assert (shares.lines_of_two() > 0) == shared
    assert (shares.output() == before).all()


def test_lines_of_large_results_are_not_counted(monkeypatch):
    shares = runner("mb1ic4ih9oc5kh1", "threaded")
    monkeypatch.setattr("convprof.strategies.shares.MOST_BYTES", 1000)
    assert shares.lines_of_two() is None


def test_lines_are_not_counted_without_memory_for_a_copy(monkeypatch):
    shares = runner("mb1ic4ih9oc5kh1", "threaded")
    monkeypatch.setattr("convprof.strategies.memory.available_bytes", lambda: 100)
    assert shares.lines_of_two() is None


def test_a_disturbed_call_takes_nothing_from_the_shares(monkeypatch):
    """The call without a task is measured many times: a share never becomes 0 by one of them."""
    seconds = iter([5.0] * 10 + [1.0] * 20)
    monkeypatch.setattr("convprof.strategies.shares._Part.seconds", lambda _: next(seconds))
    shares = runner("mb1ic4ih9oc5kh1", "threaded")
    assert shares._call_s == 1.0


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
def test_scratch_memory_that_threads_claim_is_not_filled():
    """A filled claim would be taken for ever."""
    shares = runner("attention:1x2x17x16", "fused", "nchw")
    shares.run()
    assert shares.lines_of_two() == 0


def test_a_library_has_no_shares_of_ours():
    with pytest.raises(RefusedError, match="divides the work by itself"):
        runner("mb1ic4ih9oc8kh1", "im2col-blas")
