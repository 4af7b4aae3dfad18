"""A page of pictures and sentences: pictures have fixed columns, sentences wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.answer import answer_report
from convprof.render.columns import print_table
from convprof.render.console import hanging
from convprof.render.describe import problem_line
from convprof.studies.answer import Answer
from convprof.studies.explain import TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.problems import Problem
    from convprof.render.columns import Column, Row


WIDEST = 120
"""The most columns of pictures and sentences, even on a wider console."""
INDENT = 2
LAST = "ladder conv"
"""The command after the last page: it times the same ideas."""
GAP = 3
"""Cells between two pictures in a row."""


@dataclass(frozen=True)
class Block:
    """A picture with its caption."""

    caption: str
    lines: Sequence[Text]

    @property
    def width(self) -> int:
        """Cells across."""
        return max(len(self.caption), *(line.cell_len for line in self.lines), 0)


def counted(count: int, word: str) -> str:
    """Return ``1 row`` or ``1,008 rows``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


class Page:
    """A page, printed from top to bottom."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._topic = ""
        self.width = min(console.width, WIDEST) - INDENT
        """The most cells of a picture's width."""

    def title(self, topic: str, problem: Problem) -> None:
        """Print the first line of a page about a problem."""
        fields = {"kind": problem.kind, "descriptor": problem.descriptor, "name": problem.name}
        line = problem_line({**fields, **problem.dims()}, "")
        self.heading(topic, line)

    def heading(self, topic: str, text: str) -> None:
        """Print the first line of a page."""
        self._topic = topic
        self._wrapped(Text(f"{topic}: {text}", style="bold"), "")

    def section(self, text: str) -> None:
        """Print an empty line and a heading."""
        self._line(Text())
        self._wrapped(Text(text, style="bold"), "")

    def smaller(self, reduction: str) -> None:
        """Print what was cut from the convolution that was named; nothing if nothing was."""
        if reduction:
            self.prose(f"Shown is a smaller convolution that does the same: {reduction}.")

    def prose(self, text: str) -> None:
        """Print a sentence, wrapped between words."""
        self._wrapped(Text(text), "")

    def note(self, text: str) -> None:
        """Print a remark on the picture above or below, with the same indentation."""
        self._wrapped(Text(text, style="dim"), " " * INDENT)

    def lesson(self, text: str) -> None:
        """Print the lesson of the page."""
        self.section("What to take from this")
        self.prose(text)
        self._next()

    def check(self, text: str) -> None:
        """Print the check at the end of a page that begins with its lesson."""
        self.section(text)
        self._next()

    def _next(self) -> None:
        """Print the command for the page after this one."""
        topics = list(TOPICS)
        after = topics[topics.index(self._topic) + 1 :]
        command = f"explain {after[0]}" if after else LAST
        self._line(Text(f"next: convprof {command}"))

    def picture(self, lines: Sequence[Text]) -> None:
        """Print lines as they are, indented."""
        for line in lines:
            self._line(Text(" " * INDENT).append_text(line))

    def side_by_side(self, blocks: Sequence[Block]) -> None:
        """Print pictures side by side, as many in a row as fit."""
        row: list[Block] = []
        for block in blocks:
            taken = sum(each.width + GAP for each in row)
            if row and taken + block.width > self.width:
                self.picture(_joined(row))
                row = []
            row.append(block)
        self.picture(_joined(row))

    def table(self, title: str, columns: Sequence[Column[Row]], rows: Sequence[Row]) -> None:
        """Print a table after an empty line; columns that do not fit are left out."""
        self._line(Text())
        print_table(self._console, title, columns, rows)

    def _wrapped(self, text: Text, before: str) -> None:
        for line in text.wrap(self._console, self.width + INDENT - len(before)):
            self._line(Text(before).append_text(line))

    def _line(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _joined(blocks: Sequence[Block]) -> list[Text]:
    rows: list[list[Text]] = []
    for line in range(1 + max(len(block.lines) for block in blocks)):
        cells = []
        for block in blocks:
            parts = [Text(block.caption, style="italic"), *block.lines]
            text = parts[line].copy() if line < len(parts) else Text()
            text.pad_right(block.width - text.cell_len)
            cells.append(text)
        rows.append(cells)
    return [Text(" " * GAP).join(row) for row in rows]


# The list of topics.


def show(console: Console) -> None:
    """Print the topics, and the command for one."""
    console.print(Text("Worked examples with real numbers", style="bold"))
    width = max(map(len, TOPICS))
    for topic, summary in TOPICS.items():
        hanging(console, f"{' ' * INDENT}{topic:{width}}  ", summary)
    sentences = (
        f"{len(TOPICS)} topics, best read in this order; each ends with the next one.",
        "Most topics also explain a problem of your own: name it after the topic.",
    )
    answer_report(console, Answer(sentences, f"convprof explain {next(iter(TOPICS))}"))
