from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.errors import RefusedError
from convprof.problems import Conv2d, Gemm, Operation
from convprof.problems.epilogue import Epilogue
from convprof.problems.ops import Softmax
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.networks.choice import (
    LayerChoice,
    candidates,
    prepared_by,
    settled,
    spelled,
    strategy_for,
)

SETTING = Setting("nhwc")
CONV = Conv2d(n=1, c=16, h=8, w=8, k=16, r=3, s=3, pad=(1, 1), name="conv")
FUSED = Conv2d(n=1, c=16, h=8, w=8, k=16, r=3, s=3, pad=(1, 1), epilogue=Epilogue(bias=True))
LARGE = Conv2d(n=1, c=16, h=8, w=8, k=16, r=5, s=5, name="conv")
SOFTMAX = Operation(op=Softmax(), inputs=((1, 4, 4),), name="soft")


@pytest.mark.parametrize(
    ("problem", "names", "name"),
    [
        (CONV, ("direct", "microkernel"), "direct"),
        (CONV, ("naive", "blas"), "auto"),  # those are for products
        (LARGE, ("winograd", "im2col"), "im2col"),
        (FUSED, ("direct",), "direct+passes"),
        (FUSED, ("microkernel",), "microkernel"),
        (FUSED, ("microkernel+passes",), "microkernel+passes"),
        (CONV, ("microkernel+passes", "microkernel"), "microkernel"),  # there is no epilogue
        (SOFTMAX, ("direct",), "auto"),
        (Gemm(m=4, n=4, k=4), ("direct", "naive"), "naive"),
    ],
)
def test_the_first_that_takes_a_layer(problem, names, name):
    assert strategy_for(problem, names, SETTING).name == name


def test_a_layer_that_every_strategy_refuses_names_every_reason_and_a_way_out():
    words = r"^layer conv \(.*\): winograd needs .*; microkernel\+passes computes an epilogue.*"
    way_out = r"add a strategy: winograd,microkernel\+passes,auto$"
    with pytest.raises(RefusedError, match=words + way_out):
        strategy_for(LARGE, ("winograd", "microkernel+passes"), SETTING)


def test_auto_has_the_name_of_the_only_strategy():
    assert spelled(SOFTMAX, "auto") == "vectors"
    assert spelled(CONV, "auto") == "auto"
    assert spelled(CONV, "direct") == "direct"


def test_the_candidates_of_a_layer_are_different_blockings():
    choices = candidates(CONV, SETTING, 6)
    assert 1 < len(choices) == len(set(choices)) <= 6
    assert all(choice.blocking is not None for choice in choices)
    assert candidates(SOFTMAX, SETTING, 6) == [LayerChoice("auto", "nhwc")]


def test_a_layer_is_prepared_with_the_blocking_that_was_chosen():
    choice = LayerChoice("winograd", "nhwc", WinogradBlocking(m=2, tiles=5))
    plan = prepared_by(CONV, choice, SETTING).plan
    assert plan.workspaces["spectrum"].shape == (16, 5 * 16)


def test_a_settled_choice_keeps_its_types():
    choice = LayerChoice("auto", "nhwc", dtype="f64")
    assert settled(CONV, choice, Setting("nchw", tune="off")).dtype == "f64"


def test_a_settled_choice_of_many_threads_is_planned_once(monkeypatch):
    planned = []
    for name in ("microkernel", "winograd"):
        member = registry.find("conv2d", name)
        plan = member.plan_blocked

        def counted(*args, name=name, plan=plan):
            planned.append(name)
            return plan(*args)

        monkeypatch.setattr(member, "plan_blocked", counted)
    setting = Setting("nhwc", threads=4, tune="off")
    choice = settled(CONV, LayerChoice("auto", "nhwc"), setting)
    prepared_by(CONV, choice, setting)
    assert sorted(planned) == ["microkernel", "winograd"]
    assert choice == replace(choice, plan=None)  # other layers may have the same choice
