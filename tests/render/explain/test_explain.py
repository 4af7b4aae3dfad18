"""The pages, to the letter, at 80 and 120 columns, with and without colour."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from convprof.codegen import isa as isas
from convprof.machine.peaks import Peak
from convprof.problems import Conv2d, parse
from convprof.render.explain import attention as attention_view
from convprof.render.explain import backward as backward_view
from convprof.render.explain import channels as channels_view
from convprof.render.explain import conv as conv_view
from convprof.render.explain import cycles as cycles_view
from convprof.render.explain import im2col as im2col_view
from convprof.render.explain import layout as layout_view
from convprof.render.explain import tile as tile_view
from convprof.render.explain import winograd as winograd_view
from convprof.render.explain.grid import Labels, fitting, grid, numbers, short
from convprof.render.explain.page import Block, Page, show
from convprof.strategies.conv import dense_tiles, register_tiles
from convprof.strategies.gemm import packed
from convprof.studies.explain import (
    TOPICS,
    attention,
    backward,
    channels,
    conv,
    im2col,
    layout,
    tile,
    winograd,
)
from convprof.studies.explain.cycles import Cost, CyclesPage, Rung
from convprof.studies.explain.here import Here

GOLDEN = Path(__file__).with_name("golden")
HERE = Here(
    "avx512", 16, 32, 64, line_assumed=False,
    caches=(("L1", 48 << 10), ("L2", 2 << 20), ("L3", 32 << 20)),
)  # fmt: skip
UNKNOWN = dataclasses.replace(HERE, line_assumed=True, caches=())
STEM = Conv2d(c=3, h=224, w=224, k=64, r=7, s=7, stride=(2, 2), pad=(3, 3), name="stem")
LAYER = Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1), name="layer")
DEPTHWISE = Conv2d(c=128, h=56, w=56, k=128, r=3, s=3, pad=(1, 1), groups=128)


def _winograd(problem, m):
    """Return the page with errors that do not depend on how this NumPy adds up."""
    page = winograd.winograd(problem, m, 0)
    counts = [
        dataclasses.replace(count, max_rel_error=error)
        for count, error in zip(page.counts, (2.5e-7, 3.5e-7, 4e-6, 5e-6), strict=False)
    ]
    return dataclasses.replace(page, counts=tuple(counts))


HZ = 3e9


def _cycles(hz):
    """Return a page of figures that are made up; the clock is unknown where ``hz`` is None."""
    known = hz is not None
    costs = tuple(
        Cost(bits, name, lanes, 4.0 if known else None, rate if known else None)
        for bits, name, lanes, rate in (
            (32, "scalar", 1, 2.0), (256, "256 bits", 8, 2.0), (512, "512 bits", 16, 1.0),
        )
    )  # fmt: skip
    rungs = tuple(
        Rung(label, cost.name, chains, threads, cost.expected(chains),
             Peak("avx512", cost.bits, "f32", threads, rate * 3e9, hz, rate if known else None, 2))
        for label, cost, chains, threads, rate in (
            ("one chain", costs[0], 1, 1, 0.5),
            ("12 chains", costs[0], 12, 1, 4.0),
            ("16 lanes", costs[2], 12, 1, 32.0),
        )
    )  # fmt: skip
    return CyclesPage("f32", "avx512", costs, rungs, 1, rungs[-1].peak, 1e9)


PAGES = {
    "im2col": lambda: (im2col_view, im2col.im2col(parse(im2col.DEFAULT), 0)),
    "im2col-stem": lambda: (im2col_view, im2col.im2col(STEM, 0)),
    "layout": lambda: (layout_view, layout.layout(parse(layout.DEFAULT), HERE)),
    "layout-layer": lambda: (layout_view, layout.layout(LAYER, HERE)),
    "tile": lambda: (tile_view, tile.tile(parse(tile.DEFAULT), HERE)),
    "tile-layer": lambda: (tile_view, tile.tile(LAYER, HERE)),
    "tile-depthwise": lambda: (tile_view, tile.tile(DEPTHWISE, HERE)),
    "tile-unknown": lambda: (tile_view, tile.tile(parse("64x64:64x64"), UNKNOWN)),
    "layout-unknown": lambda: (layout_view, layout.layout(parse(layout.DEFAULT), UNKNOWN)),
    "winograd": lambda: (winograd_view, _winograd(parse(winograd.DEFAULT), 2)),
    "winograd-bytes": lambda: (
        winograd_view,
        winograd.winograd(parse(winograd.DEFAULT), 4, 0, "int8"),
    ),
}
"""Pages that are compared with a file."""
CHECKED = {
    "attention": lambda: (attention_view, attention.attention(3, 0)),
    "attention-5": lambda: (attention_view, attention.attention(5, 0)),
    "backward": lambda: (backward_view, backward.backward(parse(backward.DEFAULT), 0)),
    "backward-stem": lambda: (backward_view, backward.backward(STEM, 0)),
    "channels": lambda: (channels_view, channels.channels(7)),
    "cycles": lambda: (cycles_view, _cycles(HZ)),
    "cycles-unknown": lambda: (cycles_view, _cycles(None)),
    "conv": lambda: (conv_view, conv.conv(parse(conv.DEFAULT), 0)),
    "conv-stem": lambda: (conv_view, conv.conv(STEM, 0)),
}
"""Pages with numbers that tests of their studies check."""
ALL = {**PAGES, **CHECKED}


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch):
    monkeypatch.setattr(isas, "find", lambda _: isas.ISAS["avx512"])
    for module in (dense_tiles, register_tiles, packed):
        monkeypatch.setattr(module, "l2_bytes", lambda: 2 << 20)


@functools.cache
def _page(name):
    return ALL[name]()


def printed(name, width, **options):
    text = io.StringIO()
    view, page = _page(name)
    view.show(Console(file=text, width=width, highlight=False, **options), page)
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_to_the_letter(name, width):
    expected = (GOLDEN / f"{name}-{width}.txt").read_text(encoding="utf-8")
    assert printed(name, width) == expected


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ALL)
def test_colour_adds_escapes_and_nothing_else(name, width):
    plain = printed(name, width)
    coloured = printed(name, width, force_terminal=True, color_system="truecolor")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    shown = re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines()
    # A terminal gets tables as Rich makes them: with spaces after a last column of texts.
    assert [line.rstrip() for line in shown] == plain.splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 400])
@pytest.mark.parametrize("name", ALL)
def test_no_line_is_wider_than_the_console_and_none_ends_in_spaces(name, width):
    lines = printed(name, width).splitlines()
    assert max(map(cell_len, lines)) <= min(width, 120)
    if width >= 80:  # narrower, Rich wraps the titles of tables and leaves a space
        assert all(line == line.rstrip() for line in lines)


def test_without_colour_letters_and_marks_still_distinguish_the_parts():
    text = printed("layout", 80)
    assert "a00 b00 c00 d00 a01" in text  # NHWC: channels side by side
    assert "*a11*b11" in text
    assert "· · · ·" in printed("im2col", 80)  # padding, no number has this mark
    assert {"#", "+", "·"} <= set(printed("tile-layer", 80))


@pytest.mark.parametrize("name", [name for name in ALL if name in TOPICS])
def test_every_page_ends_with_the_command_for_the_next(name):
    topics = [*TOPICS, None]
    after = topics[topics.index(name) + 1]
    command = f"explain {after}" if after else "ladder conv"
    assert printed(name, 80).splitlines()[-1] == f"next: convprof {command}"


def test_more_room_shows_more_of_a_wide_matrix():
    narrow, wide = (grid(numbers(np.arange(60).reshape(2, 30)), width=width) for width in (40, 120))
    assert [line.plain for line in narrow] == [
        "  0  1  2  3  4  5  6  7  8  9 10  … 29",
        " 30 31 32 33 34 35 36 37 38 39 40  … 59",
    ]
    assert "…" not in wide[0].plain


def test_a_long_matrix_is_cut_before_its_last_row():
    cells = numbers(np.arange(9).reshape(9, 1))
    labels = [Labels("t", [f"r{i}" for i in range(9)])]
    lines = [line.plain for line in grid(cells, most_rows=4, left=labels)]
    assert lines == [" t", "r0 0", "r1 1", " … …", "r8 8"]


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(3, 3, [0, 1, 2]), (9, 4, [0, 1, None, 8]), (9, 1, [0, None, 8]), (0, 3, [])],
)
def test_what_fits(count, most, expected):
    assert expected == fitting(count, most)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, "3"), (-0.5, "-0.5"), (1 / 24, "0.04167"), (-2e-14, "0"), (-0.0, "0")],
)
def test_short_numbers(value, expected):
    assert expected == short(value)


def test_pictures_are_side_by_side_if_there_is_room():
    text = io.StringIO()
    page = Page(Console(file=text, width=20))
    page.side_by_side([Block("one", [Text("x")]), Block("other", [Text("y"), Text("z")]),
                 Block("a wider one", [Text("w")])])  # fmt: skip
    assert text.getvalue() == "  one   other\n  x     y\n        z\n  a wider one\n  w\n"


def test_the_list_of_topics():
    text = io.StringIO()
    show(Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(TOPICS)]] == list(TOPICS)
    assert lines[-1] == "next: convprof explain conv"
    assert max(map(len, lines)) <= 80


def test_a_problem_that_winograd_makes_worse_says_so():
    text = io.StringIO()
    page = _winograd(Conv2d(c=3, h=3, w=3, k=3, r=3, s=3), 4)
    winograd_view.show(Console(file=text, width=120), page)
    words = " ".join(text.getvalue().split())
    reason = "because tiles at the edge are narrower or reach over it"
    assert f"multiplies 2.78 times as often, {reason}" in words
    assert "1 of 16 outputs are kept" in words
