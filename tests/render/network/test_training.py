"""What ``network --pass`` prints, to the letter."""
# ruff: noqa: RUF001  # a heading is the multiplication sign

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from rich.console import Console

from convprof.machine.peaks import Peak
from convprof.measure.report import describe
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, TRAINING
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, AttentionScores, Convolution, Flatten, Linear
from convprof.render.network.training import Report, passes_markdown, passes_report
from convprof.render.network.training_chart import passes_chart
from convprof.results import Document, Flops, Measurement, Time
from convprof.studies.network.training import plan
from convprof.studies.network.training_answer import answer
from convprof.studies.network.training_totals import results
from convprof.studies.run import Choice

PEAK = Peak("avx512", 512, "f32", 2, 1e11, 3e9, 16.0, 1)


def small():
    net = Builder()
    for index in range(4):
        net.add(f"conv{index}", Convolution.square(32, 3))
        net.add(f"relu{index}", Activation("relu"))
    net.add("flatten", Flatten())
    net.add("fc", Linear(1000))
    return Network("small", (1, 32, 28, 28), tuple(net.nodes))


def attention():
    net = Builder()
    net.add("in_proj", Linear(24))
    net.add("qk", AttentionScores(2))
    return Network("small", (1, 5, 8), tuple(net.nodes))


def measurement(problem, seconds, strategy="auto"):
    rate = problem.flops / seconds
    return Measurement(
        problem=describe(problem), strategy=strategy, layout="nhwc", dtype="f32", threads=2,
        cache="hot", status="ok", time_s=Time(seconds, 0.0, None, None, seconds, 3, 1),
        flops=Flops(problem.flops, problem.flops), flop_per_s=rate,
        peak_fraction=rate / PEAK.flop_per_s, prepare_s=1e-5,
    )  # fmt: skip


def measured(planned, strategy="auto", slower=1.0, passes=3):
    """2 ms for each GFLOP of a first problem, 3 ms of a second; less for later passes."""
    return {
        problem: [
            measurement(
                each, problem.flops * slower * (2 + index) / (10 + number) * 1e-10, strategy
            )
            for number, each in enumerate(planned.passes(problem)[:passes])
        ]
        for index, problem in enumerate(planned.problems)
    }


def report(which=TRAINING, network=None, found=None, excluded=(), top=None):
    planned = plan(network or small(), which)
    choice = Choice(("auto",), ("nhwc",), (2,))
    found = measured(planned) if found is None else found(planned)
    return Report(planned, results(planned, found), excluded, choice, PEAK, top)


def printed(report, width=120, **options):
    text = io.StringIO()
    passes_report(Console(file=text, width=width, **options), report)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def on_two_sides(planned):
    ours, theirs = measured(planned), measured(planned, "torch", 1.5)
    return {problem: [*ours[problem], *theirs[problem]] for problem in ours}


GOLDEN_ONE = """\
small · input 1x32x28x28 · training · nhwc · 2 threads · f32
layer   ×   op         forward [µs]   data [µs]   weights [µs]   bwd/fwd   in all [ms]    share         % peak
──────────────────────────────────────────────────────────────────────────────────────────────────────────────
conv0   1   conv 3x3            289           -            241      0.83         0.530    7.5 %    50 / - / 60
conv1   3   conv 3x3            289         263            241      1.74          2.38   33.8 %   50 / 55 / 60
fc      1   linear            1,505       1,368          1,254      1.74          4.13   58.7 %   33 / 37 / 40
not shown at 120 columns: problem, GFLOP/s

by kind
kind     layers   forward [ms]   data [ms]   weights [ms]   in all [ms]     share   MFLOP   GFLOP/s   % peak
────────────────────────────────────────────────────────────────────────────────────────────────────────────
linear        1           1.51        1.37           1.25          4.13    58.7 %     151      36.5     36.5
conv          4           1.16       0.788          0.963          2.91    41.3 %     159      54.7     54.7
all           5           2.66        2.16           2.22          7.04   100.0 %     309      44.0     44.0

forward: 2.66 ms, 38 % of the step · 108 MFLOP, 40.6 GFLOP/s, 41 % of peak
backward-data: 2.16 ms, 31 % of the step · 93.5 MFLOP, 43.4 GFLOP/s, 43 % of peak
backward-weights: 2.22 ms, 32 % of the step · 108 MFLOP, 48.7 GFLOP/s, 49 % of peak
training step: 7.04 ms · 309 MFLOP, 44.0 GFLOP/s, 44 % of peak · rearranging the weights, which a step changes: 140 µs more, timed once
data and weights are the gradients of a layer's input and of its weights; bwd/fwd is both over forward
no gradient of the data is needed in conv0: no layer before has learned weights
not timed: activations, normalisation, pooling and their gradients, gradients of biases, adding up gradients where a result is read twice, the optimiser
"""  # noqa: E501


