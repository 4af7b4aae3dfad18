"""How evenly 32 threads are busy, on paper: the layers of ResNet-50 at minibatch 1."""

from __future__ import annotations

import pytest

from convprof import networks
from convprof.codegen import isa as isas
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.balance import balance, longest_cycles
from convprof.strategies.base import Setting
from convprof.strategies.plan import Plan, Stage

THREADS = 32
EVEN = 0.9


def layers():
    distinct = {layer.problem: layer.problem for layer in networks.layers("resnet50")}
    return list(distinct.values())


@pytest.mark.skipif("avx512" not in isas.available(), reason="the tiles of other CPUs differ")
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize("problem", layers(), ids=lambda problem: problem.name)
def test_auto_keeps_32_threads_busy(problem):
    setting = Setting("nhwc", threads=THREADS, isa="avx512", tune="off")
    plan = registry.find(problem.kind, "auto").plan(problem, setting)
    assert balance(plan, plan.threads or THREADS) >= EVEN


def test_a_plan_without_tiles_has_no_known_balance():
    def nest(lo, hi, buffers, dims):
        """Do nothing."""

    plan = Plan(steps=[Stage("a", nest, 3, (), ()), Stage("b", nest, 3, (), ())])
    assert balance(plan, 2) == 1.0
    assert longest_cycles(plan, 2, 100.0) == 50.0


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_on_paper")
def test_blocks_of_attention_are_equal():
    attention = parse("attention:1x3x64x32")
    plan = registry.find("attention", "fused").plan(attention, Setting("nchw", threads=2))
    (stage,) = plan.steps
    even = stage.tasks / 2 / -(-stage.tasks // 2)
    assert balance(plan, 2) == pytest.approx(even)
    assert longest_cycles(plan, 2, 100.0) == pytest.approx(100.0 / 2 / even)
