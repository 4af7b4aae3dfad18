"""JSON that anybody may have written: decoded up to a size, and each value checked.

A value is what it should be, or InputError says in a few words what is wrong. Everything that
convprof reads back (documents, journals, stored ceilings and choices) is read through this module.
"""

from __future__ import annotations

import json
from typing import Any

from convprof.errors import InputError

_LARGEST = 1e30
_LONGEST = 200
_LONGEST_WORDS = 1 << 16
_DEEPEST = 32
_MOST_PARTS = 4096
"""Caches, peaks or bandwidths in a file; a machine has a hundred of them."""


def decoded(data: bytes, most_bytes: int) -> Any:
    """Return the JSON value in ``data``; InputError above a size, and for what is not JSON."""
    if len(data) > most_bytes:
        raise InputError(f"larger than {_size(most_bytes)}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("it is not JSON") from None


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >> 20 else f"{count:,} bytes"


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise InputError("an object is missing")
    return value


def array(value: Any) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise InputError("a list is missing")
    return value


def short(value: Any) -> list[Any]:
    """Return a JSON array that is not longer than on any machine: caches, peaks, bandwidths."""
    items = array(value)
    if len(items) > _MOST_PARTS:
        raise InputError("a list is far too long")
    return items


def pair(value: Any) -> list[Any]:
    """Return a JSON array of two values, such as the ends of an interval."""
    items = array(value)
    if len(items) != 2:  # noqa: PLR2004
        raise InputError("a list does not have two values")
    return items


def text(value: Any, longest: int = _LONGEST) -> str:
    """Return a short text that is printable: nothing in it can command a terminal."""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InputError("a text is missing, too long or not printable")
    return value


def positive(value: Any) -> float:
    """Return a finite number above 0."""
    if not number(value):
        raise InputError("a number is not above 0")
    return float(value)


def count(value: Any, least: int = 1) -> int:
    """Return an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("an integer is missing")
    if not least <= value < _LARGEST:
        raise InputError(f"an integer is below {least} or far too large")
    return value


def number(value: Any) -> float:
    """Return a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("a number is missing")
    if not 0 <= value < _LARGEST:  # NaN does not pass either
        raise InputError("a number is below 0 or not finite")
    return float(value)


def finite(value: Any) -> float:
    """Return a finite number of either sign."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("a number is missing")
    if not abs(value) < _LARGEST:  # NaN does not pass either
        raise InputError("a number is not finite")
    return float(value)


def integer(value: Any) -> int:
    """Return an integer of either sign."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("an integer is missing")
    if not abs(value) < _LARGEST:
        raise InputError("an integer is far too large")
    return value


def words(value: Any) -> str:
    """Return a text of any origin, such as an error's: what is not printable is spelled out."""
    if not isinstance(value, str) or len(value) > _LONGEST_WORDS:
        raise InputError("a text is missing or too long")
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def tree(value: Any, depth: int = 0) -> Any:
    """Return JSON of which only the form is known: finite numbers, printable texts, few levels."""
    if depth > _DEEPEST:
        raise InputError("it is nested too deeply")
    if isinstance(value, str):
        return words(value)
    if isinstance(value, dict):
        return {words(key): tree(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [tree(item, depth + 1) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        if isinstance(value, (int, float)) and not abs(value) < _LARGEST:
            raise InputError("a number is not finite or far too large")
        return value
    raise InputError("a value is of an unknown kind")