def test_a_training_step():
    assert printed(report()) == GOLDEN_ONE


GOLDEN_TWO = """\
small · input 1x32x28x28 · training · nhwc · 2 threads · f32
layer   ×   by         forward [ms]   data [ms]   weights [ms]   bwd/fwd
────────────────────────────────────────────────────────────────────────
fc      1   convprof           1.51        1.37           1.25      1.74
fc      1   library            2.26        2.05           1.88      1.74
not shown at 80 columns: op, problem, in all [ms], share, % peak, GFLOP/s
the slowest of 3 different layers; sums are over all

by kind, convprof
kind     forward [ms]   data [ms]   weights [ms]   in all [ms]     share
────────────────────────────────────────────────────────────────────────
linear           1.51        1.37           1.25          4.13    58.7 %
conv             1.16       0.788          0.963          2.91    41.3 %
all              2.66        2.16           2.22          7.04   100.0 %
not shown at 80 columns: layers, MFLOP, GFLOP/s, % peak

by kind, libraries
kind     forward [ms]   data [ms]   weights [ms]   in all [ms]     share
────────────────────────────────────────────────────────────────────────
linear           2.26        2.05           1.88          6.19    58.7 %
conv             1.73        1.18           1.45          4.36    41.3 %
all              3.99        3.23           3.33          10.6   100.0 %
not shown at 80 columns: layers, MFLOP, GFLOP/s, % peak
"""


def test_two_sides_and_few_columns():
    found = printed(report(found=on_two_sides, top=1), 80)
    assert found.partition("\n\nforward: ")[0] + "\n" == GOLDEN_TWO
    assert "\nthe libraries take 1.50 times as long as convprof, not counting what" in found
    assert "\ntraining step in libraries: 10.6 ms · 309 MFLOP, 29.3 GFLOP/s, 29 % of peak" in found


def test_what_has_no_result_is_marked():
    found = printed(report(found=lambda planned: measured(planned, passes=2)))
    assert "by kind, partial: not every pass has a result\n" in found
    assert "\nbackward-weights (partial, 0 of 5 passes of layers): no result\n" in found
    assert "\ntraining step (partial, 9 of 14 passes of layers): 4.82 ms" in found
    assert "conv1   3   conv 3x3            289         263              -         -" in found


def test_sides_that_differ_have_no_ratio():
    def found(planned):
        ours, theirs = measured(planned), measured(planned, "torch", passes=2)
        return {problem: [*ours[problem], *theirs[problem]] for problem in ours}

    text = printed(report(found=found))
    assert "convprof and the libraries have not computed the same: no ratio" in text
    assert "times as long" not in text


@pytest.mark.parametrize(
    ("which", "columns"),
    [
        (FORWARD, "layer × op problem forward [µs] in all [ms] share % peak GFLOP/s"),
        (BACKWARD_DATA, "layer × op problem data [µs] in all [µs] share % peak GFLOP/s"),
    ],
)
def test_one_pass(which, columns):
    lines = printed(report(which)).splitlines()
    assert lines[1].split() == columns.split()
    (line,) = [line for line in lines if line.startswith(f"{which}: ")]
    assert "of the step" not in line
    assert ("rearranging the weights" in line) == (which == BACKWARD_DATA)


def test_products_of_activations_are_explained():
    found = printed(report(network=attention()))
    assert "\nattention qk: products C = A B of two activations; B is in the" in found
    assert "of two activations" not in printed(report())
    assert "of two activations" not in printed(report(FORWARD, attention()))


