"""What ``network NAME`` prints, to the letter."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from small_network import found, layers, measured, small

from convprof.measure.report import describe
from convprof.networks.steps import steps
from convprof.render.network.chart import run_chart
from convprof.render.network.repeats import Extent
from convprof.render.network.run import run_csv, run_markdown, run_report
from convprof.results import Document, Measurement

MACHINE = {"brand": "some CPU", "simd": None, "physical_cores": 2}


def printed(given, width=120, top=None, **options):
    text = io.StringIO()
    run_report(Console(file=text, width=width, **options), given, Extent(top))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


GOLDEN_120 = """\
small of 1x8x32x32 · nhwc · f32 · 2 threads · 5 layers (1 view not timed)
layer         strategy      hot [µs]    share   cycles/FLOP   % of limit   limited by   chain [µs]
──────────────────────────────────────────────────────────────────────────────────────────────────
layer1.0
  conv1       winograd          40.0   61.1 %         0.202         25.0   compute            46.0
  depthwise   microkernel       20.0   30.5 %         0.814         25.0   compute            19.0
  relu        vectors           2.00    3.1 %          1.46         25.0   memory             5.00
pool          vectors           3.00    4.6 %          2.19         25.0   memory             4.00
fc            packed           0.500    0.8 %          4.55         25.0   compute            1.00
not shown at 120 columns: computes, output, cold [µs]
% of limit: of the FMA peak, or of the bandwidth of the cache level that holds the data; limited by: which of them

by kind of layer
kind             layers   hot [µs]    share   GFLOP/s   cycles/FLOP   % of limit   limited by   cold [µs]   chain [µs]
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
conv                  1       40.0   61.1 %      14.8         0.202         25.0   compute            120         46.0
depthwise conv        1       20.0   30.5 %      3.69         0.814         25.0   compute           60.0         19.0
adaptive pool         1       3.00    4.6 %      1.37          2.19         25.0   memory            9.00         4.00
activation            1       2.00    3.1 %      2.05          1.46         25.0   memory            6.00         5.00
linear                1      0.500    0.8 %     0.660          4.55         25.0   compute           1.50         1.00

the network as a whole
from the layers to the chain          time [µs]   % of hot
──────────────────────────────────────────────────────────
each layer by itself, caches hot           65.5      100.0
each between its neighbours instead        +9.5      +14.5
all in one go, no clock in between         -5.0       -7.6
the chain                                  70.0      106.9
each layer by itself, caches cold         196.5      300.0
between its neighbours the input of a layer is where the layer before has left it, and its weights are where all other layers have left them

