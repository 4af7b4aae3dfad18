"""Consoles: data to stdout, everything else to stderr.

Whether a stream is a terminal decides the layout: full-width rows and no cursor movements if it is
not, for all values of ``FORCE_COLOR``, ``TTY_COMPATIBLE``, ``TERM`` and ``COLUMNS``.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from convprof.render.characters import encodable
from convprof.render.recording import RecordedText, RecordingConsole, instead

Color = Literal["auto", "always", "never"]

PIPED_WIDTH = 400
"""Rich shortens cells to fit 80 columns when stdout is not a terminal, which destroys data: rows
that go to a file or a pipe get this width."""
_PIPED_HEIGHT = 25
_WIDEST = 100_000
LEAST_HANGING = 20
"""The fewest cells for a text next to its head; with fewer it begins at the margin."""
_DECIDED_HERE = ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables that Rich would read; its versions treat combinations of them differently."""
_OFF = ("", "0", "false")


def stdout(color: Color = "auto") -> Console:
    """Return the console for data; full-width rows when stdout is not a terminal."""
    return Console(**_options(color, stderr=False))


def recording(color: Color, *, stderr: bool, printed: bool) -> RecordingConsole:
    """Return a console for data that keeps the tables and texts; it prints only if ``printed``."""
    return RecordingConsole(**_options(color, stderr=stderr), quiet=not printed)


def stderr(color: Color = "auto") -> Console:
    """Return the console for progress, warnings and errors."""
    return Console(**_options(color, stderr=True))


def _options(color: Color, *, stderr: bool) -> dict[str, Any]:
    """Return the options for a console of Rich."""
    terminal = is_terminal(sys.stderr if stderr else sys.stdout)
    width = _columns()
    if width is None and not terminal:
        width = PIPED_WIDTH
    return {
        "stderr": stderr,
        "width": width,
        # Unless both are set, Rich reads the terminal's size, and uses 80 columns for a dumb
        # terminal.
        "height": None if terminal else _PIPED_HEIGHT,
        "highlight": False,
        "soft_wrap": False,
        "no_color": _no_color(color),
        "color_system": _color_system(color, terminal=terminal, stderr=stderr),
        "force_terminal": terminal,
        "_environ": {key: value for key, value in os.environ.items() if key not in _DECIDED_HERE},
    }


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal; a closed stream is not."""
    isatty = getattr(stream, "isatty", None)
    try:
        return bool(isatty and isatty())
    except (OSError, ValueError):
        return False


def _columns() -> int | None:
    """Return the width in the variable COLUMNS; None if it has no valid number."""
    text = os.environ.get("COLUMNS", "")
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(_WIDEST)):
        return None
    return min(int(text), _WIDEST) or None


def _color_system(
    color: Color, *, terminal: bool, stderr: bool
) -> Literal["auto", "standard"] | None:
    if color == "never":
        return None
    if terminal:
        return "auto"
    forced = color == "always" and not stderr
    return "standard" if forced or (color == "auto" and _forced()) else None


def _forced() -> bool:
    """Whether the environment requests colour without a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    force = os.environ.get("FORCE_COLOR", "").lower() not in _OFF
    return force or os.environ.get("TTY_COMPATIBLE") == "1"


def readable(console: Console, text: str) -> str:
    """Return the text as the console's stream will show it, for the width of tables."""
    return encodable(text, console.encoding)


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print lines of prose: wrapped in a terminal, not wrapped in a pipe."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=not console.is_terminal)


def draw(console: Console, lines: Text) -> None:
    """Print a chart made of characters; a recording console keeps no picture of this kind."""
    with instead(console, lambda: None):
        console.print(lines, soft_wrap=True)


def hanging(console: Console, head: str, text: str, *, style: str = "", bold: bool = False) -> None:
    """Print a text after its head; in a terminal further lines are indented below the text.

    In a pipe everything is one line. ``bold`` is for the head.
    """
    with instead(console, lambda: RecordedText(f"{head}{text}", style)):
        _hanging(console, head, text, style, f"{style} bold".strip() if bold else style)


def _hanging(console: Console, head: str, text: str, style: str, head_style: str) -> None:
    head, text = readable(console, head), readable(console, text)
    width = console.width - cell_len(head)
    if not console.is_terminal or width < LEAST_HANGING:
        console.print(Text.assemble((head, head_style), (text, style)), soft_wrap=True)
        return
    for number, line in enumerate(Text(text, style=style).wrap(console, width)):
        line.rstrip()
        before = head if not number else " " * cell_len(head)
        whole = Text.assemble((before, head_style), line)
        console.print(whole, no_wrap=True, crop=False)


def _no_color(color: Color) -> bool | None:
    if color == "never":
        return True
    return False if color == "always" else None  # None: Rich reads NO_COLOR itself
