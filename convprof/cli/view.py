"""The output of a measuring command: the document, tables, files and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.measure.events import Event
    from convprof.problems import Problem
    from convprof.render.files import Text
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer


class Study(Protocol):
    """A measurement of one problem."""

    def events(self) -> Iterator[Event]:
        """Measure; yield the events."""

    def measurements(self) -> list[Measurement]:
        """Return the results so far."""


AnyStudy = TypeVar("AnyStudy", bound=Study)


class View(Generic[AnyStudy]):
    """The default output of studies; a command's own view overrides the parts that differ."""

    apart = True
    """Whether an empty line separates the tables of two problems."""

    def keep(self, study: AnyStudy) -> list[dict[str, Any]]:  # noqa: ARG002
        """Take the results of a finished study; return the document's comparisons."""
        return []

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of an earlier process; return whether they can be shown."""
        del problem, measurements, comparisons
        return False

    def show(self, console: Console) -> None:
        """Print the last results."""

    def summary(self, console: Console) -> None:
        """Print the summary of all problems."""

    def answer(self) -> Answer | None:
        """Return the answer about all problems; None if nothing was measured."""
        return None

    def status(self) -> int:
        """Return the exit code of the comparison; 0 leaves it to the measurements."""
        return 0

    def networks(self) -> list[dict[str, Any]]:
        """Return the results of whole networks, for the document."""
        return []

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return, by flag, the writers of the document that differ from other commands."""
        return {}

    def pictures(self) -> list[Picture]:
        """Return the pictures to be drawn."""
        return []
