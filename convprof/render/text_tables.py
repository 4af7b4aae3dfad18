"""Tables as texts for other programs: CSV and Markdown."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convprof.render.columns import Column, Row


def csv_text(rows: Callable[[], Iterable[dict[str, Any]]]) -> Iterator[str]:
    """Yield the heading of all columns and the rows; ``rows`` is called twice."""
    names = dict.fromkeys(name for row in rows() for name in row)
    writer = csv.DictWriter(_Lines(), sorted(names, key=_is_last), lineterminator="\n")
    yield writer.writeheader()
    for row in rows():
        yield writer.writerow(row)


def _is_last(name: str) -> bool:
    return name.startswith(LAST)


LAST = ("compared.", "limited_by", "roofline.")
"""Columns after the columns of all measurements."""


class _Lines:
    """A file for the writer of `csv` that returns each line."""

    @staticmethod
    def write(text: str) -> str:
        return text


def markdown_table(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> str:
    """Return every column of a table in Markdown."""
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + "|".join("---:" if c.justify == "right" else "---" for c in columns) + "|",
    ]
    lines += [
        "| " + " | ".join(c.cell(row).replace("|", "\\|") for c in columns) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"
