"""Long dotted names in few columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from convprof.render import columns
from convprof.render.columns import Column

NAMES = ["stem", "layer1.0.conv1", "layer1.0.bn", "layer1.1.conv1", "encoder.layers.3.mlp.0", "fc"]
COLUMNS = [Column("layer", str, 1, "left"), Column("length", lambda name: str(len(name)), 2)]


def labels(width, rows=NAMES, *, in_order=True):
    shown = columns.line_columns(COLUMNS)
    lines = columns.fitting_lines(rows, str, shown, width, in_order=in_order)
    return [line.label for line in lines]


def test_whole_names_where_there_is_room():
    assert labels(80) == NAMES


def test_a_blocks_name_goes_above_its_layers():
    assert labels(30) == [
        "stem", "layer1.0", "  conv1", "  bn", "layer1.1", "  conv1", "encoder.layers.3", "  mlp.0",
        "fc",
    ]  # fmt: skip


def test_names_out_of_order_lose_their_beginning():
    long = "encoder.layers.11.self_attention.out_proj"
    assert labels(30, [long, "fc"], in_order=False) == [
        "….11.self_attention.out_proj",
        "fc",
    ]


def test_a_line_without_a_row_has_a_label_only():
    lines = columns.block_lines(NAMES, str)
    label, length = columns.line_columns(COLUMNS)
    assert (label.cell(lines[1]), length.cell(lines[1])) == ("layer1.0", "")
    assert (label.cell(lines[2]), length.cell(lines[2])) == ("  conv1", "14")


@given(st.text("ab.", max_size=60), st.integers(5, 40))
def test_a_shortened_name_fits_and_keeps_its_end(text, most):
    found = columns.shortened(text, most)
    assert len(found) <= most
    if len(text) <= most:
        assert found == text
    else:
        assert text.endswith(found.removeprefix("…"))
        assert len(found) == most


def test_the_indent_stays():
    assert columns.shortened("  " + "x" * 40, 10) == "  …" + "x" * 7
