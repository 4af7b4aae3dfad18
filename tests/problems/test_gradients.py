from __future__ import annotations

import pytest

from convprof.dtypes import F32, types
from convprof.problems import BackwardData, BackwardWeights, Conv2d, Gemm, LayoutConversion
from convprof.problems.gradients import PASSES, passes_of

CONV = Conv2d(n=2, c=6, h=9, w=8, k=4, r=3, s=2, stride=(2, 1), pad=(1, 0), groups=2, name="one")
GEMM = Gemm(m=3, n=4, k=5, batch=2)


def test_what_a_pass_computes_from_what():
    data, weights = BackwardData(CONV), BackwardWeights(CONV)
    assert tuple(spec.shape for spec in data.operands("nhwc", F32)) == ((2, 5, 7, 4), (4, 3, 3, 2))
    assert data.result("nhwc", F32).shape == (2, 9, 8, 6)
    assert tuple(spec.shape for spec in weights.operands("nchw", F32)) == (
        (2, 6, 9, 8),
        (2, 4, 5, 7),
    )
    assert weights.result("nchw", F32).shape == weights.result("nhwc", F32).shape == (4, 3, 3, 2)
    data, weights = BackwardData(GEMM), BackwardWeights(GEMM)
    assert tuple(spec.shape for spec in data.operands("nchw", F32)) == ((2, 3, 4), (2, 5, 4))
    assert data.result("nchw", F32).shape == (2, 3, 5)
    assert tuple(spec.shape for spec in weights.operands("nchw", F32)) == ((2, 3, 5), (2, 3, 4))
    assert weights.result("nchw", F32).shape == (2, 5, 4)


@pytest.mark.parametrize("forward", [CONV, GEMM], ids=["conv2d", "gemm"])
def test_every_pass_has_the_forward_passs_work(forward):
    for problem in (BackwardData(forward), BackwardWeights(forward)):
        assert (problem.macs, problem.flops) == (forward.macs, forward.flops)
        assert problem.descriptor == forward.descriptor
        assert problem.name == forward.name
        assert problem.with_batch(7).forward == forward.with_batch(7)
        assert problem.dims() == {**forward.dims(), "pass": problem.which}
        assert problem.family == forward.kind


def test_kinds():
    kinds = [passes_of(problem, "training") for problem in (CONV, GEMM)]
    assert [problem.kind for row in kinds for problem in row] == [
        "conv2d",
        "conv2d-backward-data",
        "conv2d-backward-weights",
        "gemm",
        "gemm-backward-data",
        "gemm-backward-weights",
    ]
    assert PASSES == ("forward", "backward-data", "backward-weights", "training")
    assert passes_of(CONV, "forward") == [CONV]
    assert passes_of(CONV, "backward-weights") == [BackwardWeights(CONV)]
    assert LayoutConversion(n=1, c=2, h=3, w=4).family == "reorder"


def test_passes_are_distinguished():
    assert BackwardData(CONV) != BackwardWeights(CONV)
    assert len({BackwardData(CONV), BackwardWeights(CONV), BackwardData(CONV)}) == 2


def test_least_traffic():
    dy, dx, w = 2 * 4 * 5 * 7, 2 * 6 * 9 * 8, 4 * 3 * 3 * 2
    assert BackwardData(CONV).bytes_min(F32) == 4 * (dy + dx + w)
    # Of x only what some tap reads, as in the forward pass.
    assert BackwardWeights(CONV).bytes_min(F32) == CONV.bytes_min(F32)
    assert BackwardData(GEMM).bytes_min(types("f64")) == GEMM.bytes_min(types("f64"))