the chain: 70.0 ±3.5 µs, 14,286 per second, 9.66 GFLOP/s, 4 % of peak, max_rel_error 2e-07
The chain takes 7 % more than its layers by themselves with hot caches, 64 % less than with cold ones.
Between their neighbours these lose most: layer1.0.conv1 +6.0 µs, layer1.0.relu +3.0 µs.
torch takes 70.0 µs, 1.41 [1.38, 1.44] times as long as convprof's chain.
"""  # noqa: E501

GOLDEN_80 = """\
small of 1x8x32x32 · nhwc · f32 · 2 threads · the 2 slowest of 5 layers (1 view
not timed)
layer                strategy      hot [µs]    share   % of limit   chain [µs]
──────────────────────────────────────────────────────────────────────────────
layer1.0.conv1       winograd          40.0   61.1 %         25.0         46.0
layer1.0.depthwise   microkernel       20.0   30.5 %         25.0         19.0
not shown at 80 columns: computes, output, cycles/FLOP, limited by, cold [µs]
% of limit: of the FMA peak, or of the bandwidth of the cache level that holds the data, whichever is lower
"""  # noqa: E501

WITH_CONVERSIONS = """\
from the layers to the chain          time [µs]   % of hot
──────────────────────────────────────────────────────────
each layer by itself, caches hot           65.5      100.0
each """


def test_a_run_at_120_columns():
    assert printed(found()) == GOLDEN_120


def test_the_slowest_at_80_columns():
    assert printed(found(), 80, top=2).partition("\n\nby kind")[0] + "\n" == GOLDEN_80


def test_conversions_are_a_row_of_their_own():
    text = printed(found(conversions={"pool to nchw": 1e-6}, chain_s=90e-6))
    assert WITH_CONVERSIONS in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("top", [None, 3])
def test_nothing_overflows_a_terminal(width, top):
    text = printed(found(), width, top, force_terminal=True, no_color=True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width


def test_colour_adds_escapes_and_nothing_else():
    text = printed(found(), 400, force_terminal=True, color_system="standard")
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert [line.rstrip() for line in plain.splitlines()] == printed(found(), 400).splitlines()


@pytest.mark.parametrize(
    ("chain_s", "words"),
    [
        (
            66e-6,
            "The chain takes within the noise as long as its layers by themselves with hot",
        ),
        (32.75e-6, "The chain takes 50 % less than its layers by themselves with hot caches, 83 %"),
        (393e-6, "The chain takes 500 % more than its layers by themselves with hot caches, 100 %"),
    ],
)
def test_the_words_follow_the_signs(chain_s, words):
    assert words in printed(found(chain_s))


def test_no_difference_is_a_plain_zero():
    text = printed(found(75e-6))  # exactly the layers between their neighbours
    assert re.search(r"^all in one go, .* between +0 +0 +within the noise$", text, re.MULTILINE)
    assert "+-" not in text


def test_faster_between_neighbours_than_alone():
    faster = [replace(layer, chain_s=layer.hot_s / 2) for layer in layers() if not layer.view]
    text = printed(found(20e-6, layers=faster))
    assert re.search(r"^each between its neighbours instead +-32\.8 +-50\.0$", text, re.MULTILINE)
    assert "these lose most" not in text


def test_what_was_not_measured_is_missing_and_counted():
    few = [replace(layer, hot=None, cold=None) for layer in layers()]
    few[0] = layers()[0]
    text = printed(found(layers=few, chain=None, libraries=[]))
    assert text.startswith(
        "small of 1x8x32x32 · nhwc · f32 · 2 threads · 1 measured of 5 layers (1 "
    )
    assert "the network as a whole" not in text
    assert "the chain:" not in text


def test_nothing_measured_prints_nothing():
    bare = [replace(layer, hot=None, cold=None, chain_s=None) for layer in layers()]
    assert printed(found(layers=bare, chain=None, libraries=[])) == "\n"


def test_cold_times_may_be_missing():
    half = [replace(layer, cold=None) for layer in layers()]
    text = printed(found(layers=half, chain=None, libraries=[]))
    assert re.search(r"^conv .* compute +- +46\.0$", text, re.MULTILINE)
    one = [replace(layers()[0], cold=None), *layers()[1:]]
    assert re.search(r"^conv .* compute +- +46\.0$", printed(found(layers=one)), re.MULTILINE)
    assert "the network as a whole" not in printed(found(layers=one))


def repeated(count):
    """Return a convolution that the network has several times, and the other layers."""
    first, *others = layers()
    again = [
        replace(
            first,
            step=replace(first.step, nodes=(f"layer{index}.0.conv1",)),
            chain_s=(46 + index) * 1e-6,
        )
        for index in range(1, count + 1)
    ]
    return [*again, *others]


def test_of_equal_layers_the_slowest_show_one():
    moved = replace(layers()[1], hot=measured(layers()[1].step.problem, 100e-6))
    given = found(layers=[moved, *repeated(3)], chain=None, libraries=[])
    lines = printed(given, 200, top=2).splitlines()
    assert lines[0].endswith("8 layers (1 view not timed) · the 2 slowest of 5 different ones")
    assert re.match(r"layer +× +computes ", lines[1])  # noqa: RUF001
    # 3 x 40 are more than 100 + 20: sums decide; the time is of one, in the chain on average.
    assert re.match(r"layer1\.0\.conv1 +3 .* winograd +40\.0 +48\.9 % .* 48\.0$", lines[3])
    assert re.match(r"layer1\.0\.depthwise +2 ", lines[4])
    assert lines[5].startswith("×: equal layers; times are of one (chain: the mean)")  # noqa: RUF001


def test_all_different_layers_and_each_layer_in_order():
    given = found(layers=repeated(3), chain=None, libraries=[])
    assert "7 layers (1 view not timed) · 5 different ones\n" in printed(given, 200, top=99)
    text = printed(given, 200)
    assert text.startswith("small of 1x8x32x32 · nhwc · f32 · 2 threads · 7 layers (1 view not ")
    assert len(re.findall("^ *layer[1-3].0.conv1 ", text, re.MULTILINE)) == 3
    assert "×" not in text  # noqa: RUF001


def test_in_a_long_table_repeated_blocks_share_rows():
    given = found(layers=repeated(40), chain=None, libraries=[])
    text = printed(given, 200)
    assert text.startswith(
        "small of 1x8x32x32 · nhwc · f32 · 2 threads · 44 layers (1 view not timed)\n"
    )
    # The time is of one layer, in the chain the mean; the share is of all.
    row = re.search(r"^layer1-40\.0\.conv1 .*$", text, re.MULTILINE)[0].split()
    assert (row[1], row[-1]) == ("40", "66.5")
    assert "40.0" in row
    assert row[row.index("%") - 1] == "98.4"
    assert "\nblocks that repeat share a row: --all shows every layer\n" in text
    every = io.StringIO()
    run_report(Console(file=every, width=200), given, Extent(every=True))
    assert len(re.findall(r"layer\d+\.0\.conv1 ", every.getvalue())) == 40
    assert "--all" not in every.getvalue()


def test_another_strategy_is_another_layer():
    other = repeated(2)
    other[1] = replace(other[1], chosen="im2col")
    text = printed(found(layers=other, chain=None, libraries=[]), 200, top=2)
    assert "the 2 slowest of 6 layers (1 view not timed)\n" in text


@pytest.mark.parametrize(
    ("width", "words"), [(60, ""), (80, "the data, whichever is lower\n"), (120, "which of them")]
)
def test_nothing_is_said_of_columns_without_room(width, words):
    text = printed(found(), width)
    assert words in text
    assert (" limited by " in text.splitlines()[1]) == (width == 120)
    assert text.count("% of limit:") == (1 if width > 60 else 0)


def test_differences_within_the_noise_have_no_cause():
    same = [replace(layer, chain_s=layer.hot_s) for layer in layers() if not layer.view]
    text = printed(found(66e-6, layers=same), 80)
    assert re.search(
        r"^each between its neighbours .* +0 +0 +within the noise$", text, re.MULTILINE
    )
    assert re.search(r"^all in one go, .* between +\+0\.5 +\+0\.8 +within", text, re.MULTILINE)
    assert "between its neighbours a layer finds" not in text
    assert "most:" not in text


def test_only_what_loses_much_is_named():
    text = printed(found(200e-6))  # 2 % of it are 4 µs
    assert "Between its neighbours this one loses most: layer1.0.conv1 +6.0 µs.\n" in text
    alone = layers()[:1]
    assert "most:" not in printed(found(46e-6, layers=alone))


def test_without_images_there_is_no_layout():
    plain = [replace(la, hot=replace(la.hot, layout=None)) for la in layers() if la.hot]
    text = printed(found(layers=plain))
    assert text.startswith("small of 1x8x32x32 · f32 · 2 threads · 5 layers\n")


def test_who_was_left_out_is_named_once():
    problem = layers()[0].step.problem
    bad = Measurement(describe(problem), "auto", "nhwc", "f32", 2, "hot", "wrong", "it is off")
    text = printed(found(excluded=[bad, replace(bad, cache="cold")]))
    assert text.count("wrong: auto nhwc 2 threads: it is off") == 1


def test_another_layout_is_named():
    moved = layers()
    moved[1] = replace(moved[1], hot=replace(moved[1].hot, layout="nchw"))
    assert re.search(r"depthwise .* microkernel nchw ", printed(found(layers=moved)))


def test_markdown_has_every_column():
    document = Document("1", MACHINE, {"core_hz": None}, {"peaks": []}, {})
    lines = run_markdown(document, found(), Extent(2)).splitlines()
    assert lines[0].endswith("the 2 slowest of 5 layers (1 view not timed)")
    assert lines[2].startswith(
        "| layer | computes | output | strategy | hot [µs] | share | cycles/FLOP"
    )
    assert lines[4].startswith("| layer1.0.conv1 | 3x3 s2 8->16 +bias | 1x16x16x16 | winograd |")
    assert "| layer1.0.depthwise | 3x3 16->16 in 16 groups | 1x16x16x16 |" in lines[5]
    assert "- torch takes 70.0 µs, 1.41 [1.38, 1.44] times as long as convprof's chain." in lines
    assert "some CPU · unknown SIMD · 2 cores  " in lines
    assert run_markdown(document, None, Extent()) == ""


def test_csv_has_every_layer_exactly():
    rows = list(csv.DictReader(io.StringIO(run_csv(found()))))
    assert [row["name"] for row in rows] == [step.name for step in steps(small())]
    assert (rows[0]["hot_s"], rows[0]["chosen"], rows[4]["view"]) == ("4e-05", "winograd", "True")
    assert run_csv(None) == ""


FAR = "9.4 times as long as within the chain"


def in_doubt(name, seconds):
    """Return the layers, one of them with a hot time that cannot be true."""
    return [
        replace(layer, hot=measured(layer.step.problem, seconds, doubt=FAR))
        if layer.step.name == name
        else layer
        for layer in layers()
    ]


def test_a_time_in_doubt_has_a_mark_and_a_reason():
    lines = printed(found(layers=in_doubt("layer1.0.relu", 60e-6))).splitlines()
    assert [line.split()[0] for line in lines if " ? 60.0 " in line] == ["relu", "activation"]
    (reason,) = [line for line in lines if line.startswith("? ")]
    assert reason.endswith(f": {FAR}")
    assert f"Nothing is concluded from chain and layers, in doubt: {FAR}." in lines
    assert not any(line.startswith("The chain takes") for line in lines)


def test_a_small_layer_in_doubt_does_not_spoil_the_whole():
    text = printed(found(layers=in_doubt("fc", 3e-6)))
    assert " ? 3.00 " in text
    assert "The chain takes" in text


def test_nothing_is_concluded_from_a_chain_in_doubt():
    calm = found()
    chain = replace(calm.chain, doubt="it was disturbed")
    library = replace(calm.libraries[0], b=chain)
    text = printed(replace(calm, chain=chain, libraries=[library]))
    assert "Nothing is concluded from chain and layers, in doubt: it was disturbed." in text
    assert "torch: no conclusion, in doubt: it was disturbed." in text
    assert "times as long as convprof's chain" not in text
    assert library.verdict == "undecided"


def test_markdown_says_what_is_in_doubt():
    document = Document("1", MACHINE, {"core_hz": None}, {"peaks": []}, {})
    made = found(layers=in_doubt("layer1.0.relu", 60e-6))
    assert FAR in run_markdown(document, made, Extent())


def test_the_chart_has_kinds_and_layers_the_slowest_first():
    chart = run_chart(found(), dated="CPU · today")
    by_kind, by_layer = chart.panels
    assert [bar.label for bar in by_kind.bars][:2] == ["conv, 1 layer", "depthwise conv, 1 layer"]
    assert by_kind.bars[0].note == "61.1 % · 25.0 % of limit (compute)"
    assert [(bar.label, bar.subject) for bar in by_layer.bars][:2] == [
        ("layer1.0.conv1", "winograd"), ("layer1.0.depthwise", "microkernel"),
    ]  # fmt: skip
    assert [bar.value for bar in by_layer.bars] == pytest.approx([40, 20, 3, 2, 0.5])
    assert chart.title == "conv takes 61 % of small, layer1.0.conv1 61 %"
    assert chart.subtitle == "small of 1x8x32x32 · nhwc · f32 · 2 threads · CPU · today"


def test_without_a_timed_layer_there_is_no_chart():
    assert run_chart(found(layers=[]), dated="") is None
