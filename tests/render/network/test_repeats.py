"""Blocks that repeat: which rows share one, under which name."""

from __future__ import annotations

import pytest

from convprof.render.network.repeats import Extent, grouped


def groups(text):
    """Return names with their counts of rows written as ``name=kind``; kinds tell layers apart."""
    rows = [tuple(word.split("=")) for word in text.split()]
    return [(g.name, len(g.rows)) for g in grouped(rows, lambda r: r[0], lambda r: r[1])]


def test_equal_blocks_share_rows():
    assert groups("stem=s l3.1.conv1=a l3.1.conv2=b l3.2.conv1=a l3.2.conv2=b fc=f") == [
        ("stem", 1), ("l3.1-2.conv1", 2), ("l3.1-2.conv2", 2), ("fc", 1),
    ]  # fmt: skip


def test_blocks_begin_where_their_number_changes():
    # From l0.relu on the layers repeat as well, but no block begins there.
    text = "l0.down=d l0.relu=r l1.conv=c l1.relu=r l2.conv=c l2.relu=r l3.conv=c l3.relu=r"
    assert groups(text) == [
        ("l0.down", 1), ("l0.relu", 1), ("l1-3.conv", 3), ("l1-3.relu", 3),
    ]  # fmt: skip


def test_a_number_that_occurs_twice_in_each_name():
    assert groups("b1/b1_conv=a b2/b2_conv=a") == [("b1-2/b1-2_conv", 2)]


def test_names_of_files_with_the_number_in_the_middle():
    text = "layer3/layer3.1/conv1/Conv=a layer3/layer3.2/conv1/Conv=a layer3/layer3.3/conv1/Conv=a"
    assert groups(text) == [("layer3/layer3.1-3/conv1/Conv", 3)]


@pytest.mark.parametrize(
    "text",
    [
        "l1.conv=a l2.conv=b",  # different layers
        "l1.conv=a l3.conv=a",  # no layer 2 in between
        "l2.conv=a l1.conv=a",
        "conv=a conv1=a",
        "l1.a=a l1.b=b l2.b=a l2.a=b",
        "f.0=a f.1=b f.2=a f.3=b",  # each layer has a number of its own
    ],
)
def test_what_is_no_repeat(text):
    assert [count for _, count in groups(text)] == [1] * len(text.split())


def test_the_division_that_saves_most_rows():
    # Two equal layers in each block: the whole block is the repeat.
    text = "b0.l0=a b0.l1=a b1.l0=a b1.l1=a b2.l0=a b2.l1=a"
    assert groups(text) == [("b0-2.l0", 3), ("b0-2.l1", 3)]


@pytest.mark.parametrize(
    ("rows", "every", "shown"), [(30, False, 30), (31, False, 1), (31, True, 31)]
)
def test_only_long_tables_are_shortened_and_all_shows_every_row(rows, every, shown):
    names = [f"l{number}" for number in range(rows)]
    assert len(Extent(every=every).groups(names, str, lambda _: "same")) == shown
