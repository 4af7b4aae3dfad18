from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from convprof import atomic_files
from convprof.errors import ConvprofError, InputError
from convprof.render.charts import picture
from convprof.render.charts.chart import CellMark, Chart, HeatMap, Level, Mark, Point, Series

CHART = Chart(
    "t", "x", "y [GFLOP/s]",
    (
        Series("one", (Point(1, 2, 1, 3, "a label"), Point(2, 5), Point(9, 7, 6, 8))),
        Series("two", (Point(1, 3), Point(9, 2, label="b")), line=False),
        Series("none", ()),
    ),
    (Level("peak", 10),), (Mark("L1", 2), Mark("L2", 2.1), Mark("L3", 2.2)), x_log=True, y_top=10,
    caption="a machine",
)  # fmt: skip
MAP = HeatMap(
    "t", "x", "y", ("1", "2"), ("a",), ((1.0, None),), "s", (CellMark("L1", ((0, 0),)),), "m"
)


def test_outlines_of_cells_have_a_white_edge_that_greyscale_keeps():
    pytest.importorskip("matplotlib")
    from convprof.render.charts.figure import figure_of

    axes = figure_of(MAP).axes[0]
    (outline,) = axes.patches
    (effect,) = outline.get_path_effects()
    assert effect._gc == {"linewidth": 4, "foreground": "white"}


@pytest.mark.parametrize("path", ["x.pdf", "x", "-", "svg", ".svg", "x.svg.txt", ""])
def test_an_unknown_suffix_is_refused(path):
    with pytest.raises(InputError, match=r"--plot .*: the name .*; use .svg or .png"):
        picture.require(path)


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*no\. Create it first$"):
        picture.require(str(tmp_path / "no" / "x.svg"))
    folder = tmp_path / "x.svg"
    folder.mkdir()
    with pytest.raises(InputError, match=r"it is a folder. Name a file in it$"):
        picture.require(str(folder))


def test_without_the_extra_the_way_out_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"--plot .*: .*pip install 'convprof\[plot\]'"):
        picture.require(str(tmp_path / "x.svg"))
    assert list(tmp_path.iterdir()) == []


def test_terminal_charts_need_no_extra():
    code = "import sys; import convprof.render.charts.terminal, convprof.render.charts.picture\n"
    code += "assert not {'matplotlib', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def _matplotlib():
    pytest.importorskip("matplotlib")


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("chart", [CHART, MAP, Chart("t", "x", "y", ())], ids=["c", "map", "none"])
def test_files_are_well_formed_and_the_same_twice(chart, tmp_path):
    svg, png = tmp_path / "x.svg", tmp_path / "x.PNG"
    for path in (svg, png):
        picture.write(chart, str(path))
    assert ET.fromstring(svg.read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    first = svg.read_bytes()
    picture.write(chart, str(svg))
    assert first == svg.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"x.svg", "x.PNG"}


@pytest.mark.usefixtures("_matplotlib")
def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "x.svg"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "_replace", full)
    with pytest.raises(ConvprofError, match="No space left"):
        picture.write(CHART, str(path))
    assert path.read_text() == "old"


@pytest.mark.usefixtures("_matplotlib")
def test_no_two_labels_overlap_and_none_leaves_the_picture():
    from convprof.render.charts.figure import figure_of

    points = tuple(Point(10 + k / 100, 5 + k / 50, label=f"label {k} of many") for k in range(12))
    series = (Series("crowd", points, line=False), *CHART.series)
    made = Chart("t", "x", "y", series, CHART.levels, CHART.marks)
    figure = figure_of(made)
    figure.canvas.draw()
    axes = figure.axes[0]
    inside = axes.get_window_extent()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) >= 3
    for k, box in enumerate(boxes):
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
    legend = axes.get_legend()
    shown = " ".join(text.get_text() for text in (*axes.texts, *legend.get_texts()))
    assert all(shown.replace("\n", " ").count(f"label {k} of many") == 1 for k in range(12))
    assert_inside(figure, legend)


