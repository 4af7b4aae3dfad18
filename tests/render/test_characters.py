from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.render.characters import encodable, json_in_ascii


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "1.2 +/-0.1 us | 3x3 -- e? sqrt"),
        ("latin-1", "1.2 ±0.1 µs · 3\u00d73 -- é? sqrt"),
        ("cp1252", "1.2 ±0.1 µs · 3\u00d73 -- é? sqrt"),
        ("cp437", "1.2 ±0.1 µs · 3x3 ── é? √"),
        ("utf-8", "1.2 ±0.1 µs · 3\u00d73 ── é漢 √"),
        ("no-such-encoding", "1.2 ±0.1 µs · 3\u00d73 ── é漢 √"),
        (None, "1.2 ±0.1 µs · 3\u00d73 ── é漢 √"),
    ],
)
def test_only_what_an_encoding_lacks_is_replaced(encoding, expected):
    assert encodable("1.2 ±0.1 µs · 3\u00d73 ── é漢 √", encoding) == expected


def test_an_error_handler_of_the_users_is_left_alone():
    assert encodable("±", "ascii", "backslashreplace") == "±"


@given(
    st.text(st.characters(codec=None), max_size=20), st.sampled_from(["ascii", "cp437", "utf-8"])
)
def test_whatever_the_text_it_can_be_encoded(text, encoding):
    encodable(text, encoding).encode(encoding)


@given(st.recursive(st.text(max_size=9) | st.integers(), st.lists, max_leaves=5))
def test_json_in_ascii_has_the_same_values(value):
    text = json.dumps(value, ensure_ascii=False)
    assert json_in_ascii(text).isascii()
    assert json.loads(json_in_ascii(text)) == value
