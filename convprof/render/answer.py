"""Print the answer at the end of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.console import readable, say

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.answer import Answer


def answer_report(console: Console, answer: Answer) -> None:
    """Print the sentences, the first sentence in bold, and the next command on its own line."""
    console.print()
    first, *others = answer.sentences
    say(console, readable(console, first), style="bold")
    for sentence in others:
        say(console, readable(console, sentence))
    if answer.command:
        # The command stays on one line: users copy it.
        console.print(Text(readable(console, f"next: {answer.command}")), soft_wrap=True)
