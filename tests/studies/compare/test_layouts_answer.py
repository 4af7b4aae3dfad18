"""Which layout to prefer, in sentences that follow from fixed ratios."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.layouts import Conversions, LayoutComparison
from convprof.studies.compare.layouts_answer import answer


def comparison(ratio, name="net:a", convert_s=None, threads=1):
    """NHWC takes ``ratio`` times as long as NCHW, which takes a second."""
    nhwc, nchw = (
        Measurement(
            problem={"kind": "conv2d", "descriptor": name, "name": name},
            strategy="tiled", layout=layout, dtype="f32", threads=threads, cache="hot",
            status="ok", time_s=Time(seconds, 0.0, seconds, seconds, seconds, 25, 3),
        )
        for layout, seconds in (("nhwc", ratio), ("nchw", 1.0))
    )  # fmt: skip
    half = convert_s and convert_s / 2
    costs = half and Conversions({"nchw": half, "nhwc": half}, {"nchw": half, "nhwc": half})
    return LayoutComparison(nhwc, nchw, Ratio(ratio, ratio - 0.01, ratio + 0.01, 25), costs)


ONE = "strategy, tiled on 1 thread"
PREFER_ON_2 = "Prefer NHWC: the fastest strategy, tiled on 2 threads,"
PREFER = "Prefer NHWC: the fastest strategy, tiled on 1 thread,"


@pytest.mark.parametrize(
    ("one", "sentences"),
    [
        (
            comparison(0.5, convert_s=0.2),
            (
                f"{PREFER} is 2.00 times as fast in it.",
                "Converting there and back pays for a single convolution.",
            ),
        ),
        (
            comparison(0.8, convert_s=0.7, threads=2),
            (
                f"{PREFER_ON_2} is 1.25 times as fast in it.",
                "Converting there and back pays from 4 such convolutions in a row.",
            ),
        ),
        (
            comparison(1.5),
            ("Prefer NCHW: the fastest strategy, tiled on 1 thread, is 1.50 times as fast in it.",),
        ),
        (
            comparison(1.0),
            (f"For the fastest {ONE}, the layouts are equally fast: keep the data as it is.",),
        ),
    ],
)
def test_one_convolution(one, sentences):
    assert answer([[one, comparison(3.0)]]).sentences == sentences
    assert answer([[one]]).command == "convprof explain layout"


def test_several_convolutions():
    problems = [
        [comparison(0.5, "net:a", 0.2)], [comparison(0.8, "net:b")], [comparison(2.5, "net:c")],
        [comparison(1.0, "net:d")], [],
    ]  # fmt: skip
    found = answer(problems, "net")
    assert found.sentences == (
        ("NHWC is 1.58 times as fast (geometric mean) on 2 of 4 problems; NCHW is faster on 1; "
        "level or undecided on 1."),
        "The difference is largest at net:c: 2.50 times as fast in NCHW.",
        "Converting there and back pays for a single convolution on 1.",
    )  # fmt: skip
    assert found.command == "convprof network net --plan"


def test_an_undecided_comparison_gives_no_advice():
    assert answer([]).sentences == ("Nothing was measured in both layouts: no advice.",)
    level = [[comparison(1.0)], [comparison(1.0, "net:b")]]
    assert answer(level).sentences == ("The intervals separate the layouts on none of 2 problems.",)


def test_times_in_doubt_are_not_concluded_from():
    wrong = comparison(0.1)
    wrong = dataclasses.replace(wrong, a=dataclasses.replace(wrong.a, doubt="over the peak"))
    assert answer([[wrong]]).sentences == ("No advice, the times are in doubt: over the peak.",)
    assert answer([[wrong]]).command.endswith(" --wait-idle")
    assert answer([[wrong], [comparison(0.5)]]).sentences[0].endswith("2.00 times as fast in it.")


def test_a_strategy_in_doubt_may_be_faster():
    slow = comparison(0.5)
    shorter = dataclasses.replace(
        slow.b, doubt="busy", time_s=dataclasses.replace(slow.b.time_s, min=0.1)
    )
    doubtful = dataclasses.replace(slow, b=shorter)
    (sentence,) = answer([[slow, doubtful]]).sentences
    assert sentence == (
        "Prefer NHWC: tiled on 1 thread (others may be faster, but their times are in doubt) is "
        "2.00 times as fast in it."
    )
