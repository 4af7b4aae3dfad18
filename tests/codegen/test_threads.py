from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from convprof.codegen import affinity, threads_code
from convprof.codegen.jit import Module
from convprof.codegen.threads import Program, Team
from convprof.codegen.threads import team as shared_team
from convprof.errors import ThreadsError
from convprof.machine import facts
from convprof.strategies import kernels

CPUS = facts().topology.usable_cpus


def mark(lo, hi, buffers, dims):
    """Add one to each task's element, and the task's number to another array."""
    counts, numbers = buffers[0], buffers[1]
    for task in range(lo, hi):
        counts[task] = counts[task] + 1
        numbers[task] = numbers[task] + task + dims[0]


def mirror(lo, hi, buffers, dims):
    """Read what another task of the stage before wrote: from the far end of the source."""
    source, target = buffers[0], buffers[1]
    last = dims[0] - 1
    for task in range(lo, hi):
        target[task] = source[last - task] + 1


class Stages:
    """A program under construction; the program keeps the memory alive."""

    def __init__(self):
        self.rows = []
        self._alive = []

    def add(self, kernel, lo, hi, buffers, *dims):
        pointers = np.array([array.ctypes.data for array in buffers], dtype=np.int64)
        words = np.array(dims or (0,), dtype=np.int64)
        self._alive += [pointers, words, buffers]
        address = kernels.address(kernel, "f64")
        self.rows.append((address, lo, hi, pointers.ctypes.data, words.ctypes.data))
        return self

    def program(self, threads):
        program = Program(self.rows, threads)
        program.alive = self
        return program


@pytest.fixture(params=[1, 2, 3])
def team(request):
    made = Team(request.param)
    yield made
    made.close()


TASKS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 25, 100, 1001]


@pytest.mark.parametrize("tasks", TASKS)
def test_every_task_runs_exactly_once(team, tasks):
    counts, numbers = np.zeros(tasks + 2), np.zeros(tasks + 2)
    program = Stages().add(mark, 1, 1 + tasks, [counts, numbers], 10).program(team.threads)

    team.run(program)

    expected = np.zeros(tasks + 2)
    expected[1 : 1 + tasks] = 1
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(numbers, expected * (np.arange(tasks + 2) + 10))


def test_a_program_can_run_again_and_another_in_between(team):
    arrays = [np.zeros(50) for _ in range(4)]
    first = Stages().add(mark, 0, 50, arrays[:2]).program(team.threads)
    second = Stages().add(mark, 0, 7, arrays[2:]).add(mark, 3, 9, arrays[2:]).program(team.threads)
    for _ in range(5):
        team.run(first)
        team.run(second)
        team.run(second)

    np.testing.assert_array_equal(arrays[0], np.full(50, 5))
    np.testing.assert_array_equal(arrays[2][:10], [10, 10, 10, 20, 20, 20, 20, 10, 10, 0])


def test_stages_of_uneven_length_each_run_completely(team):
    stages, arrays = Stages(), []
    for tasks in TASKS:
        arrays.append(np.zeros(tasks + 1))
        stages.add(mark, 0, tasks, [arrays[-1], np.zeros(tasks + 1)])
    team.run(stages.program(team.threads))

    for tasks, counts in zip(TASKS, arrays, strict=True):
        np.testing.assert_array_equal(counts, [1] * tasks + [0])


def chain_of_mirrors(threads, tasks, stages):
    """Return a program in which every stage needs all of the stage before, and its result."""
    made = Stages()
    arrays = [np.arange(tasks, dtype=np.float64)]
    for _ in range(stages):
        arrays.append(np.full(tasks, -1e9))
        made.add(mirror, 0, tasks, arrays[-2:], tasks)
    return made.program(threads), arrays


@pytest.mark.parametrize("stages", [2, 5, 8])
def test_a_stage_sees_all_that_the_stage_before_wrote(team, stages):
    program, arrays = chain_of_mirrors(team.threads, 999, stages)
    for _ in range(10):
        for array in arrays[1:]:
            array.fill(-1e9)
        team.run(program)
        expected = np.arange(999.0)
        for array in arrays[1:]:
            expected = expected[::-1] + 1
            np.testing.assert_array_equal(array, expected)


