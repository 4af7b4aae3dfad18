"""Packed weights that every thread reads: a copy for each NUMA node, on a synthetic machine."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import affinity, nodes
from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.nodes import Place
from convprof.codegen.target import target
from convprof.dtypes import tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.strategies import memory, pieces, registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm.panels import PANELS
from convprof.strategies.plan_runner import PlanRunner

pytestmark = pytest.mark.skipif(not isas.available(), reason="no kernels are generated here")
needs_avx512 = pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)
needs_dot = pytest.mark.skipif(
    not pieces.has_dot(isas.find("native")), reason="no dot product of bf16"
)
TALL = Gemm(m=64, n=16, k=24)
"""One panel: the threads share out the rows, and each reads all of ``b``."""


@pytest.fixture
def two_nodes(monkeypatch):
    """The second half of a team is on the second node; L3 holds nothing."""
    here = affinity.of() or frozenset()

    def places(threads):
        return tuple(Place(2 * member // threads, here) for member in range(threads))

    monkeypatch.setattr(nodes, "places", places)
    monkeypatch.setattr(memory, "l3_bytes", lambda: 0)
    return monkeypatch


def runner(g, setting, name="prepacked"):
    prepared = registry.find("gemm", name).prepare(g, setting)
    assert isinstance(prepared, PlanRunner)
    operands = Operands(g, setting.types, 0)
    prepared.bind(*operands.all("nchw"))
    return prepared, operands


def check(prepared, operands, g, setting):
    """The result is right, and each node reads a copy of its own."""
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(setting.types, g.k)
    before, panels = prepared.output().copy(), prepared._arrays[PANELS]
    np.testing.assert_array_equal(panels[0], panels[1])
    panels[1] = 0
    prepared.run()
    half = g.m // 2
    np.testing.assert_array_equal(prepared.output()[:half], before[:half])
    assert not prepared.output()[half:].any()


@pytest.mark.usefixtures("two_nodes")
def test_each_node_reads_its_own_copy():
    setting = Setting(threads=2)
    prepared, operands = runner(TALL, setting)
    assert prepared.plan.packed[PANELS].buffer.shape[0] == 2
    check(prepared, operands, TALL, setting)


@needs_avx512
@pytest.mark.usefixtures("two_nodes")
def test_each_node_reads_its_own_copy_in_tile_registers(model):
    setting = Setting(threads=2, dtype="bf16", isa="amx")
    prepared, operands = runner(TALL, setting)
    model.memory = prepared.memory()
    check(prepared, operands, TALL, setting)


@needs_dot
@pytest.mark.usefixtures("two_nodes")
def test_each_node_reads_its_own_copy_of_the_pieces():
    setting = Setting(threads=2, isa="avx512")
    prepared, operands = runner(TALL, setting, "split6")
    check(prepared, operands, TALL, setting)


@needs_avx512
@pytest.mark.usefixtures("two_nodes")
def test_panels_that_are_packed_in_each_run_exist_once(model):
    setting = Setting(threads=2, dtype="bf16", isa="amx")
    prepared, operands = runner(TALL, setting, "packed")
    model.memory = prepared.memory()
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(setting.types, TALL.k)


@pytest.mark.parametrize(
    ("g", "threads", "changed"),
    [
        (TALL, 1, {}),
        (Gemm(m=64, n=4096, k=4), 2, {}),  # each thread has panels of its own
        (TALL, 2, {"l3_bytes": lambda: 1 << 30}),
        (TALL, 2, {"has": lambda _: False}),
    ],
)
def test_one_copy_is_enough(two_nodes, g, threads, changed):
    for name, value in changed.items():
        two_nodes.setattr(memory, name, value)
    blocks = registry.find("gemm", "prepacked").plan(g, Setting(threads=threads)).packed
    assert blocks[PANELS].buffer.nbytes < 2 * 4 * g.k * g.n


def test_on_one_node_there_is_one_copy(monkeypatch):
    monkeypatch.setattr(nodes, "spread", lambda _: 1)
    assert memory.copies(2, 1 << 40) == 1
