"""Live progress on stderr while measuring; nothing at all where stderr is no terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from convprof.measure.events import Event, Limit, Sampled, Started
from convprof.render.console import is_terminal

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

REFRESHES_PER_SECOND = 12.5


@dataclass(frozen=True, slots=True)
class Title:
    """What the following events are of: ``point 3/7 (size 128), ``."""

    text: str


Step = str | Title | Event
"""What progress shows: a text, a title of further events, or an event."""


class Progress:
    """One line: contestant, round, remaining time."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._on = console.is_terminal and not quiet
        self._console = console
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self.title = ""

    def __enter__(self) -> Self:
        """Show the line."""
        if self._on:
            from rich.live import Live
            from rich.spinner import Spinner

            self._spinner = Spinner("line", "starting", style="status.spinner")
            # Rich would write to the console of progress what is printed meanwhile. That is right
            # where both are one terminal; otherwise data would go to the wrong stream.
            shared = is_terminal(sys.stdout)
            self._live = Live(
                self._spinner,
                console=self._console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                redirect_stdout=shared,
            )
            try:
                self._live.start()
            except RuntimeError:  # the system allows this process no thread for it
                self._live.stop()
                self._live = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the line."""
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Show a text."""
        if self._spinner is not None:
            self._spinner.update(text=self._fitted(text))

    def show(self, step: Step) -> None:
        """Show a step."""
        if isinstance(step, str):
            self.say(step)
        elif isinstance(step, Title):
            self.title = step.text
        elif isinstance(step, Started):
            self.say(f"{self.title}preparing {step.index + 1}/{step.total}: {step.label}")
        elif isinstance(step, Limit):
            self.say(f"{self.title}measuring {step.name}")
        elif isinstance(step, Sampled):
            self.say(
                f"{self.title}round {step.round}/{step.rounds}, "
                f"{step.remaining_s:.0f} s left: {step.label}"
            )

    def _fitted(self, text: str) -> str:
        """Return the text cut to the line, so that it never wraps and leaves traces behind."""
        return text[: max(10, self._console.width - 4)]
