"""Families of problems: a problem with one of its sizes varied."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.problems.checks import MAX_SIZE, shown
from convprof.problems.gradients import BackwardData, BackwardWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.base import Problem


@dataclass(frozen=True, slots=True)
class Variable:
    """A size that can be varied."""

    meaning: str
    """What is set: `m = n = k`."""
    changes: Callable[[Any, int], dict[str, Any]]
    """The fields that a problem has for a value."""


def _channels(problem: Any, x: int) -> dict[str, Any]:
    """Vary both numbers of channels; a depthwise convolution stays depthwise."""
    return {"c": x, "k": x, "groups": x if problem.is_depthwise else problem.groups}


def _filter(problem: Any, x: int) -> dict[str, Any]:
    """Vary the filter, padded so that a stride of 1 keeps the image's size."""
    down, across = (dilation * (x - 1) for dilation in problem.dilation)
    pad = (down // 2, across // 2, down - down // 2, across - across // 2)
    return {"r": x, "s": x, "pad": pad}


VARIABLES: dict[str, dict[str, Variable]] = {
    "gemm": {
        "size": Variable("m = n = k", lambda _, x: {"m": x, "n": x, "k": x}),
        "batch": Variable("products", lambda _, x: {"batch": x}),
    },
    "conv2d": {
        "channels": Variable("c = k", _channels),
        "image": Variable("h = w, pixels", lambda _, x: {"h": x, "w": x}),
        "filter": Variable("r = s, padded", _filter),
        "batch": Variable("images", lambda _, x: {"n": x}),
    },
}
"""By kind of problem and name."""


def vary(problem: Problem, over: str, x: int) -> Problem:
    """Return the problem with one of its VARIABLES set; ProblemError if there is no such problem.

    It loses its name, which belongs to the shape it had.
    """
    if isinstance(problem, BackwardData | BackwardWeights):
        forward: Any = vary(problem.forward, over, x)
        return replace(problem, forward=forward)
    changes = VARIABLES[problem.kind][over].changes(problem, x)
    known: Any = problem  # of a kind that has variables, and so a name to replace
    varied: Problem = replace(known, name="", **changes)
    return varied


# Ranges of whole numbers: `32:2048:x2`, `64:512:+64`, `32,48,64`, and lists of those.

MOST_VALUES = 10_000
"""The most points of a range. They are counted before the range is built."""
FORMS = "use a:b:+step (64:512:+64), a:b:xfactor (32:2048:x2), numbers (32,48,64) or a mix"
_NUMBER = re.compile(r"[0-9]{1,10}")
_RANGE = re.compile(
    r"([0-9]{1,10}):([0-9]{1,10}):(?:\+([0-9]{1,10})|x([0-9]{1,6}(?:\.[0-9]{1,6})?))"
)


def parse_range(text: str, field: str = "range") -> tuple[int, ...]:
    """Return the numbers that a text means, each once, in ascending order, both ends included.

    A factor may be a fraction (`x1.5`); the values are rounded to whole numbers.

    Raises InputError of the field for another form, an end before its start, numbers
    below 1 or above 2**31 - 1, and more than 10,000 points.
    """
    try:
        return _numbers(text)
    except InputError as error:
        raise error.within(field, shown(text)) from None


def _numbers(text: str) -> tuple[int, ...]:
    numbers: set[int] = set()
    for part in text.split(","):
        values = _values(part.strip().lower())
        if len(numbers) + len(values) > MOST_VALUES:
            raise InputError(f"more than {MOST_VALUES:,} points; take larger steps")
        numbers.update(values)
    return tuple(sorted(numbers))


def _values(part: str) -> list[int]:
    if _NUMBER.fullmatch(part):
        return [_checked(part)]
    match = _RANGE.fullmatch(part)
    if match is None:
        raise InputError(f"{shown(part)} is not a range; {FORMS}")
    first, last = (_checked(match[k]) for k in (1, 2))
    if last < first:
        raise InputError(f"ends at {last} before it starts at {first}; swap them")
    if match[3]:
        return _steps(first, last, int(match[3]))
    return _factors(first, last, float(match[4]))


def _checked(digits: str) -> int:
    number = int(digits)
    if not 1 <= number <= MAX_SIZE:
        raise InputError(f"{digits} is not from 1 to {MAX_SIZE} (2**31 - 1)")
    return number


def _steps(first: int, last: int, step: int) -> list[int]:
    if step < 1:
        raise InputError("a step of 0 gives no range; use +1 or more")
    _check_count((last - first) // step + 1)
    return list(range(first, last + 1, step))


def _factors(first: int, last: int, factor: float) -> list[int]:
    if factor <= 1:
        raise InputError(f"x{factor:g} does not grow; use a factor above 1, such as x2")
    _check_count(math.floor(math.log(last / first) / math.log(factor)) + 2)
    values, value = [], float(first)
    while round(value) <= last:
        values.append(round(value))
        value *= factor
    return values


def _check_count(count: int) -> None:
    if count > MOST_VALUES:
        raise InputError(f"{count:,} points, more than {MOST_VALUES:,}; take larger steps")
