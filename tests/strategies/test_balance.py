"""How evenly 32 threads are busy, on paper: the layers of ResNet-50 at minibatch 1."""

from __future__ import annotations

import itertools

import pytest

from convprof import networks
from convprof.codegen import isa as isas
from convprof.codegen import tile_list
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.balance import balance, barrier_cycles
from convprof.strategies.base import Setting
from convprof.strategies.plan import Plan, Stage

THREADS = 32
EVEN = 0.9


class NotCompiled:
    """Machine code that nobody calls: an address of its own."""

    addresses = itertools.count(64, 64)

    def __init__(self, ir, without=()):
        """Compile nothing."""

    def address(self, name):  # noqa: ARG002
        return next(self.addresses)


@pytest.fixture
def _on_paper(monkeypatch):
    """Plans with lists of tiles, without machine code."""
    monkeypatch.setattr(tile_list, "Module", NotCompiled)
    tile_list.forget_kernels(0)
    tile_list._runner.cache_clear()
    yield
    tile_list.forget_kernels(0)
    tile_list._runner.cache_clear()


def layers():
    distinct = {layer.problem: layer.problem for layer in networks.layers("resnet50")}
    return list(distinct.values())


@pytest.mark.skipif("avx512" not in isas.available(), reason="the tiles of other CPUs differ")
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize("problem", layers(), ids=lambda problem: problem.name)
def test_auto_keeps_32_threads_busy(problem):
    setting = Setting("nhwc", threads=THREADS, isa="avx512", tune="off")
    plan = registry.find(problem.kind, "auto").plan(problem, setting)
    assert balance(plan, THREADS) >= EVEN


def test_a_plan_without_tiles_has_no_known_balance():
    def nest(lo, hi, buffers, dims):
        """Do nothing."""

    plan = Plan(steps=[Stage("a", nest, 3, (), ()), Stage("b", nest, 3, (), ())])
    assert balance(plan, 2) == 1.0
    assert barrier_cycles(plan, 1) == 0.0
    assert barrier_cycles(plan, 32) == 2 * 33 * 200


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_on_paper")
def test_blocks_of_attention_are_equal():
    attention = parse("attention:1x3x64x32")
    plan = registry.find("attention", "fused").plan(attention, Setting("nchw", threads=2))
    (stage,) = plan.steps
    even = stage.tasks / 2 / -(-stage.tasks // 2)
    assert 0.5 < even <= balance(plan, 2) <= 1.0
