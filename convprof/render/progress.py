"""Live progress on stderr while measuring: one line, redrawn in a terminal.

If stderr is not a terminal that can redraw a line, a plain line is printed from time to time.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.text import Text

from convprof import units
from convprof.measure.estimate import Estimate
from convprof.measure.events import Auxiliary, Event, Sampled, Started
from convprof.render.console import is_terminal

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

REFRESHES_PER_SECOND = 12.5
PLAIN_EVERY_S = 10.0
"""Seconds between two lines if a line cannot be redrawn."""

Step = str | Event
"""The content of the line: a text, or an event."""


class Progress:
    """One line: the contestant, the round, and the remaining seconds of the whole command."""

    def __init__(
        self, console: Console, *, quiet: bool = False, estimate: Estimate | None = None
    ) -> None:
        """Show nothing with ``quiet``. ``estimate`` is for a command of several parts."""
        redraws = console.is_terminal and not console.is_dumb_terminal
        self._on = redraws and not quiet
        self._plain = not redraws and not quiet
        self._printed_s = time.monotonic()
        self._console = console
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._estimate = estimate or Estimate()

    def __enter__(self) -> Self:
        """Show the line."""
        if self._on:
            from rich.live import Live
            from rich.spinner import Spinner

            self._spinner = Spinner("line", "starting", style="status.spinner")
            # Rich would redirect other output to the console of progress. That is right if both are
            # one terminal; otherwise data would go to the wrong stream.
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
            except RuntimeError:  # the system allows no further thread
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
        elif self._plain and time.monotonic() - self._printed_s >= PLAIN_EVERY_S:
            self._printed_s = time.monotonic()
            self._console.print(Text(f"convprof: {text}"), soft_wrap=True)

    def show(self, step: Step) -> None:
        """Show a step."""
        if isinstance(step, str):
            self.say(step)
            return
        self._estimate.see(step)
        title = self._estimate.title
        if isinstance(step, Started):
            self.say(f"{title}preparing {step.index + 1}/{step.total}{self._left()}: {step.label}")
        elif isinstance(step, Auxiliary):
            self.say(f"{title}measuring {step.name}{self._left()}")
        elif isinstance(step, Sampled):
            self.say(f"{title}round {step.round}/{step.rounds}{self._left()}: {step.label}")

    def _left(self) -> str:
        seconds = self._estimate.remaining_s
        return "" if seconds is None else f", {units.duration(seconds)} left"

    def _fitted(self, text: str) -> str:
        """Return the text cut to the line: a wrapped line could not be removed completely."""
        return text[: max(10, self._console.width - 4)]
