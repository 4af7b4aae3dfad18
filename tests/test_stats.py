from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof import stats
from convprof.stats import (
    Estimate,
    Ratio,
    paired_ratio,
    ratio_by_round,
    ratio_of_estimates,
    student_95,
    unpaired_ratio,
)

times = st.floats(1e-9, 1e3)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=40)


def chance_of_enclosing(count, low, high):
    """Return the chance that the median is between two order statistics, term by term."""
    return sum(math.comb(count, below) for below in range(low + 1, high + 1)) / 2**count


@pytest.mark.parametrize("count", range(6))
def test_fewer_than_six_samples_enclose_nothing(count):
    assert stats.interval_ranks(count) is None
    assert count == 0 or stats.median_interval([1.0] * count) is None


@pytest.mark.parametrize(
    ("count", "ranks"),
    [  # Conover 1999, Practical Nonparametric Statistics, table A3 (there counted from 1)
        (6, (0, 5)),
        (8, (0, 7)),
        (9, (1, 7)),
        (10, (1, 8)),
        (12, (2, 9)),
        (15, (3, 11)),
        (20, (5, 14)),
        (25, (7, 17)),
        (50, (17, 32)),
        (100, (39, 60)),
    ],
)
def test_ranks_of_the_95_percent_interval(count, ranks):
    assert ranks == stats.interval_ranks(count)


@pytest.mark.parametrize("count", [6, 7, 8, 25, 26, 99, 100, 1500])
def test_the_interval_is_the_narrowest_that_reaches_the_confidence(count):
    low, high = stats.interval_ranks(count)
    assert low + high == count - 1
    assert chance_of_enclosing(count, low, high) >= 0.95
    assert chance_of_enclosing(count, low + 1, high - 1) < 0.95


def test_less_confidence_needs_fewer_samples():
    assert stats.interval_ranks(5, confidence=0.9) == (0, 4)
    assert stats.interval_ranks(25, confidence=0.99) == (5, 19)


@pytest.mark.parametrize("count", [7, 25])
def test_the_interval_covers_the_median_of_skewed_samples(count):
    draw = random.Random(20190901)
    trials = 400
    true_median = math.log(2)
    covered = 0
    for _ in range(trials):
        low, high = stats.median_interval([draw.expovariate(1) for _ in range(count)])
        covered += low <= true_median <= high
    assert covered / trials >= 0.93
    assert covered < trials  # a 95 % interval that never misses is too wide


def test_median_interval_picks_order_statistics():
    shuffled = [float(value) for value in range(25)]
    random.Random(1).shuffle(shuffled)
    assert stats.median_interval(shuffled) == (7.0, 17.0)


def test_median_and_mad():
    assert stats.median([3, 1, 100]) == 3
    assert stats.mad([3, 1, 100]) == 2
    assert stats.mad([1, 2, 4, 8]) == pytest.approx(1.5)
    with pytest.raises(statistics.StatisticsError):
        stats.median([])


def noisy(seed, count=25, spread=0.005):
    draw = random.Random(seed)
    return [1e-3 * draw.lognormvariate(0, spread) for _ in range(count)]


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.9, "faster"), (0.97, "faster"), (1.0, "same"), (1.004, "same"), (1.1, "slower")],
)
def test_verdicts(factor, verdict):
    a, b = [factor * value for value in noisy(1)], noisy(2)
    ratio = paired_ratio(a, b)
    assert (verdict, 25) == (ratio.verdict, ratio.rounds)
    assert ratio.low <= factor <= ratio.high
    assert ratio.value == pytest.approx(factor, rel=0.005)


def test_a_drift_that_hits_both_does_not_blur_the_verdict():
    drift = [1 + number / 5 for number in range(25)]
    b = [t * d for t, d in zip(noisy(3), drift, strict=True)]
    a = [1.05 * t * d for t, d in zip(noisy(4), drift, strict=True)]
    low, high = stats.median_interval(a)
    assert low < stats.median(b) < high  # apart, the two could not be told from each other
    assert paired_ratio(a, b).verdict == "slower"


@pytest.mark.parametrize("factor", [1.02, 1 / 1.02])
def test_a_ratio_at_the_edge_of_same_is_undecided_or_decided_but_not_same(factor):
    a = [factor * value for value in noisy(5)]
    assert paired_ratio(a, noisy(6)).verdict != "same"


