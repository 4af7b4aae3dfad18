"""As many OpenMP threads as asked for, whatever the variables say, or a refusal that names one."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
import threading

import pytest

from convprof.codegen import affinity
from convprof.errors import RefusedError
from convprof.strategies import openmp

GOMP = ctypes.util.find_library("gomp") if sys.platform == "linux" else None
SCRIPT = f"""
import ctypes, os
from convprof.errors import RefusedError
from convprof.codegen import affinity
from convprof.strategies import openmp
library = ctypes.CDLL({GOMP!r})
before = affinity.of()
try:
    with affinity.restored(2):
        undo = openmp.demand("it", 2, [library])
        members = openmp._members(library, 2)
    masks = [affinity.of(member) for member in members]
    print(len(members), before == affinity.of(), affinity.apart(masks), len(undo))
except RefusedError as error:
    print(error)
"""
two_cpus = pytest.mark.skipif(
    GOMP is None or len(affinity.AT_START or ()) < 2, reason="needs libgomp and two CPUs"
)


def asked(**variables):
    """Return what a process says that asks libgomp for two threads."""
    known = {*openmp.LIMITS, *affinity.BINDING, "OMP_NUM_THREADS"}
    rest = {name: value for name, value in os.environ.items() if name not in known}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**rest, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not done.stderr
    return done.stdout.strip()


@two_cpus
@pytest.mark.parametrize(
    ("name", "value", "undone"),
    [
        ("OMP_NUM_THREADS", "1", 0),
        ("OMP_MAX_ACTIVE_LEVELS", "0", 1),
        ("OMP_DYNAMIC", "true", 1),
        ("OMP_PROC_BIND", "true", 0),
        ("OMP_PROC_BIND", "master", 0),
        ("GOMP_CPU_AFFINITY", str(min(affinity.AT_START or {0})), 0),
    ],
)
def test_two_threads_on_two_cpus_and_the_caller_with_its_mask(name, value, undone):
    assert asked(**{name: value}) == f"2 True True {undone}"


@two_cpus
def test_a_limit_that_no_call_lifts_is_a_refusal_that_names_it():
    found = asked(OMP_THREAD_LIMIT="1", OMP_DYNAMIC="true")
    assert found == (
        "it runs on 1 thread here, not 2: OMP_THREAD_LIMIT=1 and OMP_DYNAMIC=true are set; "
        "unset them"
    )


class Runtime:
    """An OpenMP runtime of Python threads, as far as it is asked."""

    def __init__(self, gives=9, dynamic=0, levels=1):
        self.gives, self.dynamic, self.levels = gives, dynamic, levels
        self.omp_get_dynamic = lambda: self.dynamic
        self.omp_get_max_active_levels = lambda: self.levels

    def omp_set_dynamic(self, value):
        self.dynamic = value

    def omp_set_max_active_levels(self, value):
        self.levels = value

    def GOMP_parallel(self, body, _, threads, __):  # noqa: N802  # its name
        count = min(threads.value, 1 if self.dynamic or self.levels < 1 else self.gives)
        together = threading.Barrier(count)

        def member():
            body(None)
            together.wait(10)  # a number of a thread that has ended is given again

        workers = [threading.Thread(target=member) for _ in range(count - 1)]
        for worker in workers:
            worker.start()
        member()
        for worker in workers:
            worker.join()


def test_what_can_be_lifted_is_lifted_and_given_back():
    runtime = Runtime(dynamic=1, levels=0)
    undo = openmp.demand("it", 2, [runtime])
    assert (runtime.dynamic, runtime.levels) == (0, 1)
    for step in undo:
        step()
    assert (runtime.dynamic, runtime.levels) == (1, 0)


def test_a_refusal_gives_back_what_was_lifted(monkeypatch):
    for name in openmp.LIMITS:
        monkeypatch.delenv(name, raising=False)
    runtime = Runtime(gives=2, dynamic=1)
    with pytest.raises(
        RefusedError, match=r"it runs on 2 threads here, not 3: OpenMP .* use 2 threads$"
    ):
        openmp.demand("it", 3, [runtime])
    assert runtime.dynamic == 1


class Silent:
    """A runtime without GOMP_parallel, such as Microsoft's."""

    omp_get_dynamic = staticmethod(lambda: 0)
    omp_get_max_active_levels = staticmethod(lambda: 1)
    omp_get_max_threads = staticmethod(lambda: 4)
    omp_get_thread_limit = staticmethod(lambda: 2)


def test_a_runtime_that_runs_nothing_for_us_is_believed():
    assert openmp.demand("it", 2, [Silent]) == []
    with pytest.raises(RefusedError, match="it runs on 2 threads here, not 3"):
        openmp.demand("it", 3, [Silent])
