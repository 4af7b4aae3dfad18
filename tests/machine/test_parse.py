from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.codegen.nodes import cpu_list
from convprof.machine.sources import integer, size_bytes

LIMIT = 1 << 36


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48K", 48 << 10),
        ("2048K\n", 2 << 20),
        ("266240K", 260 << 20),
        ("32M", 32 << 20),
        ("1g", 1 << 30),
        ("65536", 65536),
        ("0K", None),
        ("-32K", None),
        ("K", None),
        ("", None),
        (None, None),
        ("99999999999999999999K", None),
        ("999999999K", None),
        ("1.5M", None),
        ("\ufffd\ufffd", None),
    ],
)
def test_sizes_are_bytes_or_unknown(text, expected):
    assert expected == size_bytes(text, high=LIMIT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-3,8\n", (0, 1, 2, 3, 8)),
        ("5", (5,)),
        ("3,1", (1, 3)),
        ("\n", ()),
        (None, None),
        ("3-1", None),
        ("-1", None),
        ("0-", None),
        ("0-99999999999", None),
        ("0-3;5", None),
    ],
)
def test_cpu_lists_are_sorted_or_unknown(text, expected):
    assert expected == cpu_list(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" 7\n", 7), ("0xd0c", 0xD0C), ("-1", None), ("x", None), ("9" * 5000, None), (None, None)],
)
def test_integers_are_in_range_or_unknown(text, expected):
    assert expected == integer(text)


@given(st.text())
def test_no_text_raises(text):
    integer(text)
    cpu_list(text)
    size_bytes(text, high=LIMIT)


@given(st.sets(st.integers(0, 300)))
def test_a_written_list_reads_back(cpus):
    assert tuple(sorted(cpus)) == cpu_list(",".join(map(str, cpus)))