def test_noise_larger_than_the_difference_is_undecided():
    a = [1.01 * value for value in noisy(7, spread=0.2)]
    assert paired_ratio(a, noisy(8, spread=0.2)).verdict == "undecided"


def test_too_few_rounds_are_undecided_however_large_the_difference():
    ratio = paired_ratio([1.0] * 5, [9.0] * 5)
    assert ratio.verdict == "undecided"
    assert (ratio.low, ratio.high) == (None, None)
    assert ratio.value == pytest.approx(1 / 9)
    assert paired_ratio([1.0] * 6, [9.0] * 6).verdict == "faster"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, "same"),
        (0.985, 0.995, "same"),  # certainly faster, and certainly not worth a choice
        (0.97, 0.99, "faster"),
        (0.97, 1.0, "undecided"),
        (0.97, 1.03, "undecided"),
        (1.0, 1.03, "undecided"),
        (1.001, 1.03, "slower"),
        (0.98, 1.02, "undecided"),  # 0.98 is further from 1 than 1.02: compare 1 / 1.02
        (1 / 1.02, 1.02, "same"),
    ],
)
def test_the_verdict_follows_from_the_interval(low, high, verdict):
    assert verdict == Ratio(1.0, low, high, 25).verdict


def test_rounds_that_only_one_has_are_left_out():
    slow = [2.0] * 6
    quick = [1.0] * 6 + [50.0] * 19
    ratio = paired_ratio(slow, quick)
    assert (ratio.value, ratio.rounds) == (pytest.approx(2.0), 6)
    with pytest.raises(statistics.StatisticsError):
        paired_ratio([], quick)


@given(pairs, st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(rounds, scale):
    a, b = zip(*rounds, strict=True)
    ratio = paired_ratio(a, b)
    scaled = paired_ratio([scale * x for x in a], [scale * y for y in b])
    assert scaled.value == pytest.approx(ratio.value, rel=1e-9)
    if ratio.low is not None:
        assert (scaled.low, scaled.high) == pytest.approx((ratio.low, ratio.high), rel=1e-9)


@given(pairs)
def test_swapping_the_contestants_inverts_the_ratio(rounds):
    a, b = zip(*rounds, strict=True)
    ratio, swapped = paired_ratio(a, b), paired_ratio(b, a)
    assert swapped.value == pytest.approx(1 / ratio.value, rel=1e-9)
    if ratio.low is None:
        assert (swapped.low, swapped.verdict) == (None, "undecided")
        return
    assert swapped.low == pytest.approx(1 / ratio.high, rel=1e-9)
    assert swapped.high == pytest.approx(1 / ratio.low, rel=1e-9)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=6, max_size=40))
def test_swapping_the_contestants_swaps_the_verdict(rounds):
    a, b = zip(*rounds, strict=True)
    opposite = {"faster": "slower", "slower": "faster", "same": "same", "undecided": "undecided"}
    assert opposite[paired_ratio(a, b).verdict] == paired_ratio(b, a).verdict


@given(pairs)
def test_the_interval_encloses_the_ratio(rounds):
    ratio = paired_ratio(*zip(*rounds, strict=True))
    assert ratio.rounds == len(rounds)
    if ratio.low is not None:
        assert ratio.low <= ratio.value * (1 + 1e-12)
        assert ratio.high >= ratio.value * (1 - 1e-12)


def test_geometric_mean():
    assert stats.geometric_mean([1, 4]) == pytest.approx(2)
    assert stats.geometric_mean([1, 10, 100]) == pytest.approx(10)
    assert stats.geometric_mean([7]) == pytest.approx(7)
    assert stats.geometric_mean([0.5, 2] * 1000) == pytest.approx(1)
    assert stats.geometric_mean([1e-300] * 3) == pytest.approx(1e-300)  # no underflow on the way


@given(st.lists(times, min_size=1, max_size=20))
def test_the_geometric_mean_of_inverses_is_the_inverse(values):
    mean = stats.geometric_mean(values)
    assert stats.geometric_mean([1 / value for value in values]) == pytest.approx(1 / mean)
    assert min(values) * (1 - 1e-9) <= mean <= max(values) * (1 + 1e-9)


def test_the_inverse_says_the_same_of_the_other_side():
    ratio = Ratio(2.0, 1.6, 2.5, 25)
    assert ratio.inverse == Ratio(0.5, 0.4, 0.625, 25)
    assert (ratio.verdict, ratio.inverse.verdict) == ("slower", "faster")
    assert Ratio(4.0, None, None, 3).inverse == Ratio(0.25, None, None, 3)


