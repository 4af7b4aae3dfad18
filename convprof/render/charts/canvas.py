"""A grid of character cells to draw on, and the Rich text that comes of it."""

from __future__ import annotations

from rich.text import Text

EMPTY = " "


class Canvas:
    """`width` x `height` cells, (0, 0) at the top left. What lies outside is not drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[(EMPTY, "")] * width for _ in range(height)]
        self._taken: set[tuple[int, int]] = set()

    def put(self, x: int, y: int, text: str, style: str = "", *, keep: bool = False) -> None:
        """Write a text from a cell to the right; with `keep` only where nothing is written yet."""
        for offset, character in enumerate(text):
            column = x + offset
            if not (0 <= column < self.width and 0 <= y < self.height):
                continue
            if keep and self._cells[y][column][0] != EMPTY:
                continue
            self._cells[y][column] = (character, style)

    def take(self, x: int, y: int, width: int = 1) -> None:
        """Mark cells that no label may cover."""
        self._taken.update((x + offset, y) for offset in range(width))

    def free(self, x: int, y: int, width: int) -> bool:
        """Whether a label of that width fits into the grid there and covers nothing marked."""
        inside = x >= 0 and x + width <= self.width and 0 <= y < self.height
        return inside and all((x + offset, y) not in self._taken for offset in range(width))

    def label(self, places: list[tuple[int, int]], text: str, style: str = "") -> bool:
        """Write a label at the first place that is free; whether there was one."""
        for x, y in places:
            if self.free(x, y, len(text)):
                self.put(x, y, text, style)
                self.take(x - 1, y, len(text) + 2)
                return True
        return False

    def row(self, y: int) -> Text:
        """Return one row as text, blanks at its end left out."""
        line = Text()
        for character, style in self._cells[y]:
            line.append(character, style)
        line.rstrip()
        return line
