"""What ``network NAME --plan`` prints, to the letter."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from convprof.measure.report import describe
from convprof.networks.steps import steps
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, Convolution, Flatten, Linear
from convprof.render.network.chart import plan_chart
from convprof.render.network.plan import plan_csv, plan_markdown, plan_report
from convprof.render.network.repeats import Extent
from convprof.results import Document, Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.strategies.networks.choice import LayerChoice
from convprof.studies.network.options import Options
from convprof.studies.network.plan_answer import answer
from convprof.studies.network.planned import Planned, PlanResult, Standing

MACHINE = {"brand": "some CPU", "simd": None, "physical_cores": 2}


def small():
    net = Builder()
    net.add("layer1.0.conv1", Convolution.square(16, 3, stride=2, bias=True))
    net.add("layer1.0.relu", Activation("relu"))
    net.add("layer1.0.conv2", Convolution.square(16, 3, bias=True))
    net.add("flatten", Flatten())
    net.add("fc", Linear(10))
    return Network("small", (1, 8, 32, 32), tuple(net.nodes))


def measured(name, seconds, **fields):
    problem = NetworkProblem(small())
    made = Measurement(
        problem=describe(problem), strategy=name, layout="nhwc", dtype="f32", threads=1,
        cache="hot", status="ok", flops=Flops(problem.flops, problem.flops), max_rel_error=2e-7,
        flop_per_s=problem.flops / seconds,
        time_s=Time(seconds, 0, 0.99 * seconds, 1.01 * seconds, seconds, 25, 1),
    )  # fmt: skip
    return replace(made, **fields)


def standing(name, seconds, ratio=None, predicted=None, conversions=0, *, also=(), library=False):
    given = Ratio(ratio, ratio - 0.01, ratio + 0.01, 25) if ratio else None
    found = measured(name, seconds)
    return Standing(name, also, library, predicted, conversions, found, given)


def layers():
    conv1, conv2, flatten, fc = steps(small(), fuse=True)
    both = {"nchw": ("microkernel", 44e-6), "nhwc": ("winograd", 40e-6)}
    tile = {"tile": 4, "nc": 64}
    return [
        Planned(conv1, LayerChoice("winograd", "nhwc"), "winograd", tile, 40e-6, both),
        Planned(
            conv2, LayerChoice("microkernel", "nchw"), "microkernel", None, 3e-6,
            {"nchw": ("microkernel", 3e-6)},
        ),
        Planned(
            flatten, LayerChoice("auto", "nchw"), "vectors", None, 0.0, {"nchw": ("vectors", 0.0)}
        ),
        Planned(fc, LayerChoice("packed", "nhwc"), "packed", {"nc": 32}, 1e-6, {}),
    ]  # fmt: skip


def found(**changes):
    made = PlanResult(
        network="small",
        input=(1, 8, 32, 32),
        options=Options((), threads=1, fuse=True),
        layers=layers(),
        conversions=["layer1.0.relu to nchw"],
        planned_conversions=["layer1.0.relu to nchw"],
        standings=[
            standing("optimal", 44e-6, None, 45e-6, 1, also=("greedy",)),
            standing("all nhwc", 47e-6, 1.07, 48e-6),
            standing("all nchw", 51e-6, 1.16, 50e-6),
            standing("as written", 60e-6, 1.36),
            standing("torch", 66e-6, 1.5, None, None, library=True),
        ],
        excluded=[],
    )
    return replace(made, **changes)


def printed(given, width=120, top=None, **options):
    text = io.StringIO()
    plan_report(Console(file=text, width=width, **options), given, Extent(top))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


GOLDEN_120 = """\
small of 1x8x32x32 · f32 · 1 thread · 3 layers (1 view not timed)
layer            with         plan               time [µs]   nchw [µs]   nchw strategy   nhwc [µs]   nhwc strategy
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
layer1.0.conv1   bias, relu   winograd nhwc           40.0        44.0   microkernel          40.0   winograd
layer1.0.conv2   bias         microkernel nchw        3.00        3.00   microkernel             -   -
fc               bias         packed                  1.00           -   -                       -   -
time: within the chain, as measured in the probes; nchw, nhwc: the fastest strategy of each layout there

