"""JAX and TensorFlow: right results, and the setting's number of threads."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convprof.dtypes import tolerance
from convprof.machine import facts
from convprof.measure.operands import draw, max_rel_error
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import package
from convprof.strategies.peers import tensorflow as tensorflow_peer
from convprof.studies.compare.peers import libraries
from convprof.studies.run import Choice

NAMES = ["jax", "tensorflow"]
PROBLEMS = [
    Conv2d(n=2, c=8, h=9, w=7, k=12, r=3, s=2, stride=(2, 1), pad=(1, 0, 2, 1), groups=4),
    Conv2d(c=6, h=7, w=5, k=12, r=3, s=3, pad=(1, 1), groups=6, dilation=(1, 1)),
    Conv2d(c=5, h=7, w=5, k=12, r=3, s=3, pad=(2, 2), dilation=(2, 1)),
    Gemm(m=17, n=23, k=40),
    Gemm(m=4, n=5, k=6, batch=3),
]
CODE = """
import os
def busy():
    times = {}
    for task in os.listdir("/proc/self/task"):
        fields = open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()
        times[task] = int(fields[11]) + int(fields[12])
    return times

import time
from convprof.measure.operands import draw
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting

g = Gemm(m=512, n=512, k=512)
for threads in {counts}:
    setting = Setting(threads=threads)
    prepared = registry.find("gemm", "{name}").prepare(g, setting)
    prepared.bind(*draw(g, setting.types, 0).all("nchw"))
    before, end = busy(), time.perf_counter() + 0.4
    while time.perf_counter() < end:
        prepared.run()
    spent = [now - before.get(task, 0) for task, now in busy().items()]
    print(sum(ticks > max(spent) / 4 for ticks in spent))
"""


def skip_without(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} not installed: pip install 'convprof[{name}]'")


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.descriptor)
@pytest.mark.parametrize("name", NAMES)
def test_results_in_every_type_and_layout(name, problem):
    skip_without(name)
    strategy = registry.find(problem.kind, name)
    taken = 0
    for dtype in strategy.dtypes:
        for layout in ("nchw", "nhwc") if problem.has_layout else ("nchw",):
            setting = Setting(layout, dtype)
            if strategy.why_not(problem, setting) is not None:
                continue
            taken += 1
            operands = draw(problem, setting.types, 0)
            prepared = strategy.prepare(problem, setting)
            prepared.bind(*operands.all(layout))
            prepared.run()
            assert prepared.output().dtype == setting.types.result.array_type
            error = max_rel_error(operands, prepared.output(), layout)
            assert error <= tolerance(setting.types, problem.terms), (dtype, layout)
            prepared.close()
    assert taken >= 2


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted on Linux")
@pytest.mark.parametrize(("name", "counts"), [("jax", (1, 2)), ("tensorflow", (1,))])
def test_as_many_threads_compute_as_the_setting_says(name, counts):
    skip_without(name)
    if facts().topology.usable_cpus < max(counts):
        pytest.skip("one CPU only")
    code = CODE.replace("{name}", name).replace("{counts}", str(counts))
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    # XLA has two pools of two threads, and may change between them.
    assert [min(int(line), count) for line, count in zip(printed.split(), counts, strict=True)] == [
        *counts
    ]
    assert printed.split()[0] == "1"


def test_tensorflow_cannot_change_its_number_of_threads(monkeypatch):
    monkeypatch.setattr(tensorflow_peer, "_fixed", [1])
    strategy = registry.find("gemm", "tensorflow")
    reason = strategy.why_not(PROBLEMS[-1], Setting(threads=2))
    assert reason == (
        "tensorflow runs on 1 thread in this process and cannot change that; measure 2 in a "
        "process of its own"
    )


def test_tensorflow_refuses_what_it_computes_less_exactly():
    strategy = registry.find("conv2d", "tensorflow")
    depthwise = PROBLEMS[1]
    reason = strategy.why_not(depthwise, Setting("nhwc", "f16"))
    assert reason == "tensorflow sums depthwise convolutions of f16 in f16; use f32 or bf16"
    reason = strategy.why_not(depthwise, Setting("nchw"))
    assert reason == "tensorflow computes nhwc on CPUs, not nchw"


def test_nothing_of_tensorflow_is_printed(capfd):
    skip_without("tensorflow")
    with tensorflow_peer.silent_stderr():
        os.write(2, b"a greeting")
    os.write(2, b"an error")
    assert capfd.readouterr().err == "an error"


def test_a_comparison_expects_the_peers_and_takes_others_if_installed(monkeypatch):
    for here, more in (({"torch"}, set()), ({"jax"}, {"jax"})):
        monkeypatch.setattr(
            package.importlib.util,
            "find_spec",
            lambda name, here=here: object() if name in here else None,
        )
        expected = {"blas", "torch", "onnxruntime", "openvino"} | more
        assert libraries(PROBLEMS[-1], Choice()) == expected
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda _: None)
    reason = registry.find("gemm", "jax").why_not(PROBLEMS[-1], Setting())
    assert reason == "jax is not installed: pip install 'convprof[jax]'"
