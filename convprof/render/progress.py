"""Live progress on stderr while measuring; nothing at all where stderr is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from convprof.measure.events import Event, Sampled, Started

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.status import Status


class Progress:
    """One line: contestant, round, remaining time."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._on = console.is_terminal and not quiet
        self._console = console
        self._status: Status | None = None
        self.title = ""

    def __enter__(self) -> Self:
        """Show the line."""
        if self._on:
            self._status = self._console.status("starting", spinner="line")
            try:
                self._status.start()
            except RuntimeError:  # the system allows this process no thread for it
                self._status.stop()
                self._status = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the line."""
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """Show what is being done when no event tells."""
        if self._status is not None:
            self._status.update(self._fitted(text))

    def show(self, event: Event) -> None:
        """Show an event."""
        if self._status is None:
            return
        if isinstance(event, Started):
            self.say(f"{self.title}preparing {event.index + 1}/{event.total}: {event.label}")
        elif isinstance(event, Sampled):
            self.say(
                f"{self.title}round {event.round}/{event.rounds}, "
                f"{event.remaining_s:.0f} s left: {event.label}"
            )

    def _fitted(self, text: str) -> str:
        """Return the text cut to the line, so that it never wraps and leaves traces behind."""
        return text[: max(10, self._console.width - 4)]