the whole network
chain              engine     conversions   predicted [µs]   measured [µs]        over optimal   GFLOP/s   error
────────────────────────────────────────────────────────────────────────────────────────────────────────────────
optimal = greedy   convprof             1             45.0       44.0 ±0.4                   1      42.4   2e-07
all nhwc           convprof             0             48.0       47.0 ±0.5   1.07 [1.06, 1.08]      39.7   2e-07
all nchw           convprof             0             50.0       51.0 ±0.5   1.16 [1.15, 1.17]      36.5   2e-07
as written         convprof             0                -       60.0 ±0.6   1.36 [1.35, 1.37]      31.1   2e-07
torch              library              -                -       66.0 ±0.7   1.50 [1.49, 1.51]      28.2   2e-07
as written: nothing folded or fused, the strategies as auto chooses them
conversions of the chain 'optimal': after layer1.0.conv1: to nchw
torch takes 66.0 µs, 1.50 [1.49, 1.51] times as long as convprof's optimal chain.
"""  # noqa: E501

GOLDEN_80 = """\
small of 1x8x32x32 · f32 · 1 thread · the 2 slowest of 3 layers (1 view not
timed)
layer            plan               time [µs]   nchw [µs]   nhwc [µs]
─────────────────────────────────────────────────────────────────────
layer1.0.conv1   winograd nhwc           40.0        44.0        40.0
layer1.0.conv2   microkernel nchw        3.00        3.00           -
not shown at 80 columns: with, nchw strategy, nhwc strategy
time: within the chain, as measured in the probes; nchw, nhwc: the fastest strategy of each layout there

