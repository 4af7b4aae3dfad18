"""Where the level of a series changes, and where it only looks so."""

from __future__ import annotations

import random

import pytest

from convprof.studies.history.change_points import change_points


def series(*levels, noise=0.01, seed=1):
    draw = random.Random(seed)
    return [level * draw.lognormvariate(0, noise) for level, count in levels for _ in range(count)]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([(0.9, 40)], []),
        ([(0.9, 15), (0.8, 15)], [15]),
        ([(0.9, 20), (0.8, 20), (0.9, 20)], [20, 40]),
        ([(0.9, 15), (0.891, 15)], []),  # 1 %
        ([(0.9, 1)], []),
        ([], []),
    ],
)
def test_changes_of_the_level(levels, expected):
    assert change_points(series(*levels, noise=0.004)) == expected


def test_five_runs_show_a_slow_down_of_5_per_cent():
    for seed in range(5):
        (at,) = change_points(series((0.9, 10), (0.855, 5), noise=0.004, seed=seed))
        assert abs(at - 10) <= 1


def test_one_disturbed_run_is_no_change():
    values = series((0.9, 30))
    values[17] = 0.1
    assert change_points(values) == []


def test_few_lines_without_a_change_have_one():
    alarms = sum(bool(change_points(series((0.9, 40), noise=0.03, seed=s))) for s in range(100))
    assert alarms <= 5


def test_equal_values_are_no_change():
    assert change_points([0.5] * 50) == []
