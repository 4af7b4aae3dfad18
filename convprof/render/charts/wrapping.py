"""Long lines of a picture, broken between their parts instead of between any two words."""

from __future__ import annotations

import textwrap

DOT = " · "
HARD = "\N{NO-BREAK SPACE}"


def wrapped(text: str, columns: int) -> list[str]:
    """Return the lines of a text; a part between dots stays whole if it fits a line.

    A number and its per cent sign are on one line.
    """
    lines: list[str] = []
    for part in text.split(DOT):
        if lines and len(lines[-1]) + len(DOT) + len(part) <= columns:
            lines[-1] += DOT + part
        else:
            lines += textwrap.wrap(part.replace(" %", f"{HARD}%"), columns)
    return [line.replace(HARD, " ") for line in lines]
