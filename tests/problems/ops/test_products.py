from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32, types
from convprof.errors import ProblemError
from convprof.problems import Conv2d, Gemm
from convprof.problems.ops import AttentionMix, AttentionScores, Convolution, Linear, MatMul


def test_convolution():
    op = Convolution.square(8, 3, stride=2, groups=4, bias=True)
    x = (2, 4, 9, 9)
    problem = Conv2d(n=2, c=4, h=9, w=9, k=8, r=3, s=3, stride=(2, 2), pad=(1, 1), groups=4)
    assert op.text == "conv 3x3 s2 g4"
    assert op.problem(x) == problem
    assert op.output(x) == (2, 8, 5, 5)
    assert op.weights(x) == {"weight": (8, 1, 3, 3), "bias": (8,)}
    assert op.parameters(x) == 8 * 9 + 8
    assert op.macs(x) == problem.macs
    assert op.flops(x) == problem.flops + 2 * 8 * 5 * 5
    assert op.bytes_min(F32, x) == problem.bytes_min(F32) + 4 * 8


def test_without_bias_it_costs_what_the_problem_costs():
    op, x = Convolution.square(8, 1), (1, 4, 5, 5)
    assert op.weights(x) == {"weight": (8, 4, 1, 1)}
    assert op.flops(x) == op.problem(x).flops
    assert op.bytes_min(types("f64"), x) == op.problem(x).bytes_min(types("f64"))


def test_linear_takes_all_rows_of_all_images_at_once():
    op = Linear(7)
    assert op.problem((2, 5, 3)) == Gemm(m=10, n=7, k=3)
    assert op.output((2, 5, 3)) == (2, 5, 7)
    assert op.output((2, 3)) == (2, 7)
    assert op.weights((2, 3)) == {"weight": (3, 7), "bias": (7,)}
    assert op.flops((2, 3)) == 2 * 2 * 3 * 7 + 2 * 7
    assert Linear(7, bias=False).parameters((2, 3)) == 21


def test_matmul():
    a, b = (2, 3, 4, 5), (2, 3, 6, 5)
    op = MatMul(transpose_b=True, scale=0.5)
    assert op.problem(a, b) == Gemm(m=4, n=6, k=5, batch=6)
    assert op.output(a, b) == np.matmul(np.ones(a), np.ones(b).swapaxes(-1, -2)).shape
    assert op.flops(a, b) == 2 * 6 * 4 * 6 * 5 + 6 * 4 * 6
    assert MatMul().output((4, 5), (5, 6)) == (4, 6)
    assert MatMul().flops((4, 5), (5, 6)) == 2 * 4 * 5 * 6
    assert op.parameters(a, b) == 0


@pytest.mark.parametrize("b", [(2, 3, 5, 6), (3, 6, 5), (5,), ()])
def test_matmul_of_what_does_not_fit(b):
    with pytest.raises(ProblemError, match="does not fit"):
        MatMul(transpose_b=True).output((2, 3, 4, 5), b)


def test_attention():
    packed, heads = (2, 5, 3 * 12), 4
    scores, mix = AttentionScores(heads), AttentionMix(heads)
    assert scores.problem(packed) == Gemm(m=5, n=5, k=3, batch=8)
    assert scores.output(packed) == (2, 4, 5, 5)
    assert mix.problem((2, 4, 5, 5), packed) == Gemm(m=5, n=3, k=5, batch=8)
    assert mix.output((2, 4, 5, 5), packed) == (2, 5, 12)
    assert scores.macs(packed) == mix.macs((2, 4, 5, 5), packed) == 2 * 5 * 5 * 12
    assert scores.flops(packed) == 2 * scores.macs(packed) + 2 * 4 * 5 * 5
    assert scores.bytes_min(F32, packed) == 4 * (2 * 2 * 5 * 12 + 2 * 4 * 5 * 5)  # q, k, scores


@pytest.mark.parametrize("packed", [(2, 5, 35), (2, 5, 3 * 10), (2, 36)])
def test_attention_of_what_does_not_fit(packed):
    with pytest.raises(ProblemError, match="it needs"):
        AttentionScores(4).output(packed)


def test_attention_weights_of_another_shape():
    with pytest.raises(ProblemError, match="need"):
        AttentionMix(4).output((2, 4, 5, 6), (2, 5, 36))
