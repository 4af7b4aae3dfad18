"""Where the level of a series changes, and where it only looks so."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from convprof.studies.history.change_points import CRITICAL, FEWEST, SIGNIFICANT, change_points


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


def probability(number, statistic):
    """Return the fraction of all orders of the ranks 1 to n in which K is at least a value.

    The sum of the first t ranks depends on which they are, not on their order: the orders with a
    smaller K are counted by sets of ranks, from the sets with one rank less.
    """
    sums, sizes = np.zeros(1 << number, int), np.zeros(1 << number, int)
    for rank in range(number):
        half, both = 1 << rank, 2 << rank
        sums[half:both] = sums[:half] + 2 * (rank + 1) - number - 1
        sizes[half:both] = sizes[:half] + 1
    orders = np.zeros(1 << number)
    orders[0] = 1
    for size in range(1, number + 1):
        sets = np.flatnonzero((sizes == size) & (np.abs(sums) < statistic))
        for rank in range(number):
            last = sets[(sets >> rank) & 1 == 1]
            orders[last] += orders[last ^ (1 << rank)]
    return 1 - orders[-1] / math.factorial(number)


@pytest.mark.parametrize(("number", "critical"), [*enumerate(CRITICAL, FEWEST)])
def test_the_least_significant_statistic_of_few_runs_is_exact(number, critical):
    assert probability(number, critical) <= SIGNIFICANT < probability(number, critical - 1)


def test_under_8_runs_no_order_is_significant():
    most = (FEWEST - 1) ** 2 // 4
    assert probability(FEWEST - 1, most) > SIGNIFICANT
    assert change_points([1.0] * 3 + [0.5] * 4) == []


@pytest.mark.parametrize(("before", "after"), [(4, 4), (6, 4), (10, 4), (14, 4), (91, 9)])
def test_few_runs_after_a_change_show_it(before, after):
    """4 + 4 and 6 + 4 runs: with the approximation no series under 11 runs had a change."""
    (at,) = change_points(series((0.9, before), (0.855, after), noise=0.004))
    assert abs(at - before) <= 1


def test_few_short_series_without_a_change_have_one():
    alarms = sum(bool(change_points(series((0.9, 10), noise=0.03, seed=s))) for s in range(200))
    assert alarms <= 20  # 5 % are expected
