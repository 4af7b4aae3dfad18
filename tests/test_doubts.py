from __future__ import annotations

import dataclasses
import math

import pytest

from convprof import doubts
from convprof.doubts import Limits, Surroundings
from convprof.results import Cycles, Flops, Measurement, Time
from convprof.stats import Ratio

TIME = Time(1.0e-3, 1e-5, 0.95e-3, 1.05e-3, 0.9e-3, 25, 4)
FLOPS = Flops(10_000_000, 10_000_000)
PLAIN = Measurement(
    {}, "tiled", "nhwc", "f32", 1, "hot", "ok",
    time_s=TIME, flops=FLOPS, flop_per_s=1e10, bytes_moved=1000,
    cycles=Cycles(3e6, 0.3, "calibrated", 3e9),
)  # fmt: skip


def with_(measurement=PLAIN, **fields):
    return dataclasses.replace(measurement, **fields)


def time(**fields):
    return with_(time_s=dataclasses.replace(TIME, **fields))


def samples(measurement, **around):
    return doubts.of_samples(measurement, Surroundings(**around))


LONG = time(calls_per_sample=100)


def test_a_plain_result_is_not_in_doubt():
    assert samples(PLAIN) is None
    assert samples(PLAIN, cpus=2, others_cpus=0.1, stolen_share=0.01) is None
    assert doubts.of_limits(PLAIN, Limits(2e10, 32.0)) is None
    assert doubts.of_limits(PLAIN, Limits()) is None


def test_a_result_without_a_time_is_not_in_doubt():
    refused = Measurement({}, "tiled", "nhwc", "f32", 2, "hot", "refused", "too large")
    assert samples(refused, cpus=1, others_cpus=1.0, stolen_share=0.9) is None
    assert doubts.of_limits(refused, Limits(1.0, 1.0)) is None


@pytest.mark.parametrize(("high", "doubtful"), [(1.9e-3, False), (2.0e-3, True), (9e-3, True)])
def test_an_interval_that_is_too_wide(high, doubtful):
    reason = samples(time(ci95_low=0.99e-3, ci95_high=high))
    assert (reason is not None) is doubtful
    if high > 8e-3:
        assert reason == "its 95 % interval is too wide: the upper end is 9.1 times the lower"


def test_few_samples_have_no_interval_but_a_fastest_one():
    few = {"ci95_low": None, "ci95_high": None, "samples": 3}
    assert samples(time(**few)) is None
    assert samples(time(**few, min=0.4e-3)) == (
        "it was disturbed: half of its samples took over 2.5 times as long as the fastest"
    )


@pytest.mark.parametrize(
    ("threads", "cpus", "others", "reason"),
    [
        (1, 2, 1.4, None),
        (1, 2, 1.9, "other programs used 1.9 of 2 CPUs while its thread ran"),
        (2, 2, 0.4, None),
        (2, 2, 0.6, "other programs used 0.6 of 2 CPUs while its 2 threads ran"),
        (1, 1, 0.4, None),
        (1, 1, 0.6, "other programs used 60 % of the CPU while its thread ran"),
        (4, 64, 50.0, None),
        (2, 2, None, None),
        (2, None, None, None),
    ],
)
def test_other_programs_on_the_cpus_that_it_needs(threads, cpus, others, reason):
    assert samples(with_(LONG, threads=threads), cpus=cpus, others_cpus=others) == reason


def test_stolen_time():
    assert samples(LONG, stolen_share=0.1) is None
    assert samples(LONG, stolen_share=0.34) == "the hypervisor took away 34 % of the time"


@pytest.mark.parametrize(
    ("fields", "doubtful"),
    [
        ({"calls_per_sample": 9}, False),
        ({"calls_per_sample": 10}, True),  # longer than the time slice of a scheduler
        ({"ci95_high": 1.1e-3}, True),
        ({"min": 0.8e-3}, True),
        ({"ci95_low": None, "ci95_high": None, "samples": 3}, True),
    ],
)
def test_short_samples_that_agree_were_not_disturbed(fields, doubtful):
    assert (samples(time(**fields), cpus=2, others_cpus=2.0) is not None) is doubtful


def test_the_work_of_others_is_the_reason_for_a_wide_interval():
    reason = samples(time(ci95_high=9e-3), cpus=2, others_cpus=2.0)
    assert reason == "other programs used 2.0 of 2 CPUs while its thread ran"


