"""What ``compare mixers`` says of fixed times."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.dtypes import F32
from convprof.measure.report import describe
from convprof.networks.mixers import Grid, mixers
from convprof.results import Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.mixers.answer import answer, growth_answer, lines
from convprof.studies.compare.mixers.costs import Total
from convprof.studies.compare.mixers.growth import Crossing, Growth, growths
from convprof.studies.compare.mixers.study import MixerComparison, comparisons

GRID = Grid()
RATE = {"gemm": 150e9, "attention": 100e9, "conv2d": 250e9}


def measured(problem, threads):
    seconds = problem.flops / RATE[problem.kind] / threads
    return Measurement(
        problem=describe(problem), strategy="auto",
        layout="nhwc" if problem.kind == "conv2d" else None, dtype="f32", threads=threads,
        cache="hot", status="ok", flops=Flops(problem.flops, problem.flops),
        time_s=Time(seconds, 0.0, seconds, seconds, seconds, 25, 3),
        bytes_min=problem.bytes_min(F32),
    )  # fmt: skip


def totals(grid=GRID, threads=1):
    found = []
    for mixer in mixers(grid):
        parts = tuple(measured(part.problem, threads) for part in mixer.parts)
        sums = dict.fromkeys(range(9), sum(m.time_s.median for m in parts))
        found.append(Total(mixer, "auto", threads, parts, sums))
    return found


GRIDS = [Grid(image=size, dim=64, heads=1) for size in (64, 128, 256)]
STAGES = [(grid, totals(grid)) for grid in GRIDS]


def test_one_image():
    found = answer(comparisons(GRID, totals()))
    assert found.sentences == (
        ("On 1 thread attention takes 0.88 times (0.88 to 0.88) as long as conv3x3 (it is faster) "
        "and 7.47 times (7.47 to 7.47) as long as depthwise7x7+pointwise (it is slower)."),
        ("Of its FLOPs 11.3 % and of its time 16.1 % grow with the square of the tokens; half of "
        "the FLOPs from 1,536 tokens (images of 627 pixels) on."),
    )  # fmt: skip
    assert found.command == "convprof compare mixers --images 112,224,384"
    assert answer([]) is None


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Ratio(1.0, 0.99, 1.01, 25), "1.00 times (0.99 to 1.01) as long as conv3x3 (they are equ"),
        (Ratio(1.1, 0.9, 1.2, 25), "as long as conv3x3 (the intervals do not decide)"),
        (Ratio(1.3, None, None, 3), "takes 1.30 times as long as conv3x3 (the intervals do not"),
    ],
)
def test_verdicts(ratio, words):
    block, conv, _ = totals()
    assert words in answer([MixerComparison(block, conv, ratio, GRID)]).sentences[0]


def test_the_most_threads_count_and_the_others_are_lines():
    both = [*totals(), *totals(threads=2)]
    every = comparisons(GRID, both)
    assert answer(every).sentences[0].startswith("On 2 threads attention takes")
    assert [line[:34] for line in lines(every)] == [
        "1 thread, auto: attention takes 0.8"[:34],
        "1 thread, auto: attention takes 7.4"[:34],
    ]


def test_where_attention_overtakes_what():
    found = growth_answer(growths(STAGES), GRIDS[0])
    assert found.command == "convprof explain attention"
    assert found.sentences[0] == (
        "On 1 thread attention's quadratic part overtakes its linear projections by FLOPs from 128 "
        "tokens (images of 181 pixels) on, by time from about 85 tokens (images of 148 pixels) on."
    )
    assert found.sentences[1].startswith(
        "On 1 thread attention overtakes conv3x3 by FLOPs from 160"
    )
    assert found.sentences[2] == (
        "On 1 thread attention overtakes depthwise7x7+pointwise by FLOPs at any size, by time at "
        "every image measured (15.1 times as long at the largest)."
    )


def test_what_does_not_happen_is_said():
    growth = Growth("auto", 2, None, 128.0, Crossing(None, last_ratio=0.254))
    (sentence,) = growth_answer([growth], Grid()).sentences
    assert sentence.endswith(
        "by time at none of these images (0.254 times as long at the largest)."
    )
    slower = dataclasses.replace(growth, threads=1)
    assert growth_answer([slower, growth], Grid()).sentences == (sentence,)


def test_without_a_time_to_trust_there_is_no_conclusion():
    block, conv, _ = totals()
    doubtful = dataclasses.replace(
        conv, measurements=(dataclasses.replace(conv.measurements[0], doubt="it was disturbed"),)
    )
    comparison = MixerComparison(block, doubtful, Ratio(2.0, 1.9, 2.1, 25), GRID)
    doubt = answer([comparison])
    assert doubt.sentences == ("No conclusion, the times are in doubt: it was disturbed.",)
    assert doubt.repeats
    assert "no conclusion on attention and conv3x3" in lines([comparison])[0]