def test_only_rounds_of_both_are_compared():
    assert ratio_by_round({0: 2.0, 1: 6.0, 3: 9.0}, {1: 2.0, 2: 1.0}) == paired_ratio([6.0], [2.0])
    assert ratio_by_round({0: 1.0}, {1: 1.0}) is None


def test_compact_keeps_few_rounds_as_they_are():
    assert stats.compact([3.00004, 1.0, 2.0]) == (3.0, 1.0, 2.0)


def test_compact_takes_the_medians_of_blocks_of_many_rounds():
    rounds = [1.0] * 40 + [2.0] * 60
    kept = stats.compact([*rounds[:10], 50.0, *rounds[10:]])
    assert len(kept) == stats.MOST_ROUNDS
    assert kept == (1.0,) * 10 + (2.0,) * 15  # in order, and without the disturbed round
    assert stats.compact(list(range(1, 27)))[-1] == 26 - 0.5


def test_an_unpaired_ratio_is_the_median_of_all_quotients():
    ratio = unpaired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    assert (ratio.value, ratio.rounds) == (pytest.approx(2.0), 3)
    assert ratio.low is ratio.high is None  # 3 and 3 samples reach 90 %


@pytest.mark.parametrize(("few", "many"), [(1, 3), (3, 3), (4, 6), (5, 5)])
def test_orders_with_each_rank_sum_are_counted_right(few, many):
    counts = Counter()
    for places in itertools.combinations(range(few + many), few):
        counts[sum(places) - few * (few - 1) // 2] += 1
    expected = [counts[u] for u in range(few * many + 1)]
    assert stats._rank_sum_counts(few, many) == expected


@pytest.mark.parametrize(
    ("few", "many", "rank"), [(4, 4, 0), (5, 5, 2), (10, 12, 29), (20, 20, 127)]
)
def test_ranks_are_the_published_critical_values(few, many, rank):
    """Of Mann & Whitney's U at 5 %, two-sided: 0, 2, 29, 127 (Milton 1964)."""
    assert stats._rank_sum_rank(few, many) == rank


def test_fewer_samples_than_four_of_each_have_no_interval():
    assert stats._rank_sum_rank(3, 3) is None


@given(st.lists(times, min_size=1, max_size=9), st.lists(times, min_size=1, max_size=9))
def test_the_unpaired_ratio_of_the_other_direction_is_the_inverse(a, b):
    there, back = unpaired_ratio(a, b), unpaired_ratio(b, a).inverse
    assert (there.value, there.rounds) == (pytest.approx(back.value), back.rounds)
    assert (there.low, there.high) == (pytest.approx(back.low), pytest.approx(back.high))


def test_the_unpaired_interval_encloses_the_true_ratio_in_95_of_100_cases():
    draw = random.Random(1)
    series = [[draw.lognormvariate(0, 0.1) for _ in range(12)] for _ in range(800)]
    ratios = [unpaired_ratio(a, b) for a, b in itertools.pairwise(series)]
    enclosed = sum(ratio.low <= 1 <= ratio.high for ratio in ratios)
    assert 0.93 < enclosed / len(ratios) < 0.98


def test_the_ratio_of_two_medians_has_the_interval_of_independent_errors():
    exact = Estimate(2.0, 2.0, 2.0, 9)
    wide = Estimate(1.0, 0.5, 2.0, 7)
    ratio = ratio_of_estimates(exact, wide)
    assert (ratio.value, ratio.low, ratio.high, ratio.rounds) == pytest.approx((2.0, 1.0, 4.0, 7))
    both = ratio_of_estimates(wide, wide)
    assert both.high == pytest.approx(2 ** math.sqrt(2)) == 1 / both.low


@pytest.mark.parametrize("end", [None, 0.0])
def test_a_median_without_an_interval_gives_a_ratio_without_one(end):
    ratio = ratio_of_estimates(Estimate(2.0, end, 2.0, 9), Estimate(1.0, 1.0, 1.0, 9))
    assert (ratio.value, ratio.low, ratio.high) == (2.0, None, None)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_quantiles_of_student_as_in_the_tables(degrees, quantile):
    assert student_95(degrees) == pytest.approx(quantile, rel=0.003)
