"""Libraries that are used for the first time: threads, forks, precision, and what is given back."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from convprof.codegen import affinity, spare_threads
from convprof.errors import RefusedError
from convprof.machine import noise
from convprof.strategies import forks, openmp
from convprof.strategies.base import Prepared, Setting
from convprof.strategies.peers import first_use as first
from convprof.strategies.peers import precision
from convprof.strategies.peers.first_use import first_use


class Bound(Prepared):
    """Something prepared that does nothing."""

    def __init__(self, threads):
        self.setting = Setting(threads=threads)

    def bind(self, *operands):
        raise NotImplementedError

    def run(self):
        """Compute nothing."""

    def output(self):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Forget what other tests used."""
    monkeypatch.setattr(first, "_started", {})
    for name in ("_used", "_lost"):
        monkeypatch.setattr(forks, name, {})
    monkeypatch.setattr(precision, "_imported_with", {})
    monkeypatch.setattr(noise, "_REMARKS", {})


def test_a_library_whose_threads_cannot_start_is_refused_before_it_ends_the_process(monkeypatch):
    monkeypatch.setattr(spare_threads, "startable", lambda wanted: wanted - 1)
    with (
        pytest.raises(RefusedError, match=r"torch starts 4 threads .* allows this process 3:"),
        first_use(Bound(3), "torch"),
    ):
        pytest.fail("it was used")
    with first_use(Bound(1), "torch"):
        pass


def test_threads_that_a_library_keeps_are_not_counted_again(monkeypatch):
    with first_use(Bound(2), "torch"), first_use(Bound(2), "onnxruntime"):
        pass
    monkeypatch.setattr(spare_threads, "startable", lambda _: 0)
    with first_use(Bound(2), "torch"):
        pass
    with (
        pytest.raises(RefusedError, match="onnxruntime starts 1 thread "),
        first_use(Bound(2), "onnxruntime"),
    ):
        pytest.fail("it was used")


def test_spare_threads_are_started_and_ended():
    before = spare_threads._tasks()
    assert spare_threads.startable(3) == 3
    assert spare_threads.startable(0) == 0
    assert spare_threads._tasks() <= before


def test_as_many_threads_as_start(monkeypatch):
    class Limited(spare_threads.threading.Thread):
        left = 2

        def start(self):
            if not Limited.left:
                raise RuntimeError("can't start new thread")
            Limited.left -= 1
            super().start()

    monkeypatch.setattr(spare_threads.threading, "Thread", Limited)
    assert spare_threads.startable(5) == 2


def test_what_was_bound_before_a_fork_refuses_to_run_in_the_child():
    two, one = Bound(2), Bound(1)
    with first_use(two, "torch"), first_use(one, "torch"):
        pass
    forks._after_fork()  # as in the child
    one.run()
    with pytest.raises(RefusedError, match=r"torch was bound to 2 threads before .* 'spawn'"):
        two.run()
    with (
        pytest.raises(RefusedError, match=r"torch ran on 2 threads before .*: use 1 thread, or"),
        first_use(Bound(2), "torch"),
    ):
        pytest.fail("it was used")
    with first_use(Bound(1), "torch"):
        pass


def test_a_library_with_threads_for_each_model_starts_again_in_the_child():
    with first_use(Bound(2), "onnxruntime"):
        pass
    forks._after_fork()
    with first_use(Bound(2), "onnxruntime"):
        pass


def test_a_variable_for_fewer_bits_is_set_aside_with_one_remark(monkeypatch):
    for library in precision.ONEDNN_INSIDE:
        monkeypatch.delitem(sys.modules, library, raising=False)
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "bf16")
    monkeypatch.setenv("DNNL_DEFAULT_FPMATH_MODE", "STRICT")
    precision.set_aside("torch")
    precision.set_aside("openvino")
    assert "ONEDNN_DEFAULT_FPMATH_MODE" not in os.environ
    assert os.environ["DNNL_DEFAULT_FPMATH_MODE"] == "STRICT"
    (remark,) = [found for found in noise.NoiseWatch(1).findings() if found.kind == "precision"]
    assert remark.message == (
        "ONEDNN_DEFAULT_FPMATH_MODE=bf16 was set aside: rows of f32 are computed in f32"
    )
    assert "--attr-fpmath=bf16" in remark.hint


def test_a_library_imported_too_early_is_refused_later_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    monkeypatch.setenv("DNNL_DEFAULT_FPMATH_MODE", "ANY")
    precision.set_aside("openvino")
    for _ in range(2):
        with pytest.raises(
            RefusedError, match=r"torch was imported with DNNL_DEFAULT_FPMATH_MODE=ANY, .*: unset"
        ):
            precision.set_aside("torch")


TORCH = """
import sys
import numpy as np
import convprof
from convprof.errors import RefusedError
from convprof.codegen import affinity
from convprof.strategies import openmp, registry
from convprof.strategies.base import Setting
before = affinity.of()
p = convprof.Conv2d(n=1, c=16, h=14, w=14, k=16, r=3, s=3, pad=(1, 1))
try:
    one = registry.find("conv2d", "torch").prepare(p, Setting(threads=2))
    one.bind(np.ones((1, 16, 14, 14), np.float32), np.ones((16, 16, 3, 3), np.float32))
    one.run()
    found = [len(openmp._members(library, 2)) for library in openmp.runtimes()]
    print("threads", found, before == affinity.of())
except RefusedError as error:
    print(error)
"""
torch_on_two = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or len(affinity.AT_START or ()) < 2,
    reason="needs PyTorch, two CPUs and sched_setaffinity",
)


def with_torch(**variables):
    """Return the lines of a process that runs a convolution in PyTorch on two threads."""
    known = {*openmp.LIMITS, *affinity.BINDING, *precision.VARIABLES}
    rest = {name: value for name, value in os.environ.items() if name not in known}
    done = subprocess.run(
        [sys.executable, "-c", TORCH],
        env={**rest, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout.splitlines()


@torch_on_two
def test_torch_binds_no_thread_has_two_threads_and_computes_f32():
    lines = with_torch(
        OMP_PROC_BIND="true",
        OMP_DYNAMIC="true",
        ONEDNN_DEFAULT_FPMATH_MODE="BF16",
        ONEDNN_VERBOSE="1",
    )
    told = [line for line in lines if line.startswith("threads")]
    assert told in (["threads [2] True"], ["threads [] True"])  # [] where it is built without
    assert not [line for line in lines if "attr-fpmath" in line]


@torch_on_two
def test_torch_under_a_limit_of_one_thread_is_refused():
    (line,) = with_torch(OMP_THREAD_LIMIT="1")
    if not line.startswith("threads []"):
        assert line == "torch runs on 1 thread here, not 2: OMP_THREAD_LIMIT=1 is set; unset it"
