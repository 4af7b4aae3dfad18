"""Packed panels whose steps take one element of a sum, or a group of two or four."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen import isa as isas
from convprof.codegen.kernels.multiply import Fma
from convprof.dtypes import COMMON, DTYPES
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.strategies.gemm.blocked import (
    AHEAD,
    IN_PLACE,
    PACKED,
    STREAMED,
    BlockedProducts,
    GemmBlocking,
)
from convprof.strategies.gemm.panel_layout import PanelLayout, filled_up
from convprof.strategies.gemm.panels import FILLED_A, PANELS, Matrices, Operands
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages
from convprof.strategies.plan import WEIGHTS, Packed, Plan, X, Y
from convprof.strategies.plan_runner import PlanRunner

GROUPS = [1, 2, 4]
SIZES = st.integers(1, 40)


def numbers(*shape):
    return np.random.default_rng(sum(shape)).integers(1, 9, shape).astype("f8")


@pytest.mark.parametrize("group", GROUPS)
@given(m=SIZES, n=SIZES, k=SIZES, width=st.integers(1, 9))
def test_a_step_of_rows_and_panels_has_a_group_of_each(group, m, n, k, width):
    layout = PanelLayout(k, width, group)
    a, b = numbers(m, k), numbers(k, n)
    rows, panels = layout.rows(a), layout.panels(b)
    count = -(-n // width)
    assert rows.shape == (m, layout.steps, group)
    assert panels.shape == (count, layout.steps, width, group)
    assert panels[0].size == layout.elements
    assert panels[0, 0].size == layout.step_elements
    product = np.einsum("msg,pswg->mpw", rows, panels).reshape(m, -1)
    np.testing.assert_array_equal(product[:, :n], a @ b)
    assert not product[:, n:].any()


@pytest.mark.parametrize("group", GROUPS)
@given(n=SIZES, k=SIZES, width=st.integers(1, 9))
def test_each_element_has_its_place_and_all_others_are_zero(group, n, k, width):
    b = numbers(k, n)
    panels = PanelLayout(k, width, group).panels(b)
    t, j = np.indices((k, n))
    np.testing.assert_array_equal(panels[j // width, t // group, j % width, t % group], b)
    assert np.count_nonzero(panels) == k * n


@given(m=SIZES, k=SIZES)
def test_whole_matrices_are_not_copied(m, k):
    a = numbers(m, k)
    assert filled_up(a, m, k) is a
    assert np.shares_memory(a, PanelLayout(m, k, 1).panels(a))


def plan_of(stages):
    return Plan(workspaces=stages.workspaces(), steps=[*stages.all()])


def result(g, setting, plan, a, b):
    runner = PlanRunner("grouped", g, setting, plan)
    runner.bind(a, b)
    runner.run()
    return runner.output()


shapes = st.builds(
    Gemm, m=st.integers(1, 20), n=st.integers(1, 70), k=st.integers(1, 70), batch=st.integers(1, 2)
)


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6)
@given(g=shapes, kc=st.integers(1, 70), threads=st.sampled_from([1, 2]))
def test_prepacked_panels_of_groups_give_the_product(group, g, kc, threads):
    setting = Setting(threads=threads)
    a, b = numbers(*g.a_shape).astype("f4"), numbers(*g.b_shape).astype("f4")
    stages = PanelStages(
        g, setting, PanelBlocking(3, 1, max(3, g.m // 2), min(kc, g.k)), Fma(group)
    )
    plan = plan_of(stages)
    plan.packed[PANELS] = Packed(stages.buffer, stages.pack)
    assert (FILLED_A in plan.workspaces) == (g.k % group > 0)
    np.testing.assert_array_equal(result(g, setting, plan, a, b), a @ b)


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6)
@given(
    g=shapes,
    kc=st.integers(1, 70),
    threads=st.sampled_from([1, 2]),
    pack_b=st.sampled_from([IN_PLACE, PACKED, AHEAD, STREAMED]),
)
def test_blocked_products_of_groups_give_the_product(group, g, kc, threads, pack_b):
    setting = Setting(threads=threads)
    a, b = numbers(*g.a_shape).astype("f4"), numbers(*g.b_shape).astype("f4")
    blocking = GemmBlocking(3, 2, 6, min(kc, g.k), 64, pack_b)
    stages = BlockedProducts(g, setting, blocking, multiply=Fma(group))
    plan = plan_of(stages)
    np.testing.assert_array_equal(result(g, setting, plan, a, b), a @ b)


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6)
@given(g=shapes, scale=st.sampled_from([1.0, 2.0]))
def test_a_transposed_matrix_is_packed_in_groups(group, g, scale):
    setting = Setting()
    a, b = numbers(*g.a_shape).astype("f4"), numbers(*g.b_shape).astype("f4")
    dense = Operands.dense(g)
    operands = Operands(dense.a, Matrices.dense(WEIGHTS, g.batch, g.n, g.k), dense.c)
    stages = BlockedProducts(
        g,
        setting,
        GemmBlocking(3, 2, 6, g.k, 64, AHEAD),
        operands,
        scale=scale,
        transposed=True,
        multiply=Fma(group),
    )
    plan = plan_of(stages)
    turned = np.ascontiguousarray(np.swapaxes(b, -1, -2)).reshape(g.b_shape)
    np.testing.assert_array_equal(result(g, setting, plan, a, turned), scale * (a @ b))


@pytest.mark.parametrize("isa", isas.available() or ("native",))
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("dtype", COMMON)
def test_the_packed_memory_is_the_layout(isa, group, dtype):
    lanes = isas.find(isa).lanes(DTYPES[dtype].bytes)
    g = Gemm(m=2, n=3 * lanes, k=7)
    setting = Setting(isa=isa, dtype=dtype)
    blocking = GemmBlocking(2, 2, 2, 7, g.n, AHEAD)
    stages = BlockedProducts(g, setting, blocking, multiply=Fma(group))
    runner = PlanRunner("grouped", g, setting, plan_of(stages))
    a, b = numbers(2, 7), numbers(7, g.n)
    runner.bind(a, b)
    runner.run()
    panels = runner._arrays["b_panels"][0]
    expected = stages.layout.panels(b)
    np.testing.assert_array_equal(panels[0], expected[0].reshape(-1))
    narrow = PanelLayout(7, lanes, group)
    np.testing.assert_array_equal(
        panels[1, : narrow.elements], narrow.panels(b[:, 2 * lanes :])[0].reshape(-1)
    )
    if group == 4:
        filled = runner._arrays[FILLED_A].reshape(2, -1, group)
        np.testing.assert_array_equal(filled, stages.layout.rows(a))


def test_groups_of_one_need_no_copy_of_a():
    g = Gemm(m=5, n=6, k=7)
    stages = BlockedProducts(g, Setting(), GemmBlocking(3, 1, 3, 7, 64, IN_PLACE))
    assert stages.workspaces() == {}
    assert [stage.buffers for stage in stages.all()] == [(X, WEIGHTS, Y, WEIGHTS)]
