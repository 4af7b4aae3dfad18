from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # types are read from annotations
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from convprof.errors import InputError
from convprof.json_records import record, records
from convprof.results import plain


@dataclass(frozen=True)
class Inner:
    name: str
    ends: tuple[float, int]


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    count: int
    share: float | None
    inner: Inner
    several: tuple[Inner, ...]
    listed: list[str]
    by_name: dict[str, float]
    anything: Mapping[str, Any]
    flag: bool = False
    words: tuple[str, ...] = field(default_factory=tuple)


INNER = Inner("x", (0.5, 2))
OUTER = Outer("a", 3, None, INNER, (INNER, INNER), ["y"], {"z": 1.5}, {"k": [1, "2", None]}, True)


def test_what_was_written_is_read():
    assert record(Outer, plain(OUTER)) == OUTER
    assert records(Inner, plain([INNER, INNER])) == (INNER, INNER)


def test_defaults_and_unknown_fields():
    fields = plain(OUTER)
    del fields["flag"], fields["words"]
    assert record(Outer, {**fields, "later": 1}).flag is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "c"}, "kind: is not one of a, b"),
        ({"kind": 1}, "kind: is not one of a, b"),
        ({"count": 1.5}, "count: an integer is missing"),
        ({"count": True}, "count: an integer is missing"),
        ({"count": 10**40}, "count: an integer is far too large"),
        ({"share": "1"}, "share: a number is missing"),
        ({"share": float("inf")}, "share: a number is not finite"),
        ({"inner": {"name": "x"}}, "inner: ends is missing"),
        ({"inner": {"name": "x", "ends": [1]}}, "inner: ends: does not have 2 values"),
        ({"several": {}}, "several: a list is missing"),
        ({"listed": [1]}, "listed: a text is missing or too long"),
        ({"by_name": {"z": None}}, "by_name: a number is missing"),
        ({"anything": 3}, "anything: an object is missing"),
        ({"flag": 1}, "flag: true or false is missing"),
    ],
)
def test_a_value_of_another_type_is_named(change, message):
    with pytest.raises(InputError) as raised:
        record(Outer, {**plain(OUTER), **change})
    assert str(raised.value) == message
