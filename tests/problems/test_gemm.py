from __future__ import annotations

import pytest

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems import Gemm


def test_one_product():
    g = Gemm(m=2, n=3, k=5)
    assert (g.kind, g.macs, g.flops) == ("gemm", 30, 60)
    assert (g.a_shape, g.b_shape, g.c_shape) == ((2, 5), (5, 3), (2, 3))
    assert g.bytes_min(F32) == 4 * (10 + 15 + 6)
    assert g.descriptor == "2x5:5x3"
    assert g.dims() == {"m": 2, "n": 3, "k": 5, "batch": 1}


def test_a_batch():
    g = Gemm(m=40, n=40, k=64, batch=16, name="qk")
    assert g.a_shape == (16, 40, 64)
    assert g.macs == 16 * 40 * 40 * 64
    assert g.bytes_min(F32) == 4 * 16 * (40 * 64 * 2 + 40 * 40)
    assert g.descriptor == '16x40x64:16x64x40n"qk"'
    assert g.with_batch(3).name == "qk"
    assert Gemm(m=40, n=40, k=64, batch=3) == g.with_batch(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"m": 0}, "m=0: must be at least 1"),
        ({"batch": None}, "batch=None: must be a whole number"),
        (
            {"m": 2**30, "k": 2**30},
            (
                "A of 1073741824x1073741824: more than 2**48 elements; "
                "use smaller sizes or a smaller batch"
            ),
        ),
    ],
)
def test_impossible_sizes(changes, message):
    with pytest.raises(ProblemError) as caught:
        Gemm(**{"m": 1, "n": 1, "k": 1, **changes})
    assert message == str(caught.value)
