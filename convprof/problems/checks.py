"""Checks of every problem: sizes, pairs of sizes, and the memory that they need."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from convprof.errors import DescriptorError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_SIZE = 2**31 - 1  # the libraries we compare with index one dimension with 32 signed bits
MAX_ELEMENTS = 2**48  # 1 PiB of f32: beyond any address space a CPU offers today


def size(field: str, value: Any, least: int = 1) -> int:
    """Return a size as a plain int in ``[least, 2**31 - 1]``.

    Raises ProblemError naming the field and the value.
    """
    try:
        number = int(operator.index(value))  # of True and of named constants too: plain digits
    except TypeError:
        raise ProblemError("must be a whole number", field=field, value=shown(value)) from None
    if number < least:
        raise ProblemError(f"must be at least {least}", field=field, value=shown(number))
    if number > MAX_SIZE:
        raise ProblemError(
            f"must be at most {MAX_SIZE} (2**31 - 1)", field=field, value=shown(number)
        )
    return number


def sizes(field: str, value: object, lengths: Sequence[int], least: int) -> tuple[int, ...]:
    """Return a tuple or list of sizes as a tuple whose length is one of ``lengths``.

    Raises ProblemError naming the field, the value and the expected form.
    """
    if not isinstance(value, tuple | list) or len(value) not in lengths:
        forms = {2: "(height, width)", 4: "(top, left, bottom, right)"}
        lengths_text = " or ".join(forms[length] for length in lengths)
        raise ProblemError(f"give {lengths_text}", field=field, value=shown(value))
    return tuple(size(field, item, least) for item in value)


def finite(**numbers: float | None) -> None:
    """Raise ProblemError for the first of the named numbers that is infinite or NaN."""
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise ProblemError(f"{name}={shown(number)}: must be finite")


def elements(tensor: str, shape: Sequence[int]) -> None:
    """Raise ProblemError when a tensor of this shape has more than 2**48 elements."""
    if math.prod(shape) > MAX_ELEMENTS:
        text = "x".join(map(str, shape))
        raise ProblemError(
            f"{tensor} of {text}: more than 2**48 elements; use smaller sizes or a smaller batch"
        )


def shown(value: object) -> str:
    """Return the value for an error message: on one line, and never longer than 60 characters."""
    if isinstance(value, int) and value.bit_length() > MAX_ELEMENTS.bit_length():
        return "-(a huge number)" if value < 0 else "(a huge number)"
    text = repr(value)
    longest = 60
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


# The name that a problem may carry: ``n"resnet_50:conv1"`` at the end of a descriptor.

MAX_NAME = 1000
"""Characters. oneDNN's own files name every network that has a shape: up to 603 characters."""


def check_name(name: object) -> str:
    """Return the name, or raise ProblemError when it could not be printed or read back.

    Control characters could rewrite a terminal's screen, and a double quote would end the
    name early in the descriptor.
    """
    if not isinstance(name, str):
        raise ProblemError(f"name={shown(name)}: must be text")
    if len(name) > MAX_NAME:
        raise ProblemError(f"name={shown(name)}: must have at most {MAX_NAME} characters")
    if not name.isprintable():
        raise ProblemError(f"name={shown(name)}: control characters are not allowed in a name")
    if '"' in name:
        raise ProblemError(f"name={shown(name)}: double quotes are not allowed in a name")
    return name


def read_name(text: str) -> str:
    """Return the name from what follows the ``n`` of a descriptor: quoted, or all the rest.

    A bare ``n`` is an empty name, as in benchdnn. Raises DescriptorError when a quote is open, or
    text follows it.
    """
    if not text.startswith('"'):
        return check_name(text)
    name, quote, rest = text[1:].partition('"')
    if not quote:
        raise DescriptorError(f"n{shown(text)}: the name's closing quote is missing")
    if rest:
        raise DescriptorError(f"{shown(rest)} follows the name: the name must come last")
    return check_name(name)


def quoted(name: str) -> str:
    """Return the end of a descriptor: ``n"name"``, or nothing when there is no name."""
    return f'n"{name}"' if name else ""
