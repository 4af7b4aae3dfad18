"""Bars in pictures: how many, where their texts are, how ratios are drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'convprof[plot]'")

from convprof.render.charts import palette, picture
from convprof.render.charts.bar_figure import NEUTRAL
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.charts.figure import figure_of

LONG = "a name of a layer that is so long that it needs several lines of text next to its bar"
RATES = Panel(
    "GFLOP/s",
    (
        Bar("tiled", 40, 38, 44, "40 · 2.0x", "tiled"),
        Bar(LONG, 90, note=f"90 · {LONG}", subject="microkernel"),
        Bar("conv", 0.5, expected=30, variant=1, subject="torch"),
        Bar("other", 5),
    ),
    references=(Reference("peak, 1 thread", 100), Reference("peak, 2 threads", 105)),
)
RATIOS = Panel(
    "NHWC / NCHW",
    (Bar("tiled", 1.2, 1.1, 1.3, "slower", "tiled"), Bar("auto", 0.7, 0.6, 0.8)),
    "1 thread",
    (Reference("as fast", 1),),
    ratios=True,
)
CHART = Bars("a finding", (RATES, RATIOS), "problem · machine · date", "a caption")


@pytest.fixture(scope="module")
def figure():
    made = figure_of(CHART)
    made.draw_without_rendering()
    return made


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ((0.9, 1.18, 1.41), (0.8, 1.5)),
        ((1.15, 1.18, 3.81), (1.0, 3.0)),
        ((0.95, 1.02), (0.9, 1.1)),
        ((0.4, 40.0), (0.5, 50.0)),
    ],
)
def test_an_axis_of_ratios_ends_at_ticks(values, ends):
    panel = Panel("a / b", tuple(Bar("x", value) for value in values), ratios=True)
    (axes,) = figure_of(Bars("t", (panel,))).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert (ticks[0], ticks[-1]) == ends


def test_a_panel_each_with_its_bars_in_order(figure):
    rates, ratios = figure.axes
    assert [text.get_text() for text in ratios.get_yticklabels()] == ["tiled", "auto"]
    widths = [patch.get_width() for patch in rates.patches]
    assert widths == [40, 90, 0.5, 30, 5]
    assert rates.get_ylim()[0] > rates.get_ylim()[1]  # the first bar at the top
    assert ratios.get_title(loc="left") == "1 thread"


def test_bars_begin_at_zero_and_the_ceilings_are_on_the_axis(figure):
    low, high = figure.axes[0].get_xlim()
    assert low == 0
    assert high > 105


def test_colours_are_the_strategies_and_the_expected_has_the_hue_of_the_measured(figure):
    from matplotlib.colors import to_hex

    tiled, _, torch, expected, other = figure.axes[0].patches
    assert to_hex(tiled.get_facecolor()).upper() == palette.look_of("tiled").color
    assert to_hex(torch.get_edgecolor()).upper() == palette.look_of("torch").color
    assert to_hex(expected.get_edgecolor()) == to_hex(torch.get_edgecolor())
    assert expected.get_linestyle() not in ("-", "solid")
    assert to_hex(other.get_facecolor()) == NEUTRAL


def test_ratios_are_markers_on_a_logarithmic_axis_with_a_line_at_1(figure):
    axes = figure.axes[1]
    assert axes.get_xscale() == "log"
    assert not axes.patches
    assert [1, 1] in [list(line.get_xdata()) for line in axes.lines]
    low, high = axes.get_xlim()
    assert low < 0.6
    assert high > 1.3
    assert len(axes.collections) == 2  # an interval each


def test_every_text_is_inside_and_no_two_notes_or_labels_overlap(figure):
    everything = figure.get_window_extent()
    for axes in figure.axes:
        texts = [t for t in (*axes.texts, *axes.get_yticklabels()) if t.get_text()]
        boxes = [text.get_window_extent() for text in texts]
        for k, box in enumerate(boxes):
            assert everything.x0 <= box.x0, texts[k]
            assert box.x1 <= everything.x1, texts[k]
            assert box.y1 <= everything.y1, texts[k]
            assert not any(box.overlaps(other) for other in boxes[k + 1 :]), texts[k]


def test_title_subtitle_and_caption_are_above_and_below_the_axes(figure):
    title, subtitle, caption = (text.get_window_extent() for text in figure.texts)
    top, bottom = figure.axes[0].get_tightbbox(), figure.axes[-1].get_tightbbox()
    assert title.y0 >= subtitle.y1 - 1
    assert subtitle.y0 >= top.y1 - 1
    assert caption.y1 <= bottom.y0 + 1


def test_more_bars_make_a_higher_picture():
    one = figure_of(Bars("t", (Panel("x", RATES.bars[:1]),)))
    many = figure_of(Bars("t", (Panel("x", RATES.bars[:1] * 30),)))
    assert many.get_figheight() > one.get_figheight() + 5
    assert many.get_figwidth() == one.get_figwidth()


def test_text_in_an_svg_is_text():
    root = ET.fromstring(picture.drawn(CHART, ".svg"))  # noqa: S314  # our own
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a finding", "problem · machine · date", "a caption", "40 · 2.0x"} <= texts


def test_no_panel_is_a_title_only():
    assert figure_of(Bars("nothing", ())).axes == []