def test_nothing_measured():
    refused = [
        dataclasses.replace(
            measurement(problem, 1.0), status="refused", reason="no", time_s=None, strategy="fft"
        )
        for problem in plan(small(), TRAINING).problems
    ]
    found = printed(report(found=lambda _: {}, excluded=refused))
    lines = found.splitlines()
    assert lines[0] == "no total: no layer has a result"
    assert lines[1] == "refused: fft: no (small:conv0 and 1 more)"


def test_several_strategies_are_named():
    def found(planned):
        ours = measured(planned)
        conv, fc = planned.problems
        return {conv: ours[conv], fc: [dataclasses.replace(m, strategy="packed") for m in ours[fc]]}

    text = printed(report(found=found), 160)
    assert re.search(r"^fc .* packed ", text, re.MULTILINE)
    assert re.search(r"^conv1 .* auto ", text, re.MULTILINE)


def in_doubt(found, layer, reason):
    """Put the weights pass of a layer in doubt."""
    return {
        problem: [
            dataclasses.replace(m, doubt=reason)
            if problem.name.endswith(layer) and m.problem.get("pass") == "backward-weights"
            else m
            for m in rows
        ]
        for problem, rows in found.items()
    }


def test_times_in_doubt_are_marked_in_every_table():
    found = printed(report(found=lambda planned: in_doubt(measured(planned), "fc", "disturbed")))
    assert re.search(r"^fc +1 +linear +1,505 +1,368 +\? 1,254 +- +\? 4.13 ", found, re.MULTILINE)
    assert re.search(r"^conv1 +3 +conv 3x3 +289 +263 +241 +1.74 +2.38 ", found, re.MULTILINE)
    assert re.search(r"^linear +1 +1.51 +1.37 +\? 1.25 +\? 4.13 ", found, re.MULTILINE)
    assert re.search(r"^all +5 +2.66 +2.16 +\? 2.22 +\? 7.04 ", found, re.MULTILINE)
    line = "? in doubt, left out of conclusions: fc backward-weights (auto): disturbed"
    assert f"\n{line}\n" in found
    assert "\nforward: 2.66 ms, 38 % of the step ·" in found
    assert "\nbackward-weights: 2.22 ms, in doubt: disturbed · 108 MFLOP" in found
    assert "\ntraining step: 7.04 ms, in doubt: disturbed · 309 MFLOP" in found


def test_no_ratio_of_sides_in_doubt():
    text = printed(report(found=lambda planned: in_doubt(on_two_sides(planned), "fc", "stolen")))
    assert "\nno ratio of the libraries to convprof, in doubt: stolen\n" in text
    assert "times as long" not in text


