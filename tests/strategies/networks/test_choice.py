from __future__ import annotations

import pytest

from convprof.errors import RefusedError
from convprof.networks.steps import Way
from convprof.problems import Conv2d, Gemm, Operation
from convprof.problems.epilogue import Epilogue
from convprof.problems.ops import Softmax
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import blocking, candidates, spelled, strategy_for

SETTING = Setting("nhwc")
CONV = Conv2d(n=1, c=16, h=8, w=8, k=16, r=3, s=3, pad=(1, 1), name="conv")
FUSED = Conv2d(n=1, c=16, h=8, w=8, k=16, r=3, s=3, pad=(1, 1), epilogue=Epilogue(bias=True))
STRIDED = Conv2d(n=1, c=16, h=8, w=8, k=16, r=5, s=5, stride=(2, 2), name="conv")
SOFTMAX = Operation(op=Softmax(), inputs=((1, 4, 4),), name="soft")


@pytest.mark.parametrize(
    ("problem", "names", "name"),
    [
        (CONV, ("direct", "microkernel"), "direct"),
        (CONV, ("naive", "blas"), "auto"),  # those are for products
        (STRIDED, ("winograd", "im2col"), "im2col"),
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


def test_a_layer_that_nobody_takes_names_every_reason_and_a_way_out():
    words = r"^layer conv \(.*\): winograd needs .*; microkernel\+passes computes an epilogue.*"
    with pytest.raises(
        RefusedError, match=words + r"add a strategy: winograd,microkernel\+passes,auto$"
    ):
        strategy_for(STRIDED, ("winograd", "microkernel+passes"), SETTING)


def test_auto_stands_for_the_only_one():
    assert spelled("operation", "auto") == "vectors"
    assert spelled("conv2d", "auto") == "auto"
    assert spelled("conv2d", "direct") == "direct"


def test_a_variant_stands_for_a_blocking():
    found = candidates(CONV, SETTING, 6)
    told = [blocking(CONV, way, SETTING) for way in found]
    assert all(told)
    assert len(told) > 1
    assert len(
        {(way.strategy, *made.items()) for way, made in zip(found, told, strict=True)}
    ) == len(told)
    assert blocking(CONV, Way("microkernel", "nhwc"), SETTING) is None
    assert blocking(SOFTMAX, Way("auto", "nhwc"), SETTING) is None
