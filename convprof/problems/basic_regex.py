"""POSIX basic regular expressions for ``--match=`` of shape files, in time linear in the text.

benchdnn matches with ``regcomp`` and its basic syntax. A file may come from a stranger, and
Python's ``re`` needs exponential time for some expressions, so one line could stop the whole run.
Here an expression becomes a nondeterministic automaton whose sets of states are followed one
character at a time (Thompson 1968) and remembered.
"""

from __future__ import annotations

from convprof.errors import DescriptorError
from convprof.problems.basic_regex_syntax import Choice, Edge, Node, Repeat, Row, Symbol, parse
from convprof.problems.checks import shown

MOST_CHARACTERS = 200
MOST_STATES = 2000
"""Repeats are written out, and nested ones multiply."""
MOST_WORK = 3_000_000
"""States visited over all texts, some seconds of work: files have up to 100,000 texts."""
_MOST_REMEMBERED = 20_000


class BasicRegex:
    """A compiled expression. Raises DescriptorError naming what is wrong with it."""

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise DescriptorError(f"{shown(text)}: must have at most {MOST_CHARACTERS} characters")
        self._text = text
        self._symbols: list[Symbol | None] = []
        """By state: the symbol that leads to the next state; None where ``_free`` does."""
        self._free: list[list[tuple[str, int]]] = []
        """By state: the states reached without a character, and the edge of the text that each
        needs."""
        self._start = self._state()
        self._end = self._build(parse(text), self._start)
        self._work = 0
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._first = self._reached([self._start], "^")
        self._later = self._reached([self._start], "")

    def search(self, text: str) -> bool:
        """Whether the expression matches anywhere in the text.

        DescriptorError when the expression is such that all texts together take too long.
        """
        states = self._first
        for char in text:
            if self._end in states:
                return True
            key = states, char
            following = self._steps.get(key)
            if following is None:
                following = self._step(states, char)
            states = following
        return self._end in self._reached(states, "$" if text else "^$")

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        if len(self._steps) >= _MOST_REMEMBERED:
            self._steps.clear()
        self._work += len(states)
        if self._work > MOST_WORK:
            raise DescriptorError(f"--match={shown(self._text)}: takes too long; simplify it")
        moved = [
            state + 1
            for state in states
            if (symbol := self._symbols[state]) is not None and symbol.has(char)
        ]
        following = self._reached(moved, "") | self._later
        self._steps[states, char] = following
        return following

    def _reached(self, states: list[int] | frozenset[int], edges: str) -> frozenset[int]:
        """Return all states reached without another character, at these edges of the text."""
        seen, waiting = set(states), list(states)
        while waiting:
            for edge, target in self._free[waiting.pop()]:
                if target not in seen and (not edge or edge in edges):
                    seen.add(target)
                    waiting.append(target)
        return frozenset(seen)

    def _state(self) -> int:
        if len(self._symbols) >= MOST_STATES:
            raise DescriptorError(f"{shown(self._text)}: its repeats are too many")
        self._symbols.append(None)
        self._free.append([])
        return len(self._symbols) - 1

    def _build(self, node: Node, start: int) -> int:
        """Add the states of a part that begins in ``start``; return the one in which it ends."""
        if isinstance(node, Symbol):
            before, after = self._after(start), self._state()
            self._symbols[before] = node
            return after
        if isinstance(node, Edge):
            return self._after(start, node.mark)
        if isinstance(node, Repeat):
            return self._repeat(node, start)
        if isinstance(node, Row):
            for part in node.parts:
                start = self._build(part, start)
            return start
        return self._choice(node, start)

    def _after(self, start: int, edge: str = "") -> int:
        """Add a state that is reached without a character."""
        after = self._state()
        self._free[start].append((edge, after))
        return after

    def _joined(self, states: list[int]) -> int:
        """Add a state that all of these lead to."""
        after = self._state()
        for state in states:
            self._free[state].append(("", after))
        return after

    def _choice(self, node: Choice, start: int) -> int:
        return self._joined([self._build(part, self._after(start)) for part in node.parts])

    def _repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.least):
            start = self._build(node.part, start)
        if node.most is None:
            loop = self._after(start)
            self._free[self._build(node.part, loop)].append(("", loop))
            return self._after(loop)
        leaving = [start]
        for _ in range(node.most - node.least):
            leaving.append(self._build(node.part, leaving[-1]))
        return self._joined(leaving)
