"""A tile through the transforms is the direct result; counts and errors are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import RefusedError
from convprof.problems import Conv2d, parse
from convprof.studies.explain.winograd import (
    DEFAULT,
    SIZES,
    direct_tile,
    rounding_error,
    winograd,
)


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_the_transforms_give_the_direct_result(m, seed, dtype):
    page = winograd(parse(DEFAULT), m, seed, dtype)
    assert np.allclose(page.output, page.direct, rtol=0, atol=1e-9)
    assert page.products.shape == (m + 2, m + 2)
    assert not page.tile[page.border].any()


def test_the_direct_tile_is_nine_products_each():
    random = np.random.default_rng(0)
    d, w = random.random((6, 6)), random.random((3, 3))
    expected = [[np.sum(d[i : i + 3, j : j + 3] * w) for j in range(4)] for i in range(4)]
    assert np.allclose(expected, direct_tile(d, w), rtol=0, atol=1e-12)


def test_multiplications_of_whole_tiles_and_of_tiles_over_the_edge():
    direct, two, four, _ = winograd(
        Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1)), 2, 0
    ).counts
    assert direct.multiplications == 115_605_504
    assert (two.saving, four.saving) == (2.25, 4.0)
    _, two, four, _ = winograd(Conv2d(c=1, h=7, w=7, k=1, r=3, s=3, pad=(1, 1)), 2, 0).counts
    assert (two.multiplications, four.multiplications) == (16 * 16, (6 + 5) ** 2)


def test_rounding_grows_with_the_tile_and_stays_small():
    errors = [rounding_error(m, 64, 0) for m in (None, 2, 4)]
    assert errors[2] > 3 * errors[0]
    assert 0 < max(errors) < 1e-4


def test_bytes_are_not_rounded():
    page = winograd(parse(DEFAULT), 4, 0, "int8")
    assert [count.max_rel_error for count in page.counts] == [0, 0, 0]
    assert (page.factor, page.most) == (30, 1827)


def test_outputs_beyond_the_edge_are_marked():
    page = winograd(Conv2d(c=1, h=5, w=3, k=1, r=3, s=3), 4, 0)
    assert page.kept.tolist() == [[True, False, False, False]] * 3 + [[False] * 4]
    assert page.border[:, 3:].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 5, "s": 5, "stride": (2, 2)}, "needs a 3x3 stride-1 filter; got 5x5 stride 2"),
        ({"dilation": (2, 2)}, "needs a dense filter; got dilation 2"),
        ({"groups": 2}, "needs a convolution without groups; got 2 groups"),
    ],
)
def test_what_the_strategy_refuses_is_refused_in_its_words(change, message):
    shape = {"c": 2, "h": 9, "w": 9, "k": 2, "r": 3, "s": 3, **change}
    with pytest.raises(RefusedError, match=message):
        winograd(Conv2d(**shape), 2, 0)