def test_workers_that_fell_asleep_wake_up(team):
    program, arrays = chain_of_mirrors(team.threads, 64, 3)
    for _ in range(10):
        time.sleep(0.01)
        arrays[-1].fill(-1)
        team.run(program)
        np.testing.assert_array_equal(arrays[-1], np.arange(64)[::-1] + 3)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_launches(threads):
    launches = 4000 if threads <= CPUS else 100  # a barrier on too few cores waits for time slices
    team = Team(threads)
    counts, numbers = np.zeros(9), np.zeros(9)
    program = (
        Stages()
        .add(mark, 0, 9, [counts, numbers])
        .add(mark, 0, 1, [counts, numbers])
        .program(threads)
    )
    for _ in range(launches):
        team.run(program)
    team.close()
    np.testing.assert_array_equal(counts, [2 * launches] + [launches] * 8)


def test_close_ends_the_threads():
    before = set(threading.enumerate())
    team = Team(3)
    workers = set(threading.enumerate()) - before
    assert len(workers) == 2
    counts = np.zeros(10)
    team.run(Stages().add(mark, 0, 10, [counts, np.zeros(10)]).program(3))
    team.close()

    assert not any(worker.is_alive() for worker in workers)
    assert before == set(threading.enumerate())
    team.close()  # as the interpreter does once more when it ends


@pytest.mark.parametrize("pause", [0.0, 0.00002, 0.0001, 0.01])
def test_close_finds_workers_awake_or_asleep(pause):
    for _ in range(20):
        team = Team(2)
        time.sleep(pause)
        team.close()
        assert not team._threads


