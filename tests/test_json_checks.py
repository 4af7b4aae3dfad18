"""Values of strangers: each reader takes what it is for, and refuses the rest in a few words."""

from __future__ import annotations

import pytest

from convprof import json_checks
from convprof.errors import InputError

HUGE = 10**40
NAN, INFINITY = float("nan"), float("inf")
REFUSED = {
    "mapping": [None, [], "x", 1],
    "array": [None, {}, "x", 1],
    "text": [None, 1, "a\x1b[2J", "a\nb", "a" * 201],
    "positive": [None, "1", True, 0, -1.0, NAN, INFINITY, HUGE],
    "number": [None, "1", True, -1, NAN, INFINITY, HUGE],
    "count": [None, 1.0, "1", True, 0, -1, HUGE],
    "words": [None, 1, "a" * 65_537],
    "tree": [NAN, INFINITY, -HUGE, object(), {"a": [NAN]}],
}
TAKEN = {
    "mapping": [{}, {"a": 1}],
    "array": [[], [1]],
    "text": ["", "größe"],
    "positive": [1, 0.5],
    "number": [0, 0.5],
    "count": [1, 7],
    "words": ["a b"],
    "tree": [None, True, 1, -2.5, "x", [], {"a": [{"b": "c"}]}],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in REFUSED.items() for v in vs])
def test_what_is_refused(name, value):
    with pytest.raises(InputError, match=r"^[a-z][^\n]{5,60}$"):
        getattr(json_checks, name)(value)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in TAKEN.items() for v in vs])
def test_what_is_taken_is_unchanged(name, value):
    assert getattr(json_checks, name)(value) == value


def test_what_is_not_printable_is_spelled_out():
    assert json_checks.words("a\x1b[2J") == r"a\x1b[2J"
    assert json_checks.tree({"\n": ["\t"]}) == {r"\n": [r"\t"]}


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_tree_has_few_levels():
    assert json_checks.tree(nested(32)) == nested(32)
    with pytest.raises(InputError, match="nested too deeply"):
        json_checks.tree(nested(33))


@pytest.mark.parametrize(
    ("data", "most", "reason"),
    [
        (b"[1]", 2, "larger than 2 bytes"),
        (b" " * 2_000_000, 1 << 20, "larger than 1 MiB"),
        (b"[1", 9, "it is not JSON"),
        (b"\xff", 9, "it is not JSON"),
        (b"[" * 100_000, 1 << 20, "it is not JSON"),
        (b"9" * 5_000, 1 << 20, "it is not JSON"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_is_not_decoded(data, most, reason):
    with pytest.raises(InputError, match=reason):
        json_checks.decoded(data, most)


def test_what_is_decoded():
    assert json_checks.decoded(b'{"a": [1, null]}', 16) == {"a": [1, None]}
