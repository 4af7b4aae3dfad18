from __future__ import annotations

import pytest

from convprof import Conv2d, Gemm, prepare
from convprof.dtypes import F32, types
from convprof.strategies.base import Setting
from convprof.strategies.gemm.blas import Blas

P = Conv2d(n=2, c=4, h=9, w=8, k=6, r=3, s=3, pad=(1, 1))
IMAGE = 2 * 4 * 11 * 10
"""Elements of the padded input."""
PATCHES = (4 * 3 * 3) * (2 * 9 * 8)


@pytest.mark.parametrize(("dtype", "size"), [("f32", 4), ("f64", 8)])
def test_im2col_moves_the_padded_image_the_patches_and_the_product_twice_more(dtype, size):
    prepared = prepare(P, strategy="im2col", layout="nchw", dtype=dtype)
    product = 6 * 2 * 9 * 8  # reordered, as there are two images
    expected = P.bytes_min(types(dtype)) + 2 * (IMAGE + PATCHES + product) * size
    assert prepared.bytes_moved() == expected


def test_direct_moves_the_padded_image_twice_more():
    prepared = prepare(P, strategy="direct", layout="nhwc")
    assert prepared.bytes_moved() == P.bytes_min(F32) + 2 * IMAGE * 4


def test_packed_weights_are_read_instead_of_the_weights():
    plain = Conv2d(n=1, c=4, h=9, w=8, k=6, r=3, s=3)
    prepared = prepare(plain, strategy="reordered", layout="nhwc")
    packed = prepared.workspace_bytes - prepared.table_bytes
    assert packed == 6 * 4 * 9 * 4  # the weights in another order
    assert prepared.bytes_moved() == plain.bytes_min(F32)


def test_without_scratch_memory_it_is_the_least():
    g = Gemm(m=5, n=6, k=7)
    assert prepare(g, strategy="naive").bytes_moved() == g.bytes_min(F32)
    assert Blas().prepare(g, Setting()).bytes_moved() == g.bytes_min(F32)