def assert_inside(figure, legend):
    box, title = legend.get_window_extent(), figure.texts[0].get_window_extent()
    assert figure.bbox.containsx(box.x0)
    assert figure.bbox.containsx(box.x1)
    assert figure.bbox.containsy(box.y0)
    assert not box.overlaps(title)


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("count", [1, 8, 25, 70])
def test_a_legend_of_any_length_fits_under_a_long_title(count):
    from convprof.render.charts.figure import figure_of

    series = tuple(
        Series(f"strategy-{k} nhwc 2 threads", (Point(1, k), Point(2, k))) for k in range(count)
    )
    figure = figure_of(Chart("a long title " * 11, "x", "y", series, caption="a caption " * 30))
    figure.canvas.draw()
    assert_inside(figure, figure.axes[0].get_legend())


def test_the_pictures_do_not_touch_global_state(tmp_path):
    pytest.importorskip("matplotlib")
    code = f"""
import sys
from convprof.render.charts import picture
from convprof.render.charts.chart import Chart, Point, Series
picture.write(Chart("t", "x", "y", (Series("s", (Point(1, 1),)),)), {str(tmp_path / "x.svg")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {**os.environ, "MPLBACKEND": "module://nonsense"}
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=root)


@pytest.mark.usefixtures("_matplotlib")
def test_ceilings_are_labelled_along_their_lines_in_the_order_of_memory():
    from convprof.render.charts.figure import figure_of

    def roof(label, rate):
        return Series(label, (Point(0.1, 0.1 * rate), Point(100 / rate, 100)), ceiling=True)

    levels = [("L1", 300), ("L2", 100), ("L3", 90), ("memory", 20)]
    point = Series("tiled", (Point(10, 20, label="tiled 5x", limit=100),), line=False)
    roofs = [roof(*level) for level in levels]
    chart = Chart("t", "x", "y", (*roofs, point), x_log=True, y_log=True)
    figure = figure_of(chart)
    figure.canvas.draw()
    (axes,) = figure.axes
    texts = [text for text in axes.texts if text.get_text() in dict(levels)]
    in_legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.get_text() for text in texts] + in_legend[:-1] == [name for name, _ in levels]
    assert in_legend[-1] == "tiled"
    assert all(abs(text.get_rotation()) > 10 for text in texts)
    gaps = [line for line in axes.lines if list(line.get_xdata()) == [10, 10]]
    assert [list(line.get_ydata()) for line in gaps] == [[20, 100]]


@pytest.mark.usefixtures("_matplotlib")
def test_every_measured_value_keeps_its_tick():
    from convprof.render.charts.figure import figure_of

    xs = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
    series = Series("tiled", tuple(Point(x, x) for x in xs))
    figure = figure_of(Chart("t", "x", "y", (series,), x_log=True))
    figure.draw_without_rendering()
    labels = [label.get_text().strip() for label in figure.axes[0].get_xticklabels()]
    assert labels == [str(x) for x in xs]
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    lines = [label.get_text().count("\n") for label in figure.axes[0].get_xticklabels()]
    for line in (0, 1):
        same = [box for box, each in zip(boxes, lines, strict=True) if each == line]
        assert not any(a.x1 > b.x0 for a, b in itertools.pairwise(same))


def test_text_in_an_svg_is_text():
    pytest.importorskip("matplotlib")
    root = ET.fromstring(picture.drawn(CHART, ".svg"))  # noqa: S314  # our own
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a label", "one", "two", "a machine"} <= texts


def test_dollar_signs_in_a_name_are_no_formula():
    pytest.importorskip("matplotlib")
    name = "$\\frac$ costs $5"
    chart = Chart("t", "x", "y", (Series(name, (Point(1, 2), Point(2, 3))),))
    assert name in picture.drawn(chart, ".svg").decode()


def test_letters_that_the_font_lacks_are_drawn_without_a_warning():
    pytest.importorskip("matplotlib")
    chart = Chart("t", "x", "y", (Series("\N{CRAB}", (Point(1, 2), Point(2, 3))),))
    assert "\N{CRAB}" in picture.drawn(chart, ".svg").decode()
