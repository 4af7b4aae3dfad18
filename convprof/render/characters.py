"""Texts for a stream whose encoding lacks some characters."""

from __future__ import annotations

import re
import unicodedata

_ASCII = {
    "±": "+/-", "·": "|", "\u00d7": "x", "µ": "u", "√": "sqrt", "²": "^2", "³": "^3", "ᵀ": "^T",
    "…": "...", "\u2013": "-", "—": "-", "→": "->", "↓": "v", "≤": "<=", "≥": ">=", "≠": "!=",
    "─": "-", "│": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+",
    "┴": "+", "┼": "+", "━": "-", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "•": "*",
    "\u2018": "'", "\u2019": "'", "“": '"', "”": '"',
}  # fmt: skip
"""Replacements of characters: one ASCII character where the layout of lines needs the width."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def encodable(text: str, encoding: str | None, errors: str | None = "strict") -> str:
    """Return the text with every character replaced that ``encoding`` lacks.

    Accents are dropped, and characters without a similar one in ASCII become ``?``.
    """
    if text.isascii() or not encoding:
        return text
    try:
        text.encode(encoding, errors or "strict")
    except UnicodeError:
        return "".join(_replaced(character, encoding) for character in text)
    except LookupError:  # an encoding that Python does not support
        return text
    return text


def _replaced(character: str, encoding: str) -> str:
    if _has(encoding, character):
        return character
    spelled = _ASCII.get(character)
    if spelled is None:
        plain = unicodedata.normalize("NFKD", character)
        spelled = "".join(part for part in plain if part.isascii()) or "?"
    return spelled


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeError:
        return False
    return True


def json_in_ascii(text: str) -> str:
    r"""Return a JSON text with ``\u`` escapes: the same values, in characters of any encoding."""
    return _NOT_ASCII.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
