"""Colours that colour-blind readers can tell apart, always with a second distinction."""

from __future__ import annotations

from dataclasses import dataclass


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


COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008, "Color Universal Design", without the yellow that white paper swallows."""
BLACK = "#000000"
_GLYPHS = "ox+*#@%&=$^vsdABCDEFGHIJKLMNPQRTUVWYZ"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 3))


def look(index: int) -> Look:
    """Return the look of the series with that number; glyphs repeat after some thirty of them."""
    return Look(
        COLORS[index % len(COLORS)],
        _GLYPHS[index % len(_GLYPHS)],
        _MARKERS[index % len(_MARKERS)],
        _DASHES[index % len(_DASHES)],
    )


def terminal_color(color: str) -> str:
    """Return a style for Rich; black is the terminal's own colour, which any background shows."""
    return "default" if color == BLACK else color
