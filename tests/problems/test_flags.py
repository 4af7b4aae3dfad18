from __future__ import annotations

import pytest

from convprof.errors import DescriptorError, InputError
from convprof.problems import Conv2d, Gemm, conv2d_from_flags, gemm_from_flags


def conv(**flags) -> Conv2d:
    return conv2d_from_flags(**{"input": "1x64x56x56", "filters": 64, "kernel": "3", **flags})


@pytest.mark.parametrize(
    ("flags", "pads", "out"),
    [
        ({}, (0, 0, 0, 0), (54, 54)),
        ({"pad": "1"}, (1, 1, 1, 1), (56, 56)),
        ({"pad": "1x0"}, (1, 0, 1, 0), (56, 54)),
        ({"pad": "1x1x2x2"}, (1, 1, 2, 2), (57, 57)),
        ({"pad": "valid", "stride": "2x1"}, (0, 0, 0, 0), (27, 54)),
        ({"pad": "same", "stride": "2"}, (0, 0, 1, 1), (28, 28)),
        ({"pad": "same", "kernel": "3x5", "dilation": "2"}, (2, 4, 2, 4), (56, 56)),
        ({"pad": "same", "kernel": "1", "stride": "2"}, (0, 0, 0, 0), (28, 28)),
    ],
)
def test_padding(flags, pads, out):
    problem = conv(**flags)
    assert (pads, out) == (problem.pads, (problem.p, problem.q))


def test_everything_else():
    problem = conv(kernel="3x5", stride="2x1", dilation="1x2", groups=64)
    assert (
        problem.r,
        problem.s,
        problem.stride,
        problem.dilation,
        problem.groups,
    ) == (3, 5, (2, 1), (1, 2), 64)


def test_products():
    assert Gemm(m=2, n=3, k=4) == gemm_from_flags("2x3x4")
    assert Gemm(m=2, n=3, k=4, batch=5) == gemm_from_flags("5x2x3x4")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"kernel": "3y"}, "kernel=3y: write one number or height x width, e.g. 3 or 3x5"),
        ({"kernel": ""}, "kernel=: write one number"),
        ({"kernel": "1x2x3"}, "kernel=1x2x3: write one number"),
        ({"stride": "0"}, "stride=0: 0 must be between 1 and 2147483647"),
        ({"stride": "9" * 99}, "stride='999"),
        ({"input": "1x64x56"}, "input=1x64x56: write NxCxHxW, e.g. 1x64x56x56"),
        ({"input": "1x64x56x56\x1b"}, "input='1x64x56x56\\x1b': write NxCxHxW"),
        ({"pad": "big"}, "pad=big: write same, valid, or one, two or four numbers"),
        ({"pad": "1x2x3"}, "pad=1x2x3: write same, valid"),
        ({"dilation": "-1"}, "dilation=-1: write one number"),
        ({"filters": 0}, "filters=0: must be between 1"),
        ({"groups": 3}, "groups=3: must divide c=64"),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(InputError) as caught:
        conv(**flags)
    assert str(caught.value).startswith(message)


def test_bad_product():
    with pytest.raises(DescriptorError, match="gemm=2x3: write MxNxK or BxMxNxK"):
        gemm_from_flags("2x3")
