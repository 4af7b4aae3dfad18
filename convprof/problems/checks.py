"""What every problem checks: its sizes, its pairs and how much memory they stand for."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from convprof.errors import ProblemError

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
        raise ProblemError(f"{field}={shown(value)}: must be a whole number") from None
    if number < least:
        raise ProblemError(f"{field}={shown(number)}: must be at least {least}")
    if number > MAX_SIZE:
        raise ProblemError(f"{field}={shown(number)}: must be at most {MAX_SIZE} (2**31 - 1)")
    return number


def sizes(field: str, value: object, lengths: Sequence[int], least: int) -> tuple[int, ...]:
    """Return a tuple or list of sizes as a tuple whose length is one of ``lengths``.

    Raises ProblemError naming the field, the value and the form that is wanted.
    """
    if not isinstance(value, tuple | list) or len(value) not in lengths:
        forms = {2: "(height, width)", 4: "(top, left, bottom, right)"}
        wanted = " or ".join(forms[length] for length in lengths)
        raise ProblemError(f"{field}={shown(value)}: give {wanted}")
    return tuple(size(field, item, least) for item in value)


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
