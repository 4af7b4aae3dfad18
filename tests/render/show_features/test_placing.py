from __future__ import annotations

import numpy as np
import pytest

from convprof.render.show_features.placing import GAP, MARGIN, WIDTH, place, wrapped
from convprof.studies.show_features.sheet import Panel, Section


def section(h, w, count, *, small=False, note=""):
    panels = [Panel(str(k), np.zeros((h, w)), note=note if k else "") for k in range(count)]
    return Section("title", "caption", tuple(panels), small)


def rows(placed):
    found = {}
    for cell in placed.cells:
        found.setdefault(cell.y, []).append(cell)
    return list(found.values())


@pytest.mark.parametrize(
    ("h", "w", "small", "columns"),
    [(20, 30, False, 4), (30, 20, True, 8), (10, 25, False, 2), (10, 26, True, 4), (1, 1, False, 4)],  # noqa: E501
)  # fmt: skip
def test_flat_panels_get_more_room(h, w, small, columns):
    first, *rest = rows(place("t", [section(h, w, columns + 1, small=small)]))
    assert [len(first), *map(len, rest)] == [columns, 1]


@pytest.mark.parametrize("size", [(20, 30), (600, 3), (3, 600)])
def test_pictures_keep_their_shape_and_stay_inside(size):
    h, w = size
    placed = place("t", [section(h, w, 5), section(h, w, 9, small=True)])
    for cell in placed.cells:
        assert cell.width / cell.height == pytest.approx(w / h)
        assert cell.x >= MARGIN
        assert cell.x + cell.width <= WIDTH - MARGIN + 1e-6
        assert cell.y + cell.above + cell.height <= placed.height - GAP


def test_a_row_is_as_high_as_its_longest_note():
    (row,) = rows(place("t", [section(10, 10, 4, note="a long reason " * 20)]))
    assert len({cell.above for cell in row}) == 1
    assert row[0].lines == ()
    assert len(row[1].lines) > 3


def test_sections_follow_each_other():
    placed = place("t", [section(10, 10, 4), section(10, 10, 4)])
    above, below = rows(placed)
    assert above[0].y + above[0].above + above[0].height < placed.rules[1] < below[0].y
    assert [line.text for line in placed.lines] == ["t", "title", "caption", "title", "caption"]


def test_lines_are_broken_between_words():
    assert wrapped("one two three", 80, 10) == ("one two", "three")
    assert wrapped("", 80, 10) == ()