def test_fewer_flops_than_counted():
    def fast(planned):
        return {
            problem: [
                dataclasses.replace(
                    measurement(which, problem.flops / PEAK.flop_per_s / 1.6),
                    flops=Flops(problem.flops, problem.flops // 2),
                )
                for which in planned.passes(problem)
            ]
            for problem in planned.problems
        }

    found = printed(report(found=fast))
    assert "309 MFLOP (155 MFLOP executed), 160 GFLOP/s, 160* % of peak" in found
    assert "160* / - / 160*" in found
    assert re.search(r"^all .* 160\.0\*$", found, re.MULTILINE)
    assert "\n* an effective rate: it executes fewer FLOPs than are counted\n" in found


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_columns_give_way(width):
    found = printed(report(found=on_two_sides), width).partition("\nforward: ")[0]
    lines = [line for line in found.splitlines() if not line.startswith("small · ")]
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("layer ")


def test_colour_adds_escapes_and_nothing_else():
    coloured = printed(report(), force_terminal=True, color_system="standard", soft_wrap=True)
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    table = plain.partition("\nforward: ")[0]
    assert table == GOLDEN_ONE.partition("\nforward: ")[0]


def test_markdown():
    state = {"core_hz": None}
    machine = {"brand": "some CPU", "simd": None, "physical_cores": 2}
    document = Document("1", machine, state, {"peaks": []}, {})
    found = passes_markdown(document, report(top=2)).splitlines()
    assert found[0] == "### small · input 1x32x28x28 · training · nhwc · 2 threads · f32"
    assert found[2].startswith("| layer | × | op | problem | forward [µs] | data [µs] | weights")
    assert found[4].startswith("| fc | 1 | linear | 1x25088:25088x1000 | 1,505 | 1,368 | 1,254 |")
    assert "the 2 slowest of 3 different layers; sums are over all" in found
    assert "#### by kind" in found
    (line,) = [line for line in found if line.startswith("- training step: 7.04 ms")]
    assert line.endswith("140 µs more, timed once")
    assert "some CPU · unknown SIMD · 2 cores  " in found


# The answer.

COMMAND = ["convprof", "network", "small"]


def said(given):
    return answer(given.plan, given.sides, given.peak.flop_per_s, COMMAND)


def test_the_answer_of_a_training_step():
    given = said(report())
    whole, kinds = given.sentences
    assert whole == (
        "A training step of the convolutions and products takes 7.04 ms, 44 % of the peak; "
        "the gradients take 62 %."
    )
    assert kinds == "linear takes 59 % of the time; fc takes most, 59 %."
    assert given.command == "convprof compare peers 1x25088:25088x1000"
    both = said(report(found=on_two_sides)).sentences
    assert both[2] == "The libraries take 1.50 times as long."


def test_the_answer_of_one_pass_and_of_a_part():
    assert said(report(FORWARD)).sentences[0].startswith("The forward pass of the convolutions ")
    part = said(report(found=lambda planned: measured(planned, passes=2)))
    assert "ms (without the passes that have no result), " in part.sentences[0]
    assert said(report(found=lambda _: {})) is None


def test_passes_in_doubt_decide_nothing():
    def doubtful(planned):
        return {
            problem: [dataclasses.replace(m, doubt="a storm") for m in those]
            for problem, those in measured(planned).items()
        }

    given = said(report(found=doubtful))
    assert given.sentences == ("No conclusion: the time of 8 passes is in doubt (a storm).",)
    assert given.command == "convprof network small --pass training --wait-idle"


def test_a_negligible_pass_in_doubt_is_only_left_out():
    def short(planned):
        times = in_doubt(measured(planned), "conv0", "a storm")
        return {
            problem: [
                dataclasses.replace(m, time_s=Time(1e-5, 0.0, None, None, 1e-5, 3, 1))
                if m.doubt
                else m
                for m in rows
            ]
            for problem, rows in times.items()
        }

    given = said(report(found=short))
    assert given.sentences[0].startswith("A training step of the convolutions ")
    both = said(report(found=lambda planned: {
        problem: [dataclasses.replace(m, doubt="a storm") if m.strategy == "torch" else m
                  for m in rows]
        for problem, rows in on_two_sides(planned).items()
    }))  # fmt: skip
    assert both.sentences[2] == (
        "No comparison with the libraries, their time is in doubt: a storm."
    )


def test_the_chart_of_a_training_step():
    chart = passes_chart(report(found=on_two_sides), dated="CPU · today")
    passes, kinds, layers = chart.panels
    assert re.fullmatch(r"the gradients take \d\d\.\d % of a training step of small", chart.title)
    assert chart.subtitle.endswith("CPU · today")
    names = [bar.label for bar in passes.bars]
    assert names[:2] == ["forward", "forward, libraries"]
    assert len(names) == 2 * len(plan(small(), TRAINING).asked)
    assert [bar.label for bar in kinds.bars] == ["linear", "conv"]
    assert [bar.label for bar in layers.bars] == ["fc", "3 x conv1", "conv0"]
    assert layers.bars[0].value > layers.bars[1].value


def test_the_chart_of_one_pass_and_of_times_in_doubt():
    one = passes_chart(report(FORWARD), dated="")
    assert [bar.label for bar in one.panels[0].bars] == ["forward"]
    assert re.fullmatch(r"linear takes .* % of the forward pass of small", one.title)

    def found(planned):
        return in_doubt(measured(planned), "fc", "a storm")

    doubtful = passes_chart(report(found=found), dated="")
    assert doubtful.title == "no conclusion, in doubt: a storm"
    assert any("? · auto" in bar.note for bar in doubtful.panels[2].bars)
    assert passes_chart(report(found=lambda _: {}), dated="") is None
