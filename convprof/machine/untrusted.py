"""Values out of JSON that anybody may have written: each is what it should be, or InputError."""

from __future__ import annotations

from typing import Any

from convprof.errors import InputError

_LARGEST = 1e30
_LONGEST = 200


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


def text(value: Any, longest: int = _LONGEST) -> str:
    """Return a short text that is printable: nothing in it can command a terminal."""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InputError("a text is missing, too long or not printable")
    return value


def positive(value: Any) -> float:
    """Return a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("a number is missing")
    if not 0 < value < _LARGEST:  # neither does NaN pass
        raise InputError("a number is not above 0 or not finite")
    return float(value)


def count(value: Any, least: int = 1) -> int:
    """Return an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("an integer is missing")
    if not least <= value < _LARGEST:
        raise InputError(f"an integer is below {least} or far too large")
    return value
