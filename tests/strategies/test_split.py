"""f32 as sums of bf16: refusals, the pieces, and the code on this CPU."""

from __future__ import annotations

import numpy as np
import pytest
from checks import THREADS, prepared_for
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convprof.codegen import isa as isas
from convprof.dtypes import F32, tolerance
from convprof.measure.operands import max_rel_error
from convprof.problems import Gemm
from convprof.strategies import pieces, registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm.split import VectorSplitStages
from convprof.strategies.gemm.tile_stages import TileBlocking
from convprof.strategies.pieces import has_dot
from convprof.strategies.plan import WEIGHTS, X, Y

G = Gemm(m=64, n=64, k=64)
needs_dot = pytest.mark.skipif(not has_dot(isas.find("native")), reason="no dot product of bf16")


@pytest.mark.parametrize("name", ["split3", "split6"])
def test_refusals(name, monkeypatch):
    strategy = registry.find("gemm", name)
    monkeypatch.setattr(pieces, "has_dot", lambda isa: False)  # noqa: ARG005
    monkeypatch.setattr(pieces, "has_tiles", lambda isa: isa.name == "other")
    reason = strategy.why_not(G, Setting())
    assert reason.startswith(f"{name} needs AMX or AVX512-BF16, which ")
    monkeypatch.setattr(pieces, "has_dot", lambda isa: True)  # noqa: ARG005
    assert strategy.why_not(G, Setting()) is None
    short = strategy.why_not(Gemm(m=64, n=64, k=15), Setting())
    assert short == f"{name} needs k of at least 16; got 15"
    assert strategy.why_not(G, Setting(dtype="f64")) == f"{name} computes f32, not f64"


def test_it_is_measured_only_when_named():
    assert not registry.find("gemm", "split3").role.is_listed
    assert not registry.find("gemm", "split3").role.is_peer


@needs_dot
def test_auto_takes_them_where_their_error_is_allowed():
    auto = registry.find("gemm", "auto")
    for most, expected in ((0.0, set()), (1e-5, {"split6"}), (1e-3, {"split3", "split6"})):
        names = {each.strategy.name for each in auto.candidates(G, Setting(max_error=most))}
        assert names == {"packed", "prepacked"} | expected


@needs_dot
def test_three_pieces_are_the_number_itself():
    b = np.random.default_rng(3).standard_normal((1, 64, 64)).astype("f4")
    stages = VectorSplitStages(G, Setting(), TileBlocking(32, 64), 3)
    panels = stages.split_and_pack(b)
    assert panels.shape == stages.buffer.shape
    # batch, panels, pieces, groups, columns, elements of a group
    summed = panels.astype("f8").sum(axis=2)
    whole = summed.transpose(0, 2, 4, 1, 3).reshape(1, 64, -1)[..., :64]
    np.testing.assert_array_equal(whole, b)


SIZES = st.one_of(st.integers(1, 40), st.sampled_from([65, 130, 257]))


@needs_dot
def test_random_problems():
    problems = st.builds(Gemm, m=SIZES, n=SIZES, k=SIZES, batch=st.sampled_from([1, 2]))

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(problems, st.sampled_from(["split3", "split6"]), st.sampled_from(THREADS))
    @example(Gemm(m=200, n=33, k=600), "split6", 1)  # several blocks of k and of rows
    def problem(g, name, threads):
        setting = Setting(threads=threads)
        if registry.find("gemm", name).why_not(g, setting):
            return
        prepared, operands = prepared_for(g, name, setting)
        prepared.run()
        first = prepared.output().tobytes()
        assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(F32, g.k)
        prepared.output().fill(1)
        prepared.run()
        assert first == prepared.output().tobytes()
        theirs = [prepared._arrays[key] for key in (X, WEIGHTS, Y)]
        ours = [each for each in prepared.memory() if not any(each is item for item in theirs)]
        assert sum(each.nbytes for each in ours) == prepared.workspace_bytes

    problem()


@needs_dot
@pytest.mark.parametrize("name", ["split3", "split6"])
def test_the_inner_loop_keeps_its_sums_in_registers(name):
    g = Gemm(m=256, n=256, k=256)
    prepared = registry.find("gemm", name).prepare(g, Setting())
    prepared.bind(np.zeros((g.m, g.k)), np.zeros((g.k, g.n)))
    ((title, _),) = prepared.inner_loops()
    assert " 0 spills" in title
    assert "vdpbf16ps" in title
