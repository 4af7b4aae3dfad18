"""The tensors that have the layout, pinned against the shapes that the problems give."""

from __future__ import annotations

import math

import pytest

from convprof.dtypes import F32
from convprof.problems import (
    Attention,
    BackwardData,
    BackwardWeights,
    Conv2d,
    Gemm,
    LayoutConversion,
    NetworkProblem,
    Operation,
    ops,
)
from convprof.problems.epilogue import Epilogue
from convprof.problems.graph import Builder, Network

CONV = Conv2d(n=2, c=3, h=5, w=7, k=4, r=1, s=1)
FUSED = Conv2d(
    n=2, c=3, h=5, w=7, k=4, r=1, s=1, epilogue=Epilogue(bias=True, add=True, function="relu")
)
ADDED = Conv2d(n=2, c=3, h=5, w=7, k=4, r=1, s=1, epilogue=Epilogue(add=True))
GEMM = Gemm(m=5, n=6, k=7, epilogue=Epilogue(bias=True, add=True))
IMAGE = (2, 3, 5, 7)
SUM = Operation(op=ops.Add(), inputs=(IMAGE, IMAGE), laid_out=True)
NORM = Operation(op=ops.BatchNorm(), inputs=(IMAGE,), laid_out=True)
TOKENS = Operation(op=ops.Tokens(), inputs=(IMAGE,), laid_out=True)
SCORES = Operation(op=ops.Softmax(), inputs=((2, 3, 5, 5),))


def whole(*nodes, shape=IMAGE):
    net = Builder()
    for index, op in enumerate(nodes):
        net.add(f"n{index}", op)
    return NetworkProblem(Network("net", shape, tuple(net.nodes)))


CONVOLUTION = whole(ops.Convolution.square(4, 1))
CLASSIFIER = whole(ops.Convolution.square(4, 1), ops.Flatten(), ops.Linear(5))
FEATURES = whole(ops.Linear(5), shape=(2, 3))

OPERANDS = [
    (CONV, {0}),
    (FUSED, {0, 3}),
    (ADDED, {0, 2}),
    (GEMM, set()),
    (BackwardData(CONV), {0}),
    (BackwardWeights(CONV), {0, 1}),
    (BackwardData(Gemm(m=5, n=6, k=7)), set()),
    (Attention(heads=2, tokens=5, dim=3), set()),
    (LayoutConversion(n=2, c=3, h=5, w=7), {0}),
    (SUM, {0, 1}),
    (NORM, {0}),
    (TOKENS, {0}),
    (SCORES, set()),
]


@pytest.mark.parametrize(("problem", "positions"), OPERANDS, ids=lambda value: str(value)[:40])
def test_operands_in_the_layout_change_their_shapes(problem, positions):
    specs = problem.operands("nhwc", F32)
    assert {i for i, spec in enumerate(specs) if spec.layout == "nhwc"} == positions
    shapes = zip(
        tuple(spec.shape for spec in problem.operands("nchw", F32)),
        tuple(spec.shape for spec in problem.operands("nhwc", F32)),
        strict=True,
    )
    for position, (nchw, nhwc) in enumerate(shapes):
        if position in positions:
            n, c, h, w = nchw
            assert nhwc == (n, h, w, c)
        else:
            assert math.prod(nhwc) == math.prod(nchw)
            assert nhwc == nchw or problem.kind.startswith("conv2d")  # weights are rearranged


@pytest.mark.parametrize(
    ("problem", "image"),
    [
        (CONV, True), (FUSED, True), (BackwardData(CONV), True), (BackwardWeights(CONV), False),
        (GEMM, False), (SUM, True), (NORM, True), (TOKENS, False), (SCORES, False),
        (CONVOLUTION, True), (CLASSIFIER, False), (FEATURES, False),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_results_that_are_images(problem, image):
    layouts = [problem.result(layout, F32).layout for layout in ("nchw", "nhwc")]
    assert layouts == (["nchw", "nhwc"] if image else [None, None])
    if image:
        n, c, h, w = problem.result("nchw", F32).shape
        assert problem.result("nhwc", F32).shape == (n, h, w, c)
    elif problem.kind in ("operation", "network", "gemm"):
        assert problem.result("nhwc", F32).shape == problem.result("nchw", F32).shape


def test_a_reorders_result_is_in_the_other_layout():
    problem = LayoutConversion(n=2, c=3, h=5, w=7)
    assert problem.result("nchw", F32).layout == "nhwc"
    assert problem.result("nhwc", F32).layout == "nchw"


@pytest.mark.parametrize(
    ("problem", "layout"),
    [
        (CONV, True), (GEMM, False), (SUM, True), (SCORES, False), (CONVOLUTION, True),
        (CLASSIFIER, True), (FEATURES, False), (BackwardWeights(CONV), True),
        (Attention(heads=2, tokens=5, dim=3), False),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_who_has_a_layout_at_all(problem, layout):
    assert problem.has_layout == layout