the whole network
chain              predicted [µs]   measured [µs]        over optimal   error
─────────────────────────────────────────────────────────────────────────────
optimal = greedy             45.0       44.0 ±0.4                   1   2e-07
all nhwc                     48.0       47.0 ±0.5   1.07 [1.06, 1.08]   2e-07
all nchw                     50.0       51.0 ±0.5   1.16 [1.15, 1.17]   2e-07
as written                      -       60.0 ±0.6   1.36 [1.35, 1.37]   2e-07
torch                           -       66.0 ±0.7   1.50 [1.49, 1.51]   2e-07
not shown at 80 columns: engine, conversions, GFLOP/s
"""  # noqa: E501


def test_a_plan_at_120_columns():
    assert printed(found()) == GOLDEN_120


def test_the_slowest_at_80_columns():
    assert printed(found(), 80, top=2).partition("\nas written:")[0] + "\n" == GOLDEN_80


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("top", [None, 2])
def test_nothing_overflows_a_terminal(width, top):
    text = printed(found(), width, top, force_terminal=True, no_color=True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width


COMMAND = ["convprof", "network", "small"]


def said(**changes):
    return answer(found(**changes), COMMAND)


def test_the_answer_of_a_plan_that_won():
    first, second, third = said().sentences
    assert first == (
        "The planned chain takes 44.0 µs, 1.36 times as fast as the network as written, "
        "2 % less than predicted."
    )
    assert second == "Its 1 conversion of layout paid: either layout throughout is slower."
    optimal, *others = found().standings
    phases = {"layer1.0.relu to nchw": 2.2e-6, "layer1.0.conv1": 40e-6}
    timed = replace(optimal, measurement=replace(optimal.measurement, phases=phases))
    assert said(standings=[timed, *others]).sentences[1] == (
        "Its 1 conversion of layout, 5 % of its time, paid: either layout throughout is slower."
    )
    none = said(planned_conversions=[]).sentences
    assert none[1] == "It needs no conversion of layout."
    assert third == "torch takes 1.50 times as long as the chain 'optimal'."
    assert said().command == "convprof network small --fuse"
    assert said(standings=found().standings[:-1]).command.endswith(" --plan --with onnxruntime")


@pytest.mark.parametrize(
    ("predicted_s", "words"),
    [
        (44.1e-6, "as long as predicted, within 1 %."),
        (40e-6, "10 % longer than predicted."),
        (55e-6, "20 % less than predicted."),
    ],
)
def test_how_good_the_prediction_was(predicted_s, words):
    standings = [standing("optimal", 44e-6, None, predicted_s)]
    assert said(standings=standings).sentences[0] == f"The planned chain takes 44.0 µs, {words}"


def test_a_chain_that_beats_the_plan_is_the_answer():
    optimal = standing("optimal", 44e-6, None, 40e-6, 1)
    given = said(standings=[standing("all nhwc", 40e-6, 0.91, 50e-6), optimal])
    first, second = given.sentences
    assert first == (
        "The prediction was wrong: the chain 'all nhwc' takes 40.0 µs, 9 % less than the planned "
        "chain, which takes 10 % longer than predicted."
    )
    assert second.startswith("Nearest to it is convprof network small --fuse --layout nhwc; ")
    assert given.command == "convprof network small --fuse --layout nhwc"
    written = said(standings=[standing("as written", 40e-6, 0.91), optimal])
    assert written.sentences[1] == "The network as written needs no flags."
    assert written.command == "convprof network small"
    greedy = said(standings=[standing("greedy", 40e-6, 0.91), optimal])
    assert (len(greedy.sentences), greedy.command) == (1, "convprof network small --plan")


def test_an_interval_that_reaches_1_decides_nothing():
    close = replace(standing("all nhwc", 43.9e-6, 1.0), ratio=Ratio(0.995, 0.98, 1.01, 25))
    optimal = found().standings[0]
    given = said(standings=[close, optimal], planned_conversions=["layer1.0.relu to nchw"])
    assert given.sentences[0].startswith("The planned chain takes 44.0 µs")
    start = "That its 1 conversion of layout paid was not confirmed"
    assert given.sentences[1] == f"{start}: the intervals do not separate 'all nhwc' from it."
    same = replace(close, ratio=Ratio(1.0, 0.99, 1.01, 25))
    given = said(standings=[same, optimal], planned_conversions=["layer1.0.relu to nchw"])
    assert given.sentences[1] == f"{start}: 'all nhwc' is as fast."
    doubtful = replace(close, measurement=replace(close.measurement, doubt="a storm"))
    given = said(standings=[doubtful, optimal], planned_conversions=["layer1.0.relu to nchw"])
    assert given.sentences[1] == f"{start}: the time of 'all nhwc' is in doubt."
    given = said(standings=[optimal], planned_conversions=["layer1.0.relu to nchw"])
    assert given.sentences[1] == f"{start}: no chain with one layout throughout was measured."


def test_a_chain_in_doubt_decides_nothing():
    optimal, nhwc, *_ = found().standings
    faster = standing("all nhwc", 20e-6, 0.45)
    faster = replace(faster, measurement=replace(faster.measurement, doubt="a storm"))
    given = said(standings=[optimal, faster])
    assert given.sentences[0].startswith("The planned chain takes 44.0 µs")
    doubtful = replace(
        optimal, measurement=replace(optimal.measurement, doubt="a storm"), optimal_doubt="a storm"
    )
    given = said(standings=[replace(nhwc, optimal_doubt="a storm"), doubtful])
    assert given.sentences == (
        "No conclusion: the time of the planned chain is in doubt (a storm).",
    )
    assert given.command == "convprof network small --plan --wait-idle"
    text = printed(found(standings=[optimal, faster]))
    assert "\nall nhwc ? " in text
    assert "? in doubt, left out of conclusions: all nhwc nhwc 1 thread: a storm\n" in text


def test_without_a_chain_there_is_no_answer():
    assert said(standings=[]) is None


def test_a_library_that_beats_the_plan_has_its_verdict_only():
    text = printed(found(standings=[standing("torch", 40e-6, 0.5, None, None, library=True)]))
    assert (
        "torch takes 40.0 µs, 0.50 [0.49, 0.51] times as long as convprof's optimal chain." in text
    )


def test_no_conversion_and_many():
    assert "\nconversions of the chain 'optimal': none, one" in printed(found(conversions=[]))
    many = [f"c{index} to nchw" for index in range(8)]
    assert "c4 to nchw, c5 to nchw and 2 more\n" in printed(found(conversions=many))


def test_the_layers_of_another_chain_are_named():
    text = printed(found(chosen="all nhwc"))
    assert text.startswith("small of 1x8x32x32 · f32 · 1 thread · the chain 'all nhwc' · 3 layers")


def test_the_input_is_converted_after_no_layer():
    text = printed(found(conversions=["input to nhwc", "layer1.0.relu to nchw"]))
    assert ": input to nhwc, after layer1.0.conv1: to nchw\n" in text


def test_no_row_in_a_pipe_ends_in_blanks():
    text = io.StringIO()
    plan_report(Console(file=text, width=400), found(), Extent())
    assert "nhwc strategy\n" in text.getvalue()
    assert [line for line in text.getvalue().splitlines() if line != line.rstrip()] == []


def test_layouts_without_room_are_not_explained():
    lines = printed(found(), 50).splitlines()
    assert "time: within the chain, as measured in the probes" in lines
    assert "nchw, nhwc" not in "".join(lines)


def test_in_a_long_plan_repeated_blocks_share_rows():
    first = layers()[0]
    blocks = [
        replace(
            first,
            step=replace(first.step, nodes=(f"layer{index}.0.conv1",)),
            seconds=index * 1e-6,
            fastest={"nchw": ("microkernel" if index < 31 else "im2col", index * 1e-6)},
        )
        for index in range(1, 32)
    ]
    text = printed(found(layers=blocks), 140)
    row = re.search(r"^layer1-31\.0\.conv1 .*$", text, re.MULTILINE)[0].split()
    assert row[1] == "31"
    assert row[-4:] == ["16.0", "16.0", "microkernel,", "im2col"]
    assert "equal layers of repeated blocks; times are their means\nblocks that repeat " in text
    assert len(re.findall(r"layer\d+\.0\.conv1 ", printed(found(layers=blocks[:30]), 140))) == 30


def test_without_layouts_nothing_is_said_of_them():
    text = printed(found(layers=layers()[3:], conversions=[]))
    assert re.search(r"^layer +with +plan +time \[ns\]$", text, re.MULTILINE)
    assert "\ntime: within the chain, as measured in the probes\n" in text
    assert "onversion" not in text.partition("the whole network")[2].partition("as written:")[2]


def test_interrupted_before_there_is_a_plan():
    bare = found(layers=[], conversions=[], standings=[])
    assert printed(bare) == "no plan: not every layer has been timed\n"


def test_interrupted_before_the_chains_were_run():
    text = printed(found(standings=[]))
    assert text.startswith("small of 1x8x32x32 · f32 · 1 thread · 3 layers (1 view not timed)\n")
    assert "the whole network" not in text
    assert "after layer1.0.conv1: to nchw" in text


def test_without_rounds_in_common_there_is_no_ratio():
    other = replace(standing("all nhwc", 47e-6, 1.07, 48e-6), ratio=None)
    text = printed(found(standings=[other, *found().standings[:1]]))
    assert re.search(r"^all nhwc .* ±0\.5 +- ", text, re.MULTILINE)
    assert re.search(r"^optimal = greedy .* ±0\.4 +1 ", text, re.MULTILINE)


def test_who_was_left_out():
    problem = describe(NetworkProblem(small()))
    bad = Measurement(problem, "probe nhwc 2", "nhwc", "f32", 1, "hot", "refused", "too large")
    text = printed(found(excluded=[bad]))
    assert text.endswith("\nsmall: refused: probe nhwc 2 nhwc 1 thread: too large\n")


def test_markdown():
    document = Document("1", MACHINE, {"core_hz": None}, {"peaks": []}, {})
    lines = plan_markdown(document, found(), Extent(1)).splitlines()
    assert (
        lines[0]
        == "### small of 1x8x32x32 · f32 · 1 thread · the slowest of 3 layers (1 view not timed)"
    )
    assert lines[4].startswith("| layer1.0.conv1 | bias, relu | winograd nhwc | 40.0 | 44.0 | micr")
    assert "- conversions of the chain 'optimal': after layer1.0.conv1: to nchw" in lines
    assert plan_markdown(document, None, Extent()) == ""
    none = plan_markdown(document, found(layers=[], standings=[]), Extent())
    assert "- no plan: not every layer has been timed" in none


def test_csv_has_every_layer_exactly():
    rows = list(csv.DictReader(io.StringIO(plan_csv(found()))))
    assert [row["strategy"] for row in rows] == ["winograd", "microkernel", "vectors", "packed"]
    assert rows[0]["blocking"] == "tile=4 nc=64"
    assert (rows[0]["nchw_s"], rows[0]["nhwc_s"], rows[1]["nhwc_s"]) == ("4.4e-05", "4e-05", "")
    assert plan_csv(None) == ""


def test_the_chart_has_the_chains_with_their_predictions_and_the_slowest_layers():
    chart = plan_chart(found(), dated="CPU · today")
    chains, planned = chart.panels
    names = [bar.label for bar in chains.bars]
    assert names == ["optimal", "all nhwc", "all nchw", "as written", "torch"]
    assert [bar.value for bar in chains.bars] == pytest.approx([44, 47, 51, 60, 66])
    assert [bar.expected for bar in chains.bars] == [
        pytest.approx(45), pytest.approx(48), pytest.approx(50), None, None,
    ]  # fmt: skip
    assert [(bar.subject, bar.variant) for bar in chains.bars][-1] == ("torch", 1)
    assert [bar.label for bar in planned.bars] == ["layer1.0.conv1", "layer1.0.conv2", "fc"]
    assert planned.bars[1].note == "6.8 % · microkernel nchw"
    assert chart.title == "optimal is 1.07 times as fast as all nhwc"


def test_chains_within_the_noise_have_no_winner():
    close = [standing("optimal", 44e-6), standing("all nhwc", 44.1e-6, 1.0)]
    chart = plan_chart(found(standings=close), dated="")
    assert chart.title == "neither optimal nor all nhwc is faster for certain"


def test_without_a_chain_there_is_no_chart():
    assert plan_chart(found(standings=[]), dated="") is None
