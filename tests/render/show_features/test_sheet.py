from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.render.show_features import file
from convprof.studies.show_features.sheet import LONGEST_NAME, Frame, Panel, Section, file_name

pytest.importorskip("matplotlib", reason="the sheet needs matplotlib")

RANDOM = np.random.default_rng(0)


def panel(h=20, w=24, **more):
    return Panel("a title", RANDOM.standard_normal((h, w)), 2.0, signed=True, **more)


def sections(h=20, w=24):
    heat = panel(h, w, heat=RANDOM.random((h // 4, w // 4)), patch=4, frames=(Frame("1", 4, 0, 4),))
    kernels = [panel(h, w, kernel=RANDOM.random((3, 3))) for _ in range(16)]
    return [
        Section("one", "what it is " * 40, (panel(h, w), heat, panel(h, w, note="so " * 60))),
        Section("two", "", tuple(kernels), small=True),
    ]


def pixels(data):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("size", [(20, 24), (24, 20), (4, 200), (200, 4)])
def test_the_sheet_is_a_png_of_the_width_it_says(size):
    data = file.drawn("a picture", sections(*size), ".png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found = pixels(data)
    assert found.shape[1] == 1600
    assert 300 < found.shape[0] < 3000
    for border in (found[:, :30], found[:, -30:], found[:20], found[-5:]):
        assert border.min() == 255  # nothing reaches over the margin


@pytest.mark.parametrize(
    "title",
    [
        f"{file_name('W' * 200)} through convprof · halide-mullapudi · nhwc · 128 threads",
        "日本 $x_$ " + "long " * 60,
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_no_text_leaves_the_sheet_and_no_panel_covers_a_text(title):
    from convprof.render.show_features.figure import figure_of

    figure = figure_of(title, sections())
    figure.draw_without_rendering()
    texts = [text.get_window_extent() for text in figure.texts]
    boxes = [axes.get_window_extent() for axes in figure.axes]
    for number, box in enumerate(texts):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert not any(box.overlaps(other) for other in [*boxes, *texts[number + 1 :]])


def test_white_is_the_limit_and_grey_is_zero():
    values = np.zeros((10, 10))
    values[:5] = 3.0
    found = pixels(file.drawn("t", [Section("s", "", (Panel("p", values, 3.0, signed=True),))], ".png"))  # noqa: E501  # fmt: skip
    colours, counts = np.unique(found.reshape(-1, 3), axis=0, return_counts=True)
    greys = {tuple(map(int, colour)) for colour in colours[counts > 20_000]}
    assert greys == {(255, 255, 255), (128, 128, 128)}


def test_long_names_lose_their_middle():
    name = "a" * LONGEST_NAME
    assert file_name(f"folder/{name}") == name
    assert file_name(f"folder/{name}b.png") == f"{'a' * 15}...{'a' * 9}b.png"


def test_letters_that_the_font_has_not_make_no_noise(recwarn):
    assert file.drawn("日本 $x_$", [], ".png")
    assert list(recwarn) == []


def test_a_named_file_is_replaced_and_an_unnamed_one_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file.require(None) == "features.png"
    (tmp_path / "features.png").write_text("mine")
    with pytest.raises(InputError, match=r"exists here already; --output features.png replaces it"):
        file.require(None)
    assert file.require("features.png") == "features.png"
    file.write("t", sections(), "features.png")
    assert (tmp_path / "features.png").read_bytes().startswith(b"\x89PNG")


def test_names_and_the_extra_are_checked_before(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"--output x.pdf: the name ends in '.pdf'"):
        file.require("x.pdf")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'convprof\[plot\]'"):
        file.require(str(tmp_path / "x.png"))
