"""Consoles: data to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from typing import Literal

from rich.console import Console
from rich.text import Text

Color = Literal["auto", "always", "never"]

PIPED_WIDTH = 400
"""Rich shortens cells to fit 80 columns when stdout is no terminal, which destroys data: rows that
go to a file or a pipe get all the room they want."""


def stdout(color: Color = "auto") -> Console:
    """Return the console for data; full-width rows when stdout is no terminal."""
    terminal = sys.stdout.isatty()
    width = None if terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(
        width=width,
        highlight=False,
        soft_wrap=False,
        no_color=_no_color(color),
        color_system=None if color == "never" else "auto",
        force_terminal=True if color == "always" else None,
    )


def stderr(color: Color = "auto") -> Console:
    """Return the console for progress, warnings and errors."""
    return Console(
        stderr=True,
        highlight=False,
        no_color=_no_color(color),
        color_system=None if color == "never" else "auto",
        force_terminal=True if color == "always" and sys.stderr.isatty() else None,
    )


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print lines of prose: broken between words in a terminal, whole in a pipe."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=not console.is_terminal)


def _no_color(color: Color) -> bool | None:
    if color == "never":
        return True
    return False if color == "always" else None  # None: Rich honours NO_COLOR itself
