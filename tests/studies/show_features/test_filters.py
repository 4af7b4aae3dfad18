from __future__ import annotations

import numpy as np
import pytest

from convprof.studies.show_features import filters
from convprof.studies.show_features.filters import DIRECTIONS, EVEN, ODD

Y, X = np.mgrid[0:40, 0:40].astype(np.float64)


def respond(kernel, plane):
    """Correlate where the filter fits, by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(plane, kernel.shape)
    return np.einsum("yxrs,rs->yx", windows, kernel.astype(np.float64))


def test_sobel_gives_the_slope_of_a_ramp_everywhere():
    ramp = 0.25 * X - 0.5 * Y + 3
    assert respond(filters.sobel_x(), ramp) == pytest.approx(0.25)
    assert respond(filters.sobel_y(), ramp) == pytest.approx(-0.5)


def test_the_laplacian_of_a_plane_is_zero_and_of_a_parabola_its_curvature():
    assert respond(filters.laplacian(), 2 * X - 3 * Y + 1) == pytest.approx(0, abs=1e-9)
    assert respond(filters.laplacian(), X**2 + 0.5 * Y**2) == pytest.approx(3)


def test_blurs_keep_an_even_plane_and_its_middle():
    for kernel in (filters.box(9), filters.gaussian(9, 2.0)):
        assert respond(kernel, np.full_like(X, 0.7)) == pytest.approx(0.7)
        assert respond(kernel, X)[0] == pytest.approx(X[0, 4:-4])


def test_the_box_is_the_mean_and_the_gaussian_its_formula():
    noise = np.random.default_rng(0).random((9, 9))
    assert respond(filters.box(9), noise) == pytest.approx(noise.mean())
    bell = filters.gaussian(9, 2.0)
    assert bell[4, 6] / bell[4, 4] == pytest.approx(np.exp(-4 / 8))
    assert bell[1, 4] / bell[4, 4] == pytest.approx(np.exp(-9 / 8))


@pytest.mark.parametrize("phase", [EVEN, ODD])
@pytest.mark.parametrize("angle", DIRECTIONS.values())
def test_gabor_lets_no_constant_pass_and_weighs_one(angle, phase):
    kernel = filters.gabor(15, angle, 6.0, 3.0, phase)
    assert kernel.sum() == pytest.approx(0, abs=1e-6)
    assert np.abs(kernel).sum() == pytest.approx(1)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_gabor_answers_most_to_stripes_of_its_own_direction(name):
    turn = np.radians(DIRECTIONS[name])
    stripes = np.cos(2 * np.pi / 6 * (X * np.cos(turn) + Y * np.sin(turn)))
    strongest = {
        other: np.abs(respond(filters.gabor(15, angle, 6.0, 3.0), stripes)).max()
        for other, angle in DIRECTIONS.items()
    }
    own = strongest.pop(name)
    assert own > 5 * max(strongest.values())


def test_directions_mean_what_they_are_called():
    stripe = np.zeros((15, 15))
    np.fill_diagonal(stripe, 1)  # from the upper left to the lower right
    found = {n: float((filters.gabor(15, a, 6.0, 3.0) * stripe).sum()) for n, a in DIRECTIONS.items()}  # noqa: E501  # fmt: skip
    assert max(found, key=found.__getitem__) == "falling"
    found = {n: float((filters.gabor(15, a, 6.0, 3.0) * stripe[::-1]).sum()) for n, a in DIRECTIONS.items()}  # noqa: E501  # fmt: skip
    assert max(found, key=found.__getitem__) == "rising"


def test_an_odd_gabor_is_positive_where_dark_turns_bright():
    step = (X[:7, :7] >= 3).astype(float)
    assert respond(filters.gabor(7, 0, 6.0, 2.0, ODD), step)[0, 0] > 0.3
    assert respond(filters.gabor(7, 90, 6.0, 2.0, ODD), step)[0, 0] == pytest.approx(0, abs=1e-6)
