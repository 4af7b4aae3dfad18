"""What bounds the fastest strategy, in sentences that follow from fixed points."""

from __future__ import annotations

import dataclasses

from convprof.results import Flops, Measurement, Time
from convprof.studies.roofline import Roofline
from convprof.studies.roofline_answer import answer, fastest, shortlist_of
from convprof.studies.roofline_model import RooflinePoint


def point(name, strategy, rate, *, bandwidth=1e12, intensity=1.0, doubt=None):
    made = Measurement(
        problem={"kind": "gemm", "descriptor": name, "name": ""}, strategy=strategy, layout=None,
        dtype="f32", threads=1, cache="hot", status="ok",
        time_s=Time(1e9 / rate, 0.0, 0.0, 0.0, 0.0, 25, 3), flops=Flops(10**9, 10**9), doubt=doubt,
    )  # fmt: skip
    return RooflinePoint(made, intensity, rate, "L2", bandwidth, bandwidth, 1e11)


def roofline(*points):
    return Roofline("", "CPU", "f32", 1, (), {}, (), points)


def test_under_the_peak_the_ladder_is_next():
    found = answer([roofline(point("8x8:8x8", "naive", 1e9), point("8x8:8x8", "tiled", 2e10))])
    assert found.sentences == (
        "The fastest, tiled on 1 thread, executes 20.0 GFLOP/s; its roof is 100 GFLOP/s, the peak.",
        "The roof allows 5.0 times the speed.",
    )
    assert found.command == "convprof ladder gemm 8x8:8x8"


def test_under_a_bandwidth_fewer_bytes_are_next():
    found = answer([roofline(point("8x8:8x8", "naive", 1e10, bandwidth=4e10))])
    assert found.sentences[0].endswith("its roof is 40.0 GFLOP/s, the bandwidth of L2.")
    assert found.sentences[1:] == (
        "It computes 1.0 FLOPs for each byte, and the peak needs 2.5.",
        "The roof allows 4.0 times the speed; more needs fewer bytes from L2.",
    )
    assert found.command == "convprof explain tile"


def test_a_shape_in_two_types_is_two_problems():
    one, other = point("8x8:8x8", "tiled", 2e10), point("8x8:8x8", "tiled", 1e10)
    in_f64 = dataclasses.replace(other.measurement, dtype="f64")
    other = dataclasses.replace(other, measurement=in_f64)
    assert fastest([roofline(one), roofline(other)]) == [one, other]


def test_why_a_depthwise_convolution_is_slow():
    one = point("x", "direct", 1e10, bandwidth=4e10)
    problem = {"kind": "conv2d", "descriptor": "g8mb1ic8ih9oc8kh3", "name": "", "groups": 8, "c": 8}
    found = answer(
        [
            roofline(
                dataclasses.replace(
                    one, measurement=dataclasses.replace(one.measurement, problem=problem)
                )
            )
        ]
    )
    assert found.sentences[1] == (
        "It computes 1.0 FLOPs for each byte, and the peak needs 2.5: a depthwise convolution uses "
        "each input for one output channel only."
    )
    assert found.command == "convprof compare layouts g8mb1ic8ih9oc8kh3"


def test_at_the_roof_the_libraries_are_next():
    found = answer([roofline(point("8x8:8x8", "tiled", 0.99e11))])
    assert found.sentences[1] == "The roof is reached."
    assert found.command == "convprof compare peers 8x8:8x8"


def test_an_unknown_bandwidth_is_said():
    found = answer([roofline(point("8x8:8x8", "tiled", 1e10, bandwidth=None))])
    assert found.sentences[1] == "The bandwidth of L2 is unknown."


def test_several_problems():
    found = answer(
        [
            roofline(
                point("8x8:8x8", "tiled", 5e10),
                point("9x9:9x9", "tiled", 1e10),
                point("7x7:7x7", "naive", 2e10, bandwidth=4e10),
            )
        ]
    )
    assert found.sentences == (
        "What bounds the fastest strategy of 3 problems: the peak 2, the bandwidth of L2 1.",
        "Most is left at 9x9:9x9: its roof allows 10 times the speed of tiled on 1 thread.",
    )
    assert found.command == "convprof ladder gemm 9x9:9x9"


def test_a_time_in_doubt_is_not_concluded_from():
    wrong = point("8x8:8x8", "tiled", 9e12, doubt="over the peak")
    doubtful = answer([roofline(wrong)])
    assert doubtful.sentences[0].startswith("Every time is in doubt (over the peak)")
    assert doubtful.repeats
    assert answer([roofline()]) is None
    right = dataclasses.replace(point("8x8:8x8", "naive", 1e9))
    assert "naive" in answer([roofline(wrong, right)]).sentences[0]


def test_a_dozen_points_of_one_problem_or_the_fastest_of_each():
    few = [point("8x8:8x8", f"s{n}", 1e10 / (n + 1)) for n in range(12)]
    assert shortlist_of(few) == few
    many = [point("8x8:8x8", f"s{n}", 1e10 / (n + 1)) for n in range(20)]
    assert shortlist_of(many) == many[:12]
    several = [point(f"{k}x8:8x8", f"s{n}", 1e10 / (n + 1)) for k in range(1, 6) for n in range(3)]
    assert [p.measurement.strategy for p in shortlist_of(several)] == ["s0", "s1"] * 5


def test_a_time_in_doubt_says_nothing_about_another_problem():
    doubtful = roofline(point("4x4:4x4", "packed", 3e10, doubt="a storm"))
    found = answer([roofline(point("8x8:8x8", "tiled", 2e10)), doubtful])
    assert found.sentences[0].startswith("The fastest, tiled on 1 thread, executes 20.0 GFLOP/s")
    assert not found.repeats


def test_of_several_problems_only_the_decided_ones_count():
    decided = roofline(point("8x8:8x8", "tiled", 2e10))
    open_one = roofline(
        point("4x4:4x4", "tiled", 2e10), point("4x4:4x4", "packed", 3e10, doubt="a storm")
    )
    sentence = (
        "{} problems a time in doubt may be the shortest (a storm): measure again on an idle "
        "machine."
    )
    found = answer([decided, open_one])
    assert found.sentences == (
        "What bounds the fastest strategy of 1 problem: the peak 1.",
        sentence.format("In 1 of 2"),
    )
    assert found.repeats
    another = roofline(*(dataclasses.replace(p, measurement=dataclasses.replace(
        p.measurement, problem={**p.measurement.problem, "descriptor": "2x2:2x2"}
    )) for p in open_one.placed))  # fmt: skip
    assert answer([open_one, another]).sentences == (sentence.format("In 2 of 2"),)


def test_no_strategy_is_the_fastest_where_one_in_doubt_may_be_faster():
    doubtful = point("8x8:8x8", "packed", 3e10, doubt="a storm")
    found = answer([roofline(point("8x8:8x8", "tiled", 2e10), doubtful)])
    assert found.sentences == (
        "tiled on 1 thread executes 20.0 GFLOP/s; its roof is 100 GFLOP/s, the peak.",
        (
            "packed on 1 thread may be faster, but its time is in doubt (a storm): measure again "
            "on an idle machine."
        ),
    )
    assert found.repeats
