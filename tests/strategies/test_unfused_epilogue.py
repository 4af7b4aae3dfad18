"""Epilogues in passes of their own, after any strategy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available
from convprof.dtypes import COMMON, F32
from convprof.errors import UnknownNameError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention, Conv2d, Gemm
from convprof.problems.epilogue import STEPS, Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry, unfused_epilogue
from convprof.strategies.base import Role, Setting
from convprof.strategies.peers.package import Library

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
ALL = Epilogue(bias=True, add=True, function="relu")
CONV = Conv2d(n=2, c=4, h=7, w=6, k=21, r=3, s=3, pad=(1, 1), epilogue=ALL)
GEMM = Gemm(m=13, n=21, k=9, epilogue=ALL)
OURS = [
    (kind, strategy.name)
    for kind in ("conv2d", "gemm")
    for strategy in registry.strategies(kind)
    if not isinstance(strategy, Library) and strategy.role is not Role.VARIANT
]


def prepared_of(problem, setting, name):
    operands = Operands(problem, setting.types, 0)
    strategy = registry.find(problem.kind, f"{name}+passes")
    assert strategy.why_not(problem, setting) is None
    prepared = strategy.prepare(problem, setting)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    return operands, prepared


def error(problem, setting, name):
    operands, prepared = prepared_of(problem, setting, name)
    prepared.run()
    found = max_rel_error(operands, prepared.output(), setting.layout)
    prepared.close()
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("kind", "name"), OURS)
def test_after_every_strategy_of_ours(kind, name, layout):
    problem = CONV if kind == "conv2d" else GEMM
    threads = registry.find(kind, name).least_threads
    if threads > THREADS[-1]:
        pytest.skip(f"{name} needs {threads} cores")
    assert error(problem, Setting(layout, threads=threads, tune="off"), name) < 5e-5


@given(
    st.integers(1, 45),
    st.integers(1, 9),
    st.integers(1, 30),
    st.builds(
        Epilogue,
        bias=st.booleans(),
        add=st.booleans(),
        function=st.sampled_from([None, *STEPS]),
    ).filter(bool),
    st.builds(
        Setting,
        layout=st.sampled_from(LAYOUTS),
        dtype=st.sampled_from(COMMON),
        threads=st.sampled_from(THREADS),
        isa=st.sampled_from(available() or ["native"]),
    ),
)
@settings(max_examples=20, deadline=None)
def test_results_of_every_size(k, h, w, made, setting):
    tolerance = {"f32": 1e-5, "f64": 1e-12}[setting.dtype]
    p = Conv2d(n=2, c=2, h=h, w=w, k=k, r=1, s=1, epilogue=made)
    assert error(p, setting, "microkernel") < tolerance
    g = Gemm(m=h, n=w, k=3, batch=2, epilogue=made)
    assert error(g, setting, "packed") < tolerance


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_result_of_several_tasks(layout):
    p = Conv2d(n=2, c=2, h=29, w=31, k=24, r=1, s=1, epilogue=ALL)
    assert p.n * p.p * p.q * p.k > 5 * unfused_epilogue.TASK_ELEMENTS
    assert error(p, Setting(layout, threads=THREADS[-1]), "microkernel") < 1e-5


def test_each_step_reads_and_writes_the_whole_result_in_place():
    _, prepared = prepared_of(CONV, Setting("nhwc"), "microkernel")
    phases = [stage.phase for stage in prepared.plan.steps]
    assert phases == ["tiles", "bias pass", "add pass", "relu pass"]
    result = 4 * CONV.n * CONV.p * CONV.q * CONV.k
    packed = prepared.workspace_bytes - prepared.table_bytes
    weights = 4 * CONV.k * CONV.c * CONV.r * CONV.s
    least = CONV.bytes_min(F32) - weights + packed
    assert prepared.bytes_moved() == least + 3 * 2 * result
    works = prepared.works()
    assert works is not None
    assert len(works) == len(phases)


def test_fused_and_separate_agree():
    setting = Setting("nhwc", "f64")
    operands, apart = prepared_of(GEMM, setting, "packed")
    fused = registry.find("gemm", "packed").prepare(GEMM, setting)
    fused.bind(*operands.all("nhwc"))
    fused.run()
    assert np.allclose(fused.output(), apart.output(), rtol=1e-14, atol=1e-14)
    assert fused.executed_flops() == apart.executed_flops() == GEMM.flops


def test_auto_explains_what_it_chose():
    _, prepared = prepared_of(GEMM, Setting(tune="off"), "auto")
    assert prepared.explanation[0].startswith(("packed (", "prepacked ("))


def test_it_promises_what_the_strategy_promises():
    found = registry.find("conv2d", "winograd+passes")
    assert (found.name, found.kind) == ("winograd+passes", "conv2d")
    assert found.parallel
    assert found.generated
    assert not found.fuses
    assert not found.role.is_peer
    assert registry.find("gemm", "blas+passes").role.is_peer


def test_what_it_refuses(monkeypatch):
    monkeypatch.setattr(Library, "missing_package", lambda _: None)
    found, setting = registry.find("conv2d", "winograd+passes"), Setting()
    bare = Conv2d(c=4, h=5, w=5, k=8, r=3, s=3)
    strided = Conv2d(c=4, h=5, w=5, k=8, r=5, s=5, epilogue=ALL)
    assert found.why_not(bare, setting) == (
        "winograd+passes computes an epilogue; add one, or use winograd"
    )
    assert found.why_not(strided, setting) == (
        "winograd+passes needs a filter of at most 4 times the stride; got 5x5 stride 1"
    )
    assert found.why_not(Attention(heads=1, tokens=2, dim=3), setting) == (
        "winograd+passes computes conv2d, not attention"
    )
    reason = registry.find("conv2d", "torch+passes").why_not(CONV, setting)
    assert reason == "torch+passes has no passes: the library keeps its result; use torch"
    packed = registry.find("gemm", "packed+passes")
    assert packed.why_not(GEMM, Setting(dtype="u8:s8:u8")) == (
        "packed+passes has no passes: requantisation is fused; use packed"
    )


@pytest.mark.parametrize("name", [name for kind, name in OURS if kind == "gemm"])
def test_no_refusal_recommends_what_refuses_too(name):
    requantised = Setting(dtype="u8:s8:u8", threads=THREADS[-1])
    for problem in (GEMM, Gemm(m=13, n=21, k=9)):
        reason = registry.find("gemm", f"{name}+passes").why_not(problem, requantised)
        assert reason is None or reason.startswith(f"{name}+passes ")
        if reason and reason.endswith(f"use {name}"):
            assert registry.find("gemm", name).why_not(problem, requantised) is None


def test_unknown_names_stay_unknown():
    with pytest.raises(UnknownNameError, match="conv2d strategy 'foo'"):
        registry.find("conv2d", "foo+passes")
    assert [s.name for s in registry.named("gemm", ["packed+passes", "winograd+passes"])] == [
        "packed+passes"
    ]


def test_ways_of_computing_a_problem():
    packed, tiled = registry.find("gemm", "packed"), registry.find("gemm", "tiled")
    torch = registry.find("gemm", "torch")
    assert [each.name for each in unfused_epilogue.variants(packed, GEMM)] == [
        "packed",
        "packed+passes",
    ]
    assert [each.name for each in unfused_epilogue.variants(tiled, GEMM)] == ["tiled+passes"]
    assert unfused_epilogue.variants(torch, GEMM) == [torch]
    assert unfused_epilogue.variants(tiled, Gemm(m=1, n=2, k=3)) == [tiled]
