"""The answers of ``run``: what follows from measurements, without measuring."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.results import Flops, Measurement, Time
from convprof.studies.run_answer import answer, answer_of_many, label
from convprof.studies.shortlist import (
    best_layouts,
    fastest,
    fastest_of_problem,
    shortlist,
    surely_fastest,
)

CONV = {"kind": "conv2d", "descriptor": "mb1ic64ih56oc64kh3ph1", "name": ""}
GEMM = {"kind": "gemm", "descriptor": "64x64:64x64", "name": ""}


def measurement(strategy, time_s, share=0.5, **changes):
    made = Measurement(
        problem=CONV, strategy=strategy, layout="nchw", dtype="f32", threads=1,
        cache="hot", status="ok",
        time_s=Time(time_s, 0.0, time_s * 0.99, time_s * 1.01, time_s, 25, 3),
        flops=Flops(1000, 1000), flop_per_s=1000 / time_s, peak_fraction=share, bound="compute",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_the_fastest_its_limit_and_the_ladder_where_most_of_the_peak_is_not_reached():
    found = answer([measurement("tiled", 2e-3, 0.4), measurement("microkernel", 1e-3, 0.5)])
    assert found.sentences == (
        "microkernel nchw on 1 thread is the fastest: 1.00 ms, 50 % of the peak.",
        "Its limit is the peak, which allows 2.0 times the speed.",
    )
    assert found.command == "convprof ladder conv mb1ic64ih56oc64kh3ph1"


@pytest.mark.parametrize(
    ("level", "why", "command"),
    [
        ("memory", "no bandwidth of main memory is stored", "roofline"),
        (None, "so are the sizes of the caches", "ladder"),
    ],
)
def test_why_a_limit_is_unknown(level, why, command):
    row = measurement("tiled", 1e-3, 0.3, bound=None, level=level)
    found = answer([row])
    assert f"What limits it is unknown: {why}." in found.sentences
    assert found.command.startswith(f"convprof {command} ")


def test_the_peak_of_another_type_is_no_limit():
    found = answer([measurement("winograd", 1e-3, 0.4, note="multiplies int8 in s16")])
    assert found.sentences[-1] == "The peak is not its limit, because it multiplies int8 in s16."


def test_near_the_peak_the_libraries_are_next():
    found = answer([measurement("microkernel", 1e-3, 0.95)])
    assert found.sentences == (
        "microkernel nchw on 1 thread takes 1.00 ms, 95 % of the peak.",
        "Its limit is the peak: only fewer FLOPs can be much faster.",
    )
    assert found.command == "convprof compare peers mb1ic64ih56oc64kh3ph1"


def test_libraries_that_were_measured_are_not_recommended_again():
    rows = [measurement("microkernel", 1e-3, 0.95), measurement("torch", 2e-3)]
    command = "convprof run mb1ic64ih56oc64kh3ph1 -s microkernel -t 1 --layout nchw --asm"
    assert answer(rows).command == command


def test_a_fast_algorithm_is_judged_by_what_it_executes():
    rows = [measurement("winograd", 1e-3, 2.65, flops=Flops(1000, 300))]
    first = answer(rows).sentences[0]
    assert first.endswith("it executes 30 % of the definition's FLOPs, at 80 % of the peak.")
    assert "265" not in " ".join(answer(rows).sentences)


def test_taps_in_the_padding_that_are_left_out_do_not_change_the_share_of_the_table():
    row = measurement("microkernel", 1e-3, 0.94, flops=Flops(1000, 976))
    assert answer([row]).sentences[0].endswith("1.00 ms, 94 % of the peak.")


def test_memory_as_the_limit_leads_to_the_roofline():
    found = answer([measurement("direct", 1e-3, 0.1, bound="memory", threads=2)])
    assert "bandwidth of the memory that holds its data" in found.sentences[1]
    assert found.command == ("convprof roofline mb1ic64ih56oc64kh3ph1 -s direct -t 2 --layout nchw")


@pytest.mark.parametrize(
    ("level", "share", "sentence"),
    [
        ("L3", 0.84, "bandwidth of L3, which holds its data: it uses 84 %."),
        ("memory", 0.97, "main memory, which holds its data: it uses 97 %; only fewer bytes"),
        ("L2", 1.12, "bandwidth of L2, which holds its data: it uses all of it; only fewer bytes"),
    ],
)
def test_a_known_bandwidth_has_its_level_and_share(level, share, sentence):
    limits = {"bound": "memory", "level": level, "bandwidth_fraction": share}
    assert sentence in answer([measurement("direct", 1e-3, 0.1, **limits)]).sentences[1]


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ((1.0, 0.6), "On 2 threads it is 1.67 times as fast as on 1: 83 % of what is possible; use 2 threads."),  # noqa: E501
        ((1.0, 2.0), "On 2 threads it is 0.50 times as fast as on 1: 25 % of what is possible; use 1 thread."),  # noqa: E501
        ((1.0, 1.01), "On 2 threads it is 0.99 times as fast as on 1: the intervals do not separate the two."),  # noqa: E501
    ],
)  # fmt: skip
def test_one_thread_or_two(times, sentence):
    rows = [measurement("tiled", s, threads=t) for t, s in enumerate(times, 1)]
    assert answer(rows).sentences[1] == sentence
    slower = measurement("tiled", 5.0, threads=2, doubt="its samples differ")
    doubtful = [rows[0], slower]
    assert answer(doubtful).sentences[1] == "Its time on 2 threads is in doubt."
    other = measurement("winograd", 0.1, threads=2)
    assert not any("times as fast as on" in s for s in answer([*rows, other]).sentences)


def test_what_the_intervals_cannot_separate_is_said():
    rows = [measurement("a", 1e-3), measurement("b", 1.01e-3), measurement("c", 2e-3)]
    assert answer(rows).sentences[-1] == "The 95 % intervals do not separate it from b."
    rows += [measurement(name, 1.005e-3) for name in "def"]
    assert answer(rows).sentences[-1] == "The 95 % intervals do not separate it from d, e and f."


def test_an_impossible_row_is_not_the_fastest():
    broken = dataclasses.replace(measurement("broken", 1e-6, 30.0), doubt="30 times the peak")
    rows = [broken, measurement("tiled", 1e-3)]
    assert fastest(rows).strategy == "tiled"
    assert "tiled nchw" in answer(rows).sentences[0]
    assert "Every time is in doubt (30 times the peak)" in answer(rows[:1]).sentences[0]
    assert answer(rows[:1]).command == "convprof run mb1ic64ih56oc64kh3ph1 --wait-idle"


BUSY = "may be faster, but its time is in doubt (busy): measure again on an idle machine."


def test_nothing_is_the_fastest_where_a_time_in_doubt_may_be_shorter():
    best = measurement("tiled", 2e-3)
    busy = measurement("packed", 3e-3, doubt="busy")
    busy = dataclasses.replace(busy, time_s=dataclasses.replace(busy.time_s, min=1e-3))
    undecided = answer([best, busy, measurement("naive", 9e-3, doubt="busy")])
    assert undecided.sentences == (
        "tiled nchw on 1 thread takes 2.00 ms, 50 % of the peak.",
        f"packed nchw on 1 thread {BUSY}",
    )
    assert undecided.repeats
    assert undecided.command.endswith("--wait-idle")
    three = answer([best, busy, dataclasses.replace(busy, threads=2)])
    assert "1 thread and 1 more may be faster, but their times are in doubt" in three.sentences[1]
    slow = measurement("packed", 9e-3, doubt="busy")
    assert "is the fastest" in answer([best, slow]).sentences[0]
    row = fastest_of_problem([best, busy])
    assert (row.strategy, row.doubt) == ("tiled", "a strategy that may be faster is in doubt")
    assert fastest_of_problem([best, slow]) is surely_fastest([best, slow]) is best
    assert surely_fastest([best, busy]) is surely_fastest([busy]) is surely_fastest([]) is None
    assert "1 of the 2 times is in doubt" in answer_of_many([best, row], 2, None).sentences[1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "net:a"}, "net:a"),
        ({"pass": "backward-data"}, "mb1ic64ih56oc64kh3ph1 backward-data"),
        ({"name": "net:a", "epilogue": "bias,relu"}, "net:a + bias, relu"),
    ],
)
def test_problems_that_differ_in_pass_or_epilogue_have_other_names(fields, expected):
    m = measurement("tiled", 1.0)
    assert label(dataclasses.replace(m, problem={**CONV, **fields})) == expected


def test_nothing_measured_no_answer():
    failed = dataclasses.replace(measurement("tiled", 1.0), time_s=None, status="failed")
    assert answer([failed]) is None
    refused = dataclasses.replace(failed, status="refused")
    assert answer([refused]).command == "convprof strategies mb1ic64ih56oc64kh3ph1"
    assert answer_of_many([], 3, None) is None


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        (
            {"problem": {**CONV, "kind": "conv2d-backward-data", "pass": "backward-data"}},
            "convprof compare peers mb1ic64ih56oc64kh3ph1 --pass backward-data",
        ),
        (
            {"problem": {**CONV, "epilogue": "bias,relu"}},
            "convprof compare peers mb1ic64ih56oc64kh3ph1 --epilogue bias,relu",
        ),
        (
            {"problem": GEMM, "layout": None, "dtype": "f64"},
            "convprof ladder gemm 64x64:64x64 --dtype f64",
        ),
        (
            {"problem": {**CONV, "name": "resnet50:layer1.0.conv2", "descriptor":
                         'mb1ic64ih56oc64oh56kh3ph1n"resnet50:layer1.0.conv2"'}},
            "convprof ladder conv resnet50:layer1.0.conv2",
        ),
        (
            {"problem": {**CONV, "name": "resnet50:layer1.0.conv2", "descriptor":
                         'mb8ic64ih56oc64oh56kh3ph1n"resnet50:layer1.0.conv2"'}},
            "convprof ladder conv mb8ic64ih56oc64oh56kh3ph1",
        ),
        ({"problem": {**GEMM, "kind": "operation"}, "layout": None}, ""),
    ],
)  # fmt: skip
def test_the_command_means_the_same_problem(changes, command):
    assert answer([measurement("x", 1e-3, **changes)]).command == command


def test_several_problems_who_wins_how_often_and_where_the_time_is():
    names = ["net:a", "net:b", "net:c"]
    problems = [{**CONV, "name": name, "descriptor": name} for name in names]
    rows = [
        measurement("microkernel", 1e-3, 0.9, problem=problems[0]),
        measurement("winograd", 7e-3, 0.5, problem=problems[1]),
        measurement("microkernel", 2e-3, 0.2, problem=problems[2]),
    ]
    found = answer_of_many(rows, 4, None)
    assert found.sentences == (
        (
            "The fastest strategies take 10.0 ms for 3 of 4 problems, each once: microkernel 2, "
            "winograd 1."
        ),
        "net:b takes longest, 70 % of that.",
        "net:c is farthest from the peak, at 20 % of it.",
    )
    assert found.command == "convprof run net:c"
    assert answer_of_many(rows, 4, "resnet50").command == "convprof network resnet50"


def test_nothing_follows_from_several_problems_if_much_of_their_time_is_in_doubt():
    rows = [
        measurement("auto", 1e-3, 0.9, problem={**CONV, "name": "a"}),
        measurement("auto", 9e-3, 0.1, problem={**CONV, "name": "b"}, doubt="disturbed"),
        measurement("auto", 1e-3, 0.2, problem={**CONV, "name": "c"}, doubt="stolen"),
    ]
    found = answer_of_many(rows, 3, "resnet50")
    assert found.sentences == (
        "auto takes 11.0 ms for 3 problems, each once.",
        "2 of the 3 times are in doubt (disturbed): measure again on an idle machine.",
    )
    assert found.command == "convprof run mb1ic64ih56oc64kh3ph1 --wait-idle"


def test_a_negligible_time_in_doubt_is_not_the_farthest_from_the_peak():
    rows = [
        measurement("auto", 9e-3, 0.5, problem={**CONV, "name": "a"}),
        measurement("auto", 1e-5, 0.1, problem={**CONV, "name": "b"}, doubt="disturbed"),
    ]
    assert answer_of_many(rows, 2, None).sentences[-1].startswith("a is farthest from the peak")


def test_a_share_of_the_peak_by_fewer_flops_is_explained():
    rows = [measurement("winograd", 1e-3, 0.4, flops=Flops(1000, 250), bound="memory")] * 2
    assert answer_of_many(rows, 2, None).sentences[-1] == (
        "mb1ic64ih56oc64kh3ph1 is farthest from the peak, at 10 % of it; "
        "it executes 25 % of the definition's FLOPs."
    )


def test_a_shortlist_has_the_best_layout_per_strategy_and_thread_count():
    rows = [
        measurement("a", 3e-3), measurement("a", 1e-3, layout="nhwc"),
        measurement("a", 2e-3, threads=2), measurement("b", 4e-3),
    ]  # fmt: skip
    kept = [(m.strategy, m.layout, m.threads) for m in best_layouts(rows)]
    assert kept == [("a", "nhwc", 1), ("a", "nchw", 2), ("b", "nchw", 1)]
    assert [m.strategy for m in shortlist(rows, 3)] == ["a", "a", "b"]
    assert len(shortlist(rows, 2)) == 2
    assert len(shortlist(rows, 4)) == 4
