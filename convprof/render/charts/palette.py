"""Colours that colour-blind readers can tell apart, always with a marker or a dash as well.

A strategy has the same colour and marker in every chart: its place in the registry decides.
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
    """How one series is drawn."""

    color: str
    glyph: str
    """In a terminal."""
    marker: str
    """In a picture, in matplotlib's words."""
    dash: tuple[float, ...]
    """Lengths of lines and gaps in points; empty for an unbroken line."""
    hollow: bool = False
    """Whether the marker has an edge only."""


COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008, "Color Universal Design", without the yellow that white paper swallows."""
BLACK = "#000000"
ROOF = "#555555"
"""Of ceilings: no strategy has this grey."""
_GLYPHS = "ox+*#@%&=$^vsdABCDEFGHIJKLMNPQRTUVWYZ"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p", "h")
"""Ten of them with seven colours: seventy names until a colour has the same marker again."""
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 3))
_EXPECTED: tuple[float, ...] = (4, 2.5)
"""The dash of what was expected, whatever colour it has."""


_ROOF = Look(ROOF, _GLYPHS[0], "", ())


def numbered(index: int) -> Look:
    """Return the look with that number; glyphs repeat after some thirty of them."""
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
    """Return the looks of a chart's series, no two alike.

    The subject decides on colour and marker, the variant on the dash and on how the marker is
    filled. A subject that is no strategy gets another colour where its own one is taken. Glyphs
    are in the order of the series: the clearest ones first.
    """
    numbers: dict[str, int] = {}
    subjects = [one.subject or one.label for one in series if not one.roof]
    for subject in sorted(subjects, key=lambda name: name not in _strategies()):
        if subject not in numbers:
            numbers[subject] = _number(subject, numbers.values())
    chosen = []
    for index, one in enumerate(series):
        look = _ROOF if one.roof else _variant(numbers[one.subject or one.label], one)
        chosen.append(replace(look, glyph=_GLYPHS[index % len(_GLYPHS)]))
    return chosen


def terminal_color(color: str) -> str:
    """Return a style for Rich; black is the terminal's own colour, which any background shows."""
    return "default" if color in (BLACK, ROOF) else color


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