def test_a_pooling_layer_does_not_take_thousands_of_cycles_per_flop():
    flops = Flops(36_864, 36_864)
    pool = with_(flops=flops, cycles=Cycles(6063 * 36_864, 6063.0, "calibrated", 3e9))
    assert samples(pool) == "6,063 cycles per FLOP"


def test_a_tiny_layer_may_take_the_launch_of_its_threads():
    """30 FLOPs within 30 microseconds: 3,000 cycles per FLOP, and still true."""
    tiny = with_(flops=Flops(30, 30), cycles=Cycles(9e4, 3000.0, "calibrated", 3e9))
    assert samples(tiny) is None


def test_a_layer_without_arithmetic_is_judged_by_its_bytes():
    moves = with_(flops=Flops(0, 0), flop_per_s=None, bytes_moved=1000)
    assert samples(with_(moves, cycles=Cycles(1.9e6, None, "tsc", 3e9))) is None
    assert samples(with_(moves, cycles=Cycles(5e6, None, "tsc", 3e9))) == "5,000 cycles per byte"


@pytest.mark.parametrize(
    ("per_flop", "limits", "reason"),
    [
        (1 / 84, Limits(None, 64.0), "84 FLOP/cycle on each core, where the peak is 64"),
        (1 / 70, Limits(None, 64.0), None),  # the clock is measured after the calls
        (1 / 84, Limits(None, None), None),
        (None, Limits(None, 1.0), None),
        (0.3, Limits(5e9, None), "2.0 times the peak"),
        (0.3, Limits(9e9, None), None),
    ],
    ids=str,
)
def test_more_than_the_machine_can(per_flop, limits, reason):
    cycles = None if per_flop is None else Cycles(1e7 * per_flop, per_flop, "calibrated", 3e9)
    assert doubts.of_limits(with_(cycles=cycles), limits) == reason


def test_an_algorithm_that_saves_flops_may_be_over_the_peak():
    winograd = with_(flops=Flops(10_000_000, 2_500_000), cycles=Cycles(1e5, 0.01, "pmu", 3e9))
    assert doubts.of_limits(winograd, Limits(4e9, 32.0)) is None
    assert doubts.of_limits(winograd, Limits(4e9, 16.0)) is not None


def test_an_algorithm_that_executes_more_flops_is_judged_by_the_definition():
    more = with_(flops=Flops(10_000_000, 90_000_000))
    assert doubts.of_limits(more, Limits(9e9)) is None


def test_a_library_may_save_flops_without_a_word():
    assert doubts.of_limits(PLAIN, Limits(3e9)) is not None
    assert doubts.of_limits(PLAIN, Limits(3e9, saving=4.0)) is None


@pytest.mark.parametrize(
    ("ratio", "reason"),
    [
        (
            Ratio(122.94, 6.26, 311.28, 25),
            "the ratio is uncertain: its 95 % interval is 6.26 to 311",
        ),
        (Ratio(5.0, 3.0, 11.9, 25), None),
        (Ratio(5.0, None, None, 3), None),
    ],
)
def test_a_ratio_with_a_wide_interval(ratio, reason):
    assert ratio.doubt == reason
    assert ratio.inverse.doubt is None or reason is not None
    if reason:
        assert ratio.verdict == ratio.inverse.verdict == "undecided"


def test_times_in_doubt_come_last():
    slow, fast = time(median=2e-3), time(median=1e-3)
    doubtful = with_(time(median=1e-6), doubt="2.0 times the peak")
    refused = Measurement({}, "tiled", "nhwc", "f32", 2, "hot", "refused", "too large")
    ranked = sorted([doubtful, refused, slow, fast], key=lambda m: m.rank)
    assert ranked.index(fast) < ranked.index(slow) < ranked.index(doubtful)
    assert refused.rank == (False, math.inf)


@pytest.mark.parametrize(
    ("parts", "doubt"),
    [
        ([], None),
        ([(1.0, None)], None),
        ([(0.95, None), (0.05, "disturbed")], None),
        ([(0.94, None), (0.03, "disturbed"), (0.03, "disturbed")], "disturbed"),
        ([(0.3, "stolen"), (0.4, "disturbed"), (0.3, "stolen")], "stolen"),
    ],
)
def test_a_sum_is_in_doubt_for_the_reason_of_most_of_its_seconds(parts, doubt):
    assert doubts.of_sum(parts, sum(seconds for seconds, _ in parts)) == doubt
