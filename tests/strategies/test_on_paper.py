"""``auto`` on many threads, by the model: fewer threads where a launch of all takes longer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.target import target
from convprof.problems import Gemm, parse
from convprof.strategies import launch, registry
from convprof.strategies.base import Setting
from convprof.strategies.plan_runner import PlanRunner
from convprof.strategies.tuning import on_paper, search
from convprof.strategies.tuning.candidate import Candidate

pytestmark = pytest.mark.skipif(not isas.available(), reason="no kernels are generated here")
needs_avx512 = pytest.mark.skipif(
    "avx512" not in isas.available(), reason="the cycles of other vectors differ"
)
TINY = Gemm(m=8, n=16, k=8)


def planned(text, threads, **changes):
    problem = parse(text)
    setting = Setting("nhwc", threads=threads, isa="avx512", tune="off", **changes)
    return registry.find(problem.kind, "auto").plan(problem, setting)


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize(
    ("text", "threads", "fewer"),
    [
        ("8x8:8x16", 2, 1),
        ("8x8:8x16", 32, 1),
        ("1x512:512x256", 2, None),
        ("1x256:256x256", 32, 2),
        ("ic64ih56oc64oh56kh3ph1", 32, None),
        ("ic64ih7oc64kh1", 32, 4),
        ("attention:1x2x16x16", 8, 1),
    ],
)
def test_small_problems_leave_threads_without_work(text, threads, fewer):
    plan = planned(text, threads)
    assert plan.threads == fewer
    (why,) = plan.explanation
    assert (") on " in why) == (fewer is not None)


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
def test_in_a_chain_all_threads_take_part():
    assert planned("8x8:8x16", 32, alone=False).threads is None


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
def test_a_slow_launch_needs_fewer_threads(monkeypatch):
    counts = []
    for cycles in (0.0, 200.0, 20_000.0):
        monkeypatch.setattr(launch, "transfer_cycles", lambda cycles=cycles: cycles)
        counts.append(planned("1x256:256x256", 8).threads)
    assert counts == [None, 2, 1]


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize(
    ("text", "dtype", "threads", "name"),
    [
        ("mb1ic64ih56oc64kh3ph1", "bf16", 1, "winograd"),
        ("mb1ic64ih56oc64kh3ph1", "f16", 32, "winograd"),
        ("mb1ic512ih7oc512kh3ph1", "bf16", 1, "microkernel"),  # 17 MB of transformed filters
        ("mb1ic64ih56oc64kh3ph1sh2", "bf16", 1, "microkernel"),
        ("mb1ic64ih56oc64kh3ph1", "u8:s8:u8", 1, "winograd"),
        ("mb1ic256ih14oc256kh3ph1", "s8:s8:s32", 2, "winograd"),
        ("mb1ic512ih7oc512kh3ph1", "u8:s8:s32", 1, "microkernel"),  # 19 MB of filters
    ],
)
def test_short_types_are_convolved_with_the_fewest_operations(text, dtype, threads, name):
    if name == "microkernel" and not target().has("avx512bf16", "avx512vnni"):
        pytest.skip("the products of short types need AVX512-BF16 and AVX512-VNNI")
    assert planned(text, threads, dtype=dtype).explanation[0].startswith(f"{name} (")


@pytest.mark.parametrize("threads", [2, 4])
def test_the_result_is_right_on_fewer_threads(threads):
    setting = Setting(threads=threads, tune="off")
    random = np.random.default_rng(0)
    a, b = random.random(TINY.a_shape), random.random(TINY.b_shape)
    prepared = registry.find("gemm", "auto").prepare(TINY, setting)
    prepared.bind(a, b)
    prepared.run()
    assert isinstance(prepared, PlanRunner)
    assert (prepared.threads, prepared.setting.threads) == (1, threads)
    np.testing.assert_allclose(prepared.output(), a @ b, rtol=1e-5)


def test_fewer_threads_are_timed_where_they_may_be_as_fast():
    auto = registry.find("gemm", "auto")
    small, large = Gemm(m=8, n=64, k=64), Gemm(m=256, n=256, k=256)
    for threads, problem, expected in ((2, small, 1), (2, large, None), (1, small, None)):
        ranked = auto._ranked(problem, Setting(threads=threads))
        assert on_paper.worth_timing(ranked, problem, Setting(threads=threads)) == expected
    chain = Setting(threads=2, alone=False)
    assert auto._on_fewer(small, chain) == []
    assert {each.threads for each in auto._on_fewer(small, replace(chain, alone=True))} == {1}


def test_a_stored_choice_says_its_threads(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    auto, setting = registry.find("gemm", "auto"), Setting(threads=2)

    def last_wins(prepared, *_):
        return search.Timings([2.0] * (len(prepared) - 1) + [1.0])

    monkeypatch.setattr("convprof.strategies.tuning.auto.times", last_wins)
    chosen, why, _ = auto.choose(TINY, setting)
    assert (chosen.threads, "fastest of" in why) == (1, True)
    again, why, _ = auto.choose(TINY, setting)
    assert (again, "remembered" in why) == (chosen, True)
    assert isinstance(again, Candidate)
    assert str(again).endswith(") on 1 thread")
