from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from convprof.problems import Conv2d, Gemm
from convprof.render.show_features import table
from convprof.studies.show_features.picture import Picture
from convprof.studies.show_features.step import Computed, Step

NOTHING = np.zeros(1, np.float32)
CONV = Step("box blur", Conv2d(c=1, h=264, w=226, k=1, r=9, s=9), NOTHING, NOTHING)
GEMM = Step("attention scores", Gemm(m=208, n=208, k=12), NOTHING, NOTHING)
REASON = "winograd needs a filter of at most 4 times the stride; got 9x9 stride 1"
STEPS = [
    Computed(CONV, "direct", 1, "nchw", REASON, NOTHING, (1e-3, 2e-3, 4e-3), 3e-7),
    Computed(GEMM, "auto", 2, None, None, NOTHING, (2e-4,), 0.0),
]
PICTURE = Picture("cat.png", (512, 600), np.zeros((3, 256, 218), np.float32))


def shown(width, steps=STEPS):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    table.show(console, PICTURE, steps, "out/features.png")
    return console.file.getvalue()


def test_a_row_per_problem_and_where_the_sheet_is():
    lines = [" ".join(line.split()) for line in shown(200).splitlines()]
    problem = "mb1ic1ih264iw226oc1oh256ow218kh9kw9ph0pw0"
    assert lines[0] == "features of cat.png, 512x600, shown 218x256"
    assert f"box blur {problem} direct* nchw 1 2,000 9.04 4.52 3e-07" in lines
    assert "attention scores 208x12:12x208 auto - 2 200 1.04 5.19 0" in lines
    assert f"* box blur: computed by direct: {REASON}" in lines
    assert lines[-1] == "sheet: out/features.png"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_narrow_terminal_keeps_filter_strategy_and_time(width):
    rows = shown(width).splitlines()[1:5]
    assert max(map(len, rows)) <= width
    assert {"filter", "strategy", "time"} <= set(rows[0].split())


def test_where_no_problem_fits_they_follow_as_commands():
    assert "convprof run 208x12:12x208 -s auto" not in shown(120)
    assert "convprof run 208x12:12x208 -s auto" in shown(60).splitlines()


def test_a_wrong_result_is_marked():
    wrong = Computed(CONV, "tiled", 1, "nchw", None, NOTHING, (1e-3,), 0.7)
    text = shown(200, [wrong])
    assert "7e-01 WRONG" in text
    assert "box blur: WRONG, max_rel_error 0.7" in text
    (row,) = table.to_json([wrong])
    assert row["status"] == "wrong"


def test_the_document_has_si_units():
    first, second = table.to_json(STEPS)
    assert first["time_s"] == {"median": 2e-3, "min": 1e-3, "samples": 3}
    assert (first["status"], first["refused"]) == ("ok", REASON)
    assert first["problem"]["descriptor"] == CONV.problem.descriptor
    assert (second["layout"], second["flops"]) == (None, 2 * 208 * 208 * 12)
