"""A console that also keeps what it prints as values: tables with every column, and texts."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """A table with every column and row, whatever the width of the console."""

    title: str
    headings: tuple[str, ...]
    right: tuple[bool, ...]
    """Whether a column is aligned to the right."""
    rows: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...]
    """A style of Rich for each row, or an empty text."""


@dataclass(frozen=True, slots=True)
class RecordedText:
    """A paragraph, and its style for Rich."""

    text: str
    style: str = ""


Block = RecordedTable | RecordedText


class RecordingConsole(Console):
    """Prints like any console, and keeps the blocks in `blocks`."""

    def __init__(self, **options: Any) -> None:
        """`options`: as for a console of Rich."""
        self.blocks: list[Block] = []
        self._paused = False
        super().__init__(**options)

    def print(self, *objects: Any, style: Any = None, **options: Any) -> None:
        """Print; keep what has a text."""
        if not self._paused:
            self.blocks += _texts(objects, str(style or ""))
        with self.paused():
            super().print(*objects, style=style, **options)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Print without keeping."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @contextmanager
    def keeping(self, block: Block | None) -> Iterator[None]:
        """Keep a block instead of what is printed inside; None keeps nothing."""
        if block is not None and not self._paused:
            self.blocks.append(block)
        with self.paused():
            yield


def instead(console: Console, block: Callable[[], Block | None]) -> AbstractContextManager[None]:
    """Return a context inside which a recording console keeps `block` instead of the output."""
    return console.keeping(block()) if isinstance(console, RecordingConsole) else nullcontext()


def _texts(objects: tuple[Any, ...], style: str) -> list[Block]:
    blocks: list[Block] = []
    for each in objects:
        if isinstance(each, (str, Text)) and str(each).strip():
            own = str(each.style) if isinstance(each, Text) else ""
            blocks.append(RecordedText(str(each).strip("\n"), own or style))
    return blocks
