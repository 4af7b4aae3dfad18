"""Colours that colour-blind readers can tell apart, always with a marker or a dash as well.

A strategy has the same colour and marker in every chart, from its position in the registry.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from convprof.render.charts.chart import Series


@dataclass(frozen=True, slots=True)
class Look:
    """The appearance of one series."""

    color: str
    glyph: str
    """The character in a terminal."""
    marker: str
    """In a picture, as matplotlib's name."""
    dash: tuple[float, ...]
    """Lengths of lines and gaps in points; empty for an unbroken line."""
    hollow: bool = False
    """Whether the marker is hollow."""


COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008, "Color Universal Design", without the yellow, which is hardly visible on white
paper."""
BLACK = "#000000"
CEILING = "#555555"
"""Of ceilings: no strategy has this grey."""
_GLYPHS = "ox+*#@%&=$^vsdABCDEFGHIJKLMNPQRTUVWYZ"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p", "h")
"""Ten markers with seven colours: seventy names before a combination is repeated."""
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 3))
_EXPECTED: tuple[float, ...] = (4, 2.5)
"""The dash of expectations, in any colour."""


_CEILING = Look(CEILING, _GLYPHS[0], "", ())


def numbered(index: int) -> Look:
    """Return the look with a number; glyphs repeat after about thirty looks."""
    return Look(
        COLORS[index % len(COLORS)],
        _GLYPHS[index % len(_GLYPHS)],
        _MARKERS[index % len(_MARKERS)],
        _DASHES[index % len(_DASHES)],
    )


def look_of(subject: str) -> Look:
    """Return the look of a strategy, or of any other name: the same in every chart."""
    return numbered(_number(subject, ()))


def looks(series: Sequence[Series]) -> list[Look]:
    """Return the looks of a chart's series, all different.

    The subject decides colour and marker, the variant decides the dash and the filling of the
    marker. A subject that is not a strategy gets another colour if its own colour is taken. Glyphs
    are in the order of the series: the clearest glyphs first.
    """
    numbers: dict[str, int] = {}
    subjects = [one.subject or one.label for one in series if not one.ceiling]
    for subject in sorted(subjects, key=lambda name: name not in _strategies()):
        if subject not in numbers:
            numbers[subject] = _number(subject, numbers.values())
    chosen = []
    for index, one in enumerate(series):
        look = _CEILING if one.ceiling else _variant(numbers[one.subject or one.label], one)
        chosen.append(replace(look, glyph=_GLYPHS[index % len(_GLYPHS)]))
    return chosen


def terminal_color(color: str) -> str:
    """Return a style for Rich; black is the terminal's own colour, visible on any background."""
    return "default" if color in (BLACK, CEILING) else color


def _number(subject: str, taken: Collection[int]) -> int:
    """Return the number of a look: of a strategy by the registry, of another name by its hash."""
    known = _strategies()
    if subject in known:
        return known[subject]
    first = zlib.crc32(subject.encode())
    colors = {number % len(COLORS) for number in taken}
    markers = {number % len(_MARKERS) for number in taken}
    pairs = {(number % len(COLORS), number % len(_MARKERS)) for number in taken}
    numbers = range(first, first + len(COLORS) * len(_MARKERS))
    free = (
        (n for n in numbers if n % len(COLORS) not in colors and n % len(_MARKERS) not in markers),
        (n for n in numbers if n % len(COLORS) not in colors),
        (n for n in numbers if (n % len(COLORS), n % len(_MARKERS)) not in pairs),
    )
    return next(itertools.chain(*free), first)


def _strategies() -> dict[str, int]:
    from convprof.studies.strategy_order import places

    return places()


def _variant(number: int, series: Series) -> Look:
    look = numbered(number)
    if series.expected:
        return replace(look, dash=_EXPECTED, hollow=True)
    if not series.variant:
        return replace(look, dash=())
    dash = _DASHES[1 + (series.variant - 1) % (len(_DASHES) - 1)]
    marker = _MARKERS[(number + series.variant // 2) % len(_MARKERS)]
    return replace(look, dash=dash, marker=marker, hollow=bool(series.variant % 2))
