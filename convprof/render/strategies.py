"""What `strategies` prints: all strategies of a kind, or which of them take a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.preflight import Answer


def strategies_report(console: Console, kind: str, listed: Sequence[tuple[str, str]]) -> None:
    """Print the strategies of a kind with their summaries, in ladder order."""
    console.print(Text(kind, style="bold"))
    width = max((len(name) for name, _ in listed), default=0)
    for name, summary in listed:
        say(console, f"  {name:{width}}  {summary}")


def refusals_report(console: Console, descriptor: str, answers: Sequence[Answer]) -> None:
    """Print which strategies take a problem and which refuse it."""
    console.print(Text(descriptor, style="bold"))
    width = max((len(answer.strategy) for answer in answers), default=0)
    for answer in answers:
        word, style = ("refuses ", "dim") if answer.reasons else ("takes it", "")
        text = "; ".join(answer.reasons) or answer.summary
        say(console, f"  {answer.strategy:{width}}  {word}  {text}", style=style)
