"""What a section of ``sysinfo`` is made of, and how a document with gaps is read.

An unknown fact is None here. A key that the document lacks is as unknown as one that is null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from convprof import units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Row = tuple[str, str | None]


@dataclass(frozen=True)
class Section:
    """A title and what stands below it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    table: list[list[str | None]] = field(default_factory=list)
    """The first row is the header."""
    legend: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Lookup:
    """Reads a document whose parts may be missing."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __call__(self, path: str) -> Any:
        """Return what stands at ``machine.cpu.brand``; None for unknown."""
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, path: str, word: Callable[[Any], str] = str) -> str | None:
        """Return the fact in words; None for unknown."""
        value = self(path)
        return None if value is None else word(value)

    def text_or_none(self, path: str, word: Callable[[Any], str] = str) -> str | None:
        """Return a limit in words; where the facts around it are known, null is no limit."""
        known = self(path.rpartition(".")[0]) is not None
        return self.text(path, word) or ("none" if known else None)


def hertz(value: float) -> str:
    """Return ``2.75 GHz``."""
    return units.si(value, "Hz")


def count(number: float, thing: str) -> str:
    """Return ``1 core``, ``2 cores``, ``1.5 CPUs``."""
    return f"{number:g} {thing}{'' if number == 1 else 's'}"


def ranges(numbers: Iterable[int]) -> str:
    """Return ``0-3,8`` for 0, 1, 2, 3, 8, as Linux writes lists of CPUs."""
    ordered = enumerate(sorted(numbers))
    runs = [[n for _, n in run] for _, run in groupby(ordered, lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
