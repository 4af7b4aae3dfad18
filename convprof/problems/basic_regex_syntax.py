r"""The syntax of POSIX basic regular expressions, read into a tree; ``basic_regex`` searches.

``.``, ``*``, ``[a-z]``, ``^`` and ``$`` are special; ``\(``, ``\)``, ``\{2,3\}`` and glibc's
``\|``, ``\+``, ``\?`` are with a backslash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from convprof.errors import DescriptorError
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_REPEATS = 255


def _is_punct(char: str) -> bool:
    return char.isprintable() and not char.isalnum() and not char.isspace()


_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": str.isalpha,
    "digit": str.isdecimal,
    "alnum": str.isalnum,
    "space": str.isspace,
    "upper": str.isupper,
    "lower": str.islower,
    "punct": _is_punct,
}


class Symbol(NamedTuple):
    """One character out of ranges and classes, or any other; ``.`` is a negated empty set."""

    negated: bool
    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()

    def has(self, char: str) -> bool:
        """Whether the character is meant."""
        member = any(low <= char <= high for low, high in self.ranges) or any(
            _CLASSES[name](char) for name in self.classes
        )
        return member != self.negated


class Edge(NamedTuple):
    """``^``, the beginning of the text, or ``$``, its end."""

    mark: str


class Row(NamedTuple):
    """Parts one after the other."""

    parts: list[Node]


class Choice(NamedTuple):
    """One of several parts."""

    parts: list[Node]


class Repeat(NamedTuple):
    """A part that is repeated ``least`` to ``most`` times; None: without limit."""

    part: Node
    least: int
    most: int | None


Node: TypeAlias = "Symbol | Edge | Row | Choice | Repeat"
ANY = Symbol(negated=True)


_BEGIN, _END, _DOT = "^", "$", "."
_OPEN, _CLOSE, _OR, _BRACE = "\\(", "\\)", "\\|", "\\{"
_COUNTS: dict[str, tuple[int, int | None]] = {"*": (0, None), "\\+": (1, None), "\\?": (0, 1)}


def parse(text: str) -> Node:
    """Return the tree of an expression; DescriptorError naming what is wrong with it."""
    try:
        return _Parser(text).expression()
    except RecursionError:
        raise DescriptorError(f"{shown(text)}: too many nested groups") from None


class _Parser:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def expression(self) -> Node:
        """Return the whole expression."""
        node = self._alternatives()
        if self._at < len(self._tokens):
            raise self._wrong("\\) without \\(")
        return node

    def _wrong(self, what: str) -> DescriptorError:
        return DescriptorError(f"{shown(self._text)}: not a basic regular expression: {what}")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _alternatives(self) -> Node:
        parts = [self._sequence()]
        while self._peek() == _OR:
            self._at += 1
            parts.append(self._sequence())
        return Choice(parts) if len(parts) > 1 else parts[0]

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while (token := self._peek()) and token not in (_OR, _CLOSE):
            self._at += 1
            first = not parts or isinstance(parts[-1], Edge)
            if token == _BEGIN and not parts:
                parts.append(Edge("^"))
            elif token == _END and self._peek() in ("", _OR, _CLOSE):
                parts.append(Edge("$"))
            elif first or not (token in _COUNTS or token.startswith(_BRACE)):
                parts.append(self._single(token))
            else:
                parts[-1] = Repeat(parts[-1], *self._counts(token))
        return Row(parts)

    def _single(self, token: str) -> Node:
        if token == _OPEN:
            inner = self._alternatives()
            if self._peek() != _CLOSE:
                raise self._wrong("\\( without \\)")
            self._at += 1
            return inner
        if token == _DOT:
            return ANY
        if token[0] == "[" and len(token) > 1:
            return self._set(token[1:-1])
        if len(token) > 1 and token[1] in "123456789":
            raise self._wrong("back-references are not supported")
        return Symbol(False, ((token[-1], token[-1]),))  # a character, or an escaped one

    def _counts(self, token: str) -> tuple[int, int | None]:
        if token in _COUNTS:
            return _COUNTS[token]
        least, comma, most = token[2:-2].partition(",")
        numbers = [int(part) if part.isdecimal() else None for part in (least, most)]
        low, high = numbers[0], numbers[1] if comma else numbers[0]
        if low is None or (most and numbers[1] is None) or (high is not None and high < low):
            raise self._wrong(f"{shown(token)} is not a number of repeats")
        if max(low, high or 0) > MOST_REPEATS:
            raise self._wrong(f"{shown(token)}: more than {MOST_REPEATS} repeats")
        return low, high

    def _set(self, text: str) -> Symbol:
        negated = text.startswith("^")
        rest = text.removeprefix("^")
        ranges: list[tuple[str, str]] = []
        classes: list[str] = []
        while rest:
            name = rest[2:].partition(":]")[0] if rest.startswith("[:") else ""
            if name:
                if name not in _CLASSES:
                    raise self._wrong(f"{shown(name)} is no class; known: {' '.join(_CLASSES)}")
                classes.append(name)
                rest = rest[len(name) + 4 :]
            elif len(rest) > 2 and rest[1] == "-":  # noqa: PLR2004  # a-z
                ranges.append((rest[0], rest[2]))
                rest = rest[3:]
            else:
                ranges.append((rest[0], rest[0]))
                rest = rest[1:]
        return Symbol(negated, tuple(ranges), tuple(classes))


def _tokens(text: str) -> Iterator[str]:
    """Yield characters, escaped characters, sets and numbers of repeats, each whole."""
    at = 0
    while at < len(text):
        end = at + 1
        if text[at] == "\\":
            end = at + 2
            if text[at:end] == _BRACE:
                close = text.find("\\}", end)
                if close < 0:
                    raise DescriptorError(f"{shown(text)}: \\{{ without \\}}")
                end = close + 2
        elif text[at] == "[":
            end = _set_end(text, at)
        if end > len(text):
            raise DescriptorError(f"{shown(text)}: nothing follows the last backslash")
        yield text[at:end]
        at = end


def _set_end(text: str, at: int) -> int:
    """Return where the ``[...]`` at a position ends; a ] that comes first belongs to the set."""
    first = at + 1 + text.startswith("^", at + 1)
    end = first + text.startswith("]", first)
    while end < len(text) and text[end] != "]":
        close = text.find(":]", end + 2) if text.startswith("[:", end) else -1
        end = close + 2 if close >= 0 else end + 1
    if end >= len(text):
        raise DescriptorError(f"{shown(text)}: [ without ]")
    return end + 1
