"""Convolutions of f32 as sums of bf16: on this CPU, in the model of AMX, and the choice."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.target import target
from convprof.dtypes import F32, tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d, parse
from convprof.problems.epilogue import Epilogue
from convprof.strategies import pieces, registry
from convprof.strategies.base import Setting
from convprof.strategies.conv.blocking import ConvBlocking

LAYER = Conv2d(c=32, h=9, w=11, k=40, r=3, s=3, pad=(1, 1))
ENDS = Epilogue(bias=True, add=True, function="relu")
PROBLEMS = {
    "3x3": LAYER,
    "1x1 strided": Conv2d(n=2, c=48, h=9, w=9, k=16, r=1, s=1, stride=(2, 2)),
    "groups": Conv2d(c=64, h=4, w=8, k=32, r=3, s=3, groups=2),
    "dilated": Conv2d(c=16, h=10, w=11, k=33, r=3, s=3, dilation=(2, 2), epilogue=ENDS),
}
ERRORS = {"split3": 3e-5, "split6": 1e-6}
needs_dot = pytest.mark.skipif(
    not pieces.has_dot(isas.find("native")), reason="no dot product of bf16"
)


def error_of(name, p, setting, *, model=None):
    """Run a strategy; return its error."""
    operands = Operands(p, F32, 3)
    prepared = registry.find("conv2d", name).prepare(p, setting)
    prepared.bind(*operands.all(setting.layout))
    if model is not None:
        model.memory = prepared.memory()
        model.any_memory = bool(p.epilogue)  # sums are on the stack
    for _ in range(2):
        prepared.output().fill(1)
        prepared.run()
    error = max_rel_error(operands, prepared.output(), setting.layout)
    assert error <= tolerance(F32, p.terms)
    return error


@needs_dot
@pytest.mark.parametrize("name", ["split3", "split6"])
@pytest.mark.parametrize("case", PROBLEMS)
def test_the_error_is_the_one_of_the_pieces(name, case):
    layout = "nchw" if case == "groups" else "nhwc"
    setting = Setting(layout, "f32", 2, "avx512")
    assert error_of(name, PROBLEMS[case], setting) <= ERRORS[name]


@pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)
@pytest.mark.parametrize(("name", "case"), [("split3", "dilated"), ("split6", "groups")])
def test_in_tile_registers(name, case, model):
    assert error_of(name, PROBLEMS[case], Setting("nhwc", isa="amx"), model=model) <= ERRORS[name]
    assert model.counts["tdpbf16ps"] > 0
    assert model.faults == []
    assert model.is_released


@needs_dot
def test_the_inner_loop_multiplies_pairs_and_keeps_its_sums():
    p = Conv2d(c=128, h=14, w=14, k=64, r=3, s=3)
    prepared = registry.find("conv2d", "split3").prepare(p, Setting("nhwc", isa="avx512"))
    prepared.bind(np.zeros(p.x_shape("nhwc")), np.zeros((p.k, p.cg, p.r, p.s)))
    titles = [title for title, _ in prepared.inner_loops()]
    assert any("vdpbf16ps" in title for title in titles)
    assert all(" 0 spills" in title for title in titles)


@needs_dot
@pytest.mark.parametrize("name", ["split3", "split6"])
def test_sums_of_pieces_stay_whole(name):
    p, setting = parse("ic2048ih1oc64kh1"), Setting("nhwc", threads=32, isa="avx512")
    blockings = registry.find("conv2d", name).blockings(p, setting)
    assert {type(each) for each in blockings} == {ConvBlocking}


def test_refusals(monkeypatch):
    strategy, setting = registry.find("conv2d", "split6"), Setting()
    odd = Conv2d(c=3, h=9, w=9, k=16, r=3, s=3)
    assert (
        strategy.why_not(odd, setting) == "split6 needs an even number of channels per group; got 3"
    )
    assert strategy.why_not(LAYER, Setting(dtype="bf16")) == "split6 computes f32, not bf16"
    monkeypatch.setattr(pieces, "has_dot", lambda isa: False)  # noqa: ARG005
    monkeypatch.setattr(pieces, "has_tiles", lambda isa: False)  # noqa: ARG005
    assert "needs AMX or AVX512-BF16" in strategy.why_not(LAYER, setting)
    monkeypatch.setattr(pieces, "has_dot", lambda isa: True)  # noqa: ARG005
    assert strategy.why_not(LAYER, setting) is None
    few = Conv2d(c=2, h=9, w=9, k=16, r=1, s=1)
    assert "of at least 16; got 2" in strategy.why_not(few, setting)


@needs_dot
def test_auto_takes_them_where_their_error_is_allowed():
    auto = registry.find("conv2d", "auto")
    for most, expected in ((0.0, set()), (1e-5, {"split6"}), (1e-3, {"split3", "split6"})):
        candidates = auto.candidates(LAYER, Setting(max_error=most))
        names = {each.strategy.name for each in candidates}
        assert names & {"split3", "split6"} == expected
