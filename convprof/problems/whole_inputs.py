"""Parts of a network's input that are whole numbers: ids of tokens, positions, masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

LARGEST = 2**24 - 1
"""f32 has every whole number up to here, and no larger one is rounded to it."""


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """The numbers ``start`` to ``stop`` of every image's row are whole, ``least`` to ``most``.

    With ``places``, only these of them.
    """

    name: str
    """The file's name of the input."""
    start: int
    stop: int
    least: int = -LARGEST
    most: int = LARGEST
    are_rows: bool = False
    """Whether the numbers are rows of a table, or of an item its last step; others are masks, or
    numbers to compute with."""
    places: tuple[int, ...] = ()
    """From ``start`` on; empty for all."""

    def draw(self, x: Array, random: np.random.Generator) -> None:
        """Write random rows or steps, or a mask that leaves out nothing, to an input in f32."""
        rows = x.reshape(len(x), -1)[:, self.start : self.stop]
        shape = rows[:, self._places].shape
        if self.are_rows:
            rows[:, self._places] = random.integers(self.least, self.most, shape, endpoint=True)
        else:
            rows[:, self._places] = 1

    def check(self, x: Array) -> None:
        """Raise ProblemError for numbers of an input in f32 that are not allowed."""
        part = x.reshape(len(x), -1)[:, self.start : self.stop][:, self._places]
        least, most = part.min(), part.max()
        if least < self.least or most > self.most:
            wrong = least if least < self.least else most
            rows = "; they number rows of a table or steps" if self.are_rows else ""
            raise ProblemError(
                f"{shown(self.name)} has {wrong:.0f}: its numbers are {self.least} to "
                f"{self.most}{rows}"
            )
        if not np.array_equal(part, np.floor(part)):
            raise ProblemError(f"{shown(self.name)} has numbers that are not whole")

    @property
    def _places(self) -> list[int] | slice:
        return [*self.places] if self.places else slice(None)


def check(whole: Sequence[WholeNumbers], x: Array) -> None:
    """Raise ProblemError if an input does not have the whole numbers that it must have."""
    for numbers in whole:
        numbers.check(x)