def test_an_interpreter_with_a_sleeping_team_ends():
    program = (
        "import time; from convprof.codegen.threads import team; "
        "t = team(3); time.sleep(0.01); print(1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_one_team_of_each_size_per_process():
    assert shared_team(2) is shared_team(2)
    assert shared_team(2) is not shared_team(1)
    assert (shared_team(1).threads, shared_team(2).threads) == (1, 2)


def test_threads_on_other_cpus_have_a_team_of_their_own(monkeypatch):
    first = shared_team(2)
    monkeypatch.setattr(affinity, "allowed", lambda _: frozenset({1 << 15}))
    second = shared_team(2)
    assert second is not first
    second.close()
    monkeypatch.undo()
    assert shared_team(2) is first


def test_workers_of_a_bound_thread_have_cpus_of_their_own():
    start = affinity.AT_START
    if start is None or len(start) < 2:
        pytest.skip("needs two CPUs, and sched_setaffinity")
    first = frozenset({min(start)})
    affinity.change(0, first)
    try:
        made = Team(2)
        counts = np.zeros(10)
        made.run(Stages().add(mark, 0, 10, [counts, np.zeros(10)]).program(2))
        (worker,) = made._threads
        assert affinity.of(worker.native_id) == start - first
        made.close()
    finally:
        affinity.change(0, start)


class NoMoreThreads(threading.Thread):
    """The second thread does not start."""

    started = 0

    def start(self):
        if NoMoreThreads.started:
            raise RuntimeError("can't start new thread")
        NoMoreThreads.started += 1
        super().start()


def test_a_team_whose_threads_do_not_start_says_so_and_leaves_none(monkeypatch):
    before = set(threading.enumerate())
    monkeypatch.setattr(NoMoreThreads, "started", 0)
    monkeypatch.setattr(threading, "Thread", NoMoreThreads)
    with pytest.raises(ThreadsError, match=r"this process 3 threads: raise the limit \(ulimit -u"):
        Team(3)
    assert before == set(threading.enumerate())


def test_two_python_threads_may_run_at_once(team):
    chains = [chain_of_mirrors(team.threads, 999, 6) for _ in range(2)]
    runs = 200 if team.threads <= CPUS else 3
    expected = np.arange(999) + 6
    right = []

    def work(program, arrays):
        for _ in range(runs):
            arrays[-1].fill(-1)
            team.run(program)
            right.append(np.array_equal(arrays[-1], expected))

    callers = [threading.Thread(target=work, args=chain, daemon=True) for chain in chains]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert right == [True] * (2 * runs)


BUSY_AT_EXIT = """
import threading, time
import numpy as np
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.problems import Gemm
a = np.ones((64, 64), np.float32)
one = registry.find("gemm", "packed").prepare(Gemm(m=64, n=64, k=64), Setting(threads=2))
one.bind(a, a)
def work():
    while True:
        one.run()
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
print("end")
"""


def test_an_interpreter_ends_while_a_daemon_thread_runs_the_team():
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", BUSY_AT_EXIT],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_after_close_the_caller_runs_alone(team):
    counts = np.zeros(10)
    program = Stages().add(mark, 0, 10, [counts, np.zeros(10)]).program(team.threads)
    team.run(program)
    team.close()
    team.run(program)
    np.testing.assert_array_equal(counts, np.full(10, 2))


def test_a_forked_team_that_could_not_start_tries_again(monkeypatch):
    made = Team(3)
    counts = np.zeros(10)
    program = Stages().add(mark, 0, 10, [counts, np.zeros(10)]).program(3)
    parents = made._threads, made._locks
    made.forget()
    with monkeypatch.context() as patch:
        patch.setattr(NoMoreThreads, "started", 0)
        patch.setattr(threading, "Thread", NoMoreThreads)
        with pytest.raises(ThreadsError):
            made.run(program)
    made.run(program)
    np.testing.assert_array_equal(counts, np.ones(10))
    made.close()
    for door in parents[1]:  # here they are in this very process
        door.release()
    for thread in parents[0]:
        thread.join()


FORKED = """
import multiprocessing, os, sys, warnings
import numpy as np
import convprof
warnings.simplefilter("ignore")  # Python's own, about forks of processes with threads
p = convprof.Gemm(m=64, n=64, k=64)
a, b = np.ones((64, 64), np.float32), np.ones((64, 64), np.float32)
from convprof.strategies import registry
from convprof.strategies.base import Setting

def made():
    one = registry.find("gemm", "packed").prepare(p, Setting(threads=2))
    one.bind(a, b)
    one.run()
    return one

prepared = made()

def child():
    again = prepared
    again.run()
    fresh = made()
    for _ in range(50):
        again.run()
        fresh.run()
    same = (again.output() == 64).all() and (fresh.output() == 64).all()
    sys.exit(0 if same else 1)

worker = multiprocessing.get_context("fork").Process(target=child)
worker.start()
worker.join(40)
prepared.run()  # the parent's team goes on
print(worker.exitcode, bool((prepared.output() == 64).all()))
worker.kill()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_made_by_fork_starts_its_own_workers():
    done = subprocess.run(
        [sys.executable, "-c", FORKED],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.stdout, done.stderr) == ("0 True\n", "")


STACK = """
define void @stack(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {
  %slot = alloca i64, align 16
  store volatile i64 0, ptr %slot
  %address = ptrtoint ptr %slot to i64
  %out = load ptr, ptr %buffers
  %at = getelementptr i64, ptr %out, i64 %lo
  store i64 %address, ptr %at
  ret void
}

define void @deeper(i64 %bytes, ptr %solo, ptr %program) {
  %room = alloca i8, i64 %bytes, align 16
  store volatile i8 0, ptr %room
  call void %solo(ptr %program, i64 1)
  ret void
}
"""


def test_a_stage_begins_at_the_same_place_in_a_cache_line_of_the_stack(team):
    """Else spilled vectors cross two lines in one process and not in the next."""
    module = Module(STACK)
    addresses = np.zeros(team.threads, np.int64)
    pointers = np.array([addresses.ctypes.data], np.int64)
    stage = (module.address("stack"), 0, team.threads, pointers.ctypes.data, 0, True)
    team.run(Program([stage], team.threads))
    places = set(addresses % 64)
    program = Program([stage], 1)
    deeper = module.function("deeper", None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    solo = ctypes.cast(threads_code.functions()[0], ctypes.c_void_p)
    for room in (16, 32, 48, 64):
        deeper(room, solo, program.address)
        places.add(addresses[0] % 64)
    assert len(places) == 1
