"""The lines about the machine below saved tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document


def machine_lines(console: Console, document: Document) -> None:
    """Print the machine, and how cycles were counted."""
    cycles = describe.cycles_line(document.measurements)
    for line in filter(None, (describe.machine_line(document), cycles)):
        console.print(line, style="dim", soft_wrap=not console.is_terminal, markup=False)
