"""Fused epilogues against the float64 reference, in every layout and on every instruction set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available
from convprof.dtypes import COMMON, F32
from convprof.errors import ProblemError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d, Gemm
from convprof.problems.epilogue import STEPS, Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.tuning.tunable import Tunable

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 5e-5, "f64": 1e-12}

EPILOGUES = st.builds(
    Epilogue,
    bias=st.booleans(),
    add=st.booleans(),
    function=st.sampled_from([None, "relu", *STEPS]),
).filter(bool)
SETTINGS = st.builds(
    Setting,
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(COMMON),
    threads=st.sampled_from(THREADS),
    isa=st.sampled_from(available() or ["native"]),
    tune=st.just("off"),
)


def result(problem, setting, name, variant=None):
    """Return the operands, and the result of the second of two runs: the first leaves no trace."""
    operands = Operands(problem, setting.types, 0)
    strategy = registry.find(problem.kind, name)
    assert strategy.why_not(problem, setting) is None
    if variant is not None:
        assert isinstance(strategy, Tunable)
        prepared = strategy.prepare_blocked(problem, setting, variant)
    else:
        prepared = strategy.prepare(problem, setting)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    first = prepared.output().copy()
    prepared.run()
    assert np.array_equal(first, prepared.output())
    return operands, prepared


def error(problem, setting, name, variant=None):
    operands, prepared = result(problem, setting, name, variant)
    return max_rel_error(operands, prepared.output(), setting.layout)


@st.composite
def convolutions(draw):
    sizes, pads = st.integers(1, 12), st.integers(0, 2)
    groups, cg, kg = draw(st.sampled_from([1, 1, 3])), draw(sizes), draw(st.integers(1, 37))
    r, s = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return Conv2d(
        n=draw(st.integers(1, 2)),
        c=groups * cg,
        h=draw(st.integers(3, 9)),
        w=draw(st.integers(3, 9)),
        k=groups * kg,
        r=r,
        s=s,
        stride=draw(st.sampled_from([(1, 1), (2, 1)])),
        pad=(draw(pads), draw(pads)),
        groups=groups,
        epilogue=draw(EPILOGUES),
    )


@given(convolutions(), SETTINGS)
@settings(max_examples=12, deadline=None)
def test_dense_and_grouped_convolutions(p, setting):
    assert error(p, setting, "microkernel") < TOLERANCE[setting.dtype]


@given(st.integers(2, 40), st.integers(1, 3), st.integers(1, 4), EPILOGUES, SETTINGS)
@settings(max_examples=8, deadline=None)
def test_depthwise_convolutions(c, r, pad, made, setting):
    p = Conv2d(n=2, c=c, h=7, w=6, k=c, r=r, s=3, pad=(pad, 1), groups=c, epilogue=made)
    assert error(p, setting, "microkernel") < TOLERANCE[setting.dtype]


@given(st.integers(1, 9), st.integers(1, 40), st.integers(3, 9), EPILOGUES, SETTINGS)
@settings(max_examples=6, deadline=None)
def test_winograd(c, k, size, made, setting):
    p = Conv2d(n=2, c=c, h=size, w=7, k=k, r=3, s=3, pad=(1, 0), epilogue=made)
    for variant in registry.find("conv2d", "winograd").blockings(p, setting)[::3]:
        assert error(p, setting, "winograd", variant) < TOLERANCE[setting.dtype]


PRODUCTS = st.builds(
    Gemm,
    m=st.integers(1, 70),
    n=st.integers(1, 70),
    k=st.sampled_from([1, 3, 31, 100]),
    batch=st.sampled_from([1, 1, 2]),
    epilogue=EPILOGUES,
)


@given(PRODUCTS, st.sampled_from([0, 8, 33]), SETTINGS)
@settings(max_examples=10, deadline=None)
def test_products_in_one_and_in_several_blocks_of_the_reduction(g, kc, setting):
    for variant in registry.find("gemm", "packed").blockings(g, setting)[:2]:
        cut = replace(variant, kc=kc) if kc else variant
        assert error(g, setting, "packed", cut) < TOLERANCE[setting.dtype]


@pytest.mark.parametrize("name", ["vectorized", "fma", "unrolled"])
def test_rungs_on_register_tiles(name):
    g = Gemm(m=9, n=37, k=1500, epilogue=Epilogue(bias=True, add=True, function="relu"))
    setting = Setting()
    if registry.find("gemm", name).why_not(g, setting) is None:
        assert error(g, setting, name) < 1e-5


def test_pixels_with_all_taps_in_the_padding_still_get_the_epilogue():
    p = Conv2d(c=3, h=2, w=2, k=5, r=1, s=1, pad=(2, 2), epilogue=Epilogue(bias=True))
    operands, prepared = result(p, Setting("nhwc"), "microkernel")
    bias = operands.all("nhwc")[2]
    assert np.array_equal(prepared.output()[0, 0, 0], bias)


@pytest.mark.parametrize(
    "problem",
    [
        Conv2d(c=4, h=6, w=6, k=8, r=3, s=3, epilogue=Epilogue(bias=True, function="relu")),
        Gemm(m=9, n=20, k=8, epilogue=Epilogue(add=True)),
    ],
    ids=lambda problem: problem.kind,
)
def test_auto_chooses_by_timing_the_fused_problem(problem):
    setting = Setting("nhwc", tune="quick")
    operands, prepared = result(problem, setting, "auto")
    assert max_rel_error(operands, prepared.output(), "nhwc") < 1e-5
    assert "remembered" not in prepared.explanation[0]
    again = registry.find(problem.kind, "auto").prepare(problem, setting)
    assert "remembered" in again.explanation[0]
    bare = replace(problem, epilogue=Epilogue())
    other = registry.find(problem.kind, "auto").prepare(bare, setting)
    assert "remembered" not in other.explanation[0]


def test_the_steps_of_the_epilogue_are_executed_flops():
    p = Conv2d(c=4, h=5, w=5, k=8, r=1, s=1, epilogue=Epilogue(bias=True, add=True))
    prepared = registry.find("conv2d", "microkernel").prepare(p, Setting("nhwc"))
    assert prepared.executed_flops() == 2 * 25 * 4 * 8 + 2 * 25 * 8
    assert prepared.executed_flops() == p.flops


def test_operands_are_counted_and_named():
    p = Conv2d(c=4, h=5, w=5, k=8, r=1, s=1, epilogue=Epilogue(bias=True, add=True))
    prepared = registry.find("conv2d", "microkernel").prepare(p, Setting("nhwc"))
    shapes = tuple(spec.shape for spec in p.operands("nhwc", F32))
    given_ = [np.zeros(shape, "f4") for shape in shapes]
    with pytest.raises(ProblemError, match="2 operands; this problem needs x, weights, bias"):
        prepared.bind(*given_[:2])
    with pytest.raises(ProblemError, match=r"residual has shape \(1,\)"):
        prepared.bind(*given_[:3], np.zeros(1, "f4"))


@pytest.mark.parametrize("name", ["microkernel", "winograd"])
def test_what_is_converted_from_nchw_is_scratch_memory(name):
    p = Conv2d(c=4, h=5, w=5, k=8, r=3, s=3, epilogue=Epilogue(add=True))
    prepared = registry.find("conv2d", name).prepare(p, Setting("nchw"))
    scratch = prepared.scratch()
    assert scratch["y_nhwc"] == 4 * 9 * 8
    assert "x_nhwc" in scratch


@pytest.mark.parametrize("name", ["microkernel", "winograd"])
def test_a_residual_in_nchw_is_added_after_the_conversion_in_one_pass(name):
    made = Epilogue(bias=True, add=True, function="relu")
    p = Conv2d(c=4, h=5, w=5, k=8, r=3, s=3, epilogue=made)
    strategy = registry.find("conv2d", name)
    assert strategy.prepare(p, Setting("nchw")).plan.steps[-1].phase == "add, relu pass"
    assert "pass" not in strategy.prepare(p, Setting("nhwc")).plan.steps[-1].phase
    fused = replace(p, epilogue=Epilogue(bias=True, function="relu"))
    assert strategy.prepare(fused, Setting("nchw")).plan.steps[-1].phase == "to nchw"


def test_strategies_that_fuse_nothing_say_what_does():
    p = Conv2d(c=4, h=5, w=5, k=8, r=3, s=3, epilogue=Epilogue(bias=True))
    reason = registry.find("conv2d", "tiled").why_not(p, Setting())
    assert reason == "tiled fuses no epilogue; use tiled+passes"
    reason = registry.find("conv2d", "onnxruntime").why_not(p, Setting())
    assert reason is not None
    assert reason == ("onnxruntime fuses no epilogue here; leave out the epilogue, or use torch")
