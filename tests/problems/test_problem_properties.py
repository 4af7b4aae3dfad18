"""What strategies ask of any problem, so that they need not look at its class."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.problems import (
    Attention,
    BackwardData,
    Conv2d,
    Gemm,
    LayoutConversion,
    Operation,
    ops,
)
from convprof.problems.epilogue import Epilogue

CONV = Conv2d(c=4, h=5, w=5, k=6, r=3, s=3, epilogue=Epilogue(bias=True, add=True))
GEMM = Gemm(m=2, n=3, k=4)
NORM = Operation(op=ops.BatchNorm(), inputs=((1, 4, 3, 3),), laid_out=True)
FLATTEN = Operation(op=ops.Flatten(), inputs=((1, 4, 3, 3),), laid_out=True)
SOFTMAX = Operation(op=ops.Softmax(), inputs=((2, 3),))
OTHERS = [
    GEMM,
    SOFTMAX,
    FLATTEN,
    BackwardData(Conv2d(c=4, h=5, w=5, k=6, r=3, s=3)),
    Attention(batch=1, heads=1, tokens=3, dim=4),
    LayoutConversion(n=1, c=2, h=3, w=4),
]


@pytest.mark.parametrize("problem", [CONV, NORM, *OTHERS[:3]])
def test_a_layer_stores_each_constant_operand_under_a_name(problem):
    constants = [spec for spec in problem.operands("nchw", F32) if spec.constant]
    assert len(problem.parameters) == len(constants)


def test_the_names_are_names_of_networks():
    assert CONV.parameters == ("weight", "bias")
    assert GEMM.parameters == ("weight",)
    assert NORM.parameters == tuple(spec.name for spec in NORM.operands("nchw", F32)[1:])


def test_a_bias_has_an_element_per_channel():
    assert (CONV.channels, GEMM.channels) == (6, 3)
    assert CONV.operands("nhwc", F32)[2].shape == (CONV.channels,)


@pytest.mark.parametrize("problem", [CONV, *OTHERS])
def test_only_an_operation_has_an_op(problem):
    assert (problem.op is not None) == (problem.kind == "operation")


def test_a_rearrangement_is_a_view_of_its_operand():
    x = np.arange(36.0).reshape(1, 4, 3, 3)
    view = FLATTEN.view(x)
    assert view.shape == (1, 36)
    assert np.shares_memory(view, x)


@pytest.mark.parametrize("problem", [CONV, GEMM, SOFTMAX, NORM])
def test_what_is_computed_is_no_view(problem):
    assert problem.view(np.zeros((2, 3))) is None
