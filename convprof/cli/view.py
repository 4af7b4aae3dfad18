"""What a measuring command makes of its studies: what it keeps, prints, writes and draws."""

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
    """A question put to one problem."""

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""

    def measurements(self) -> list[Measurement]:
        """Return the results so far."""


AnyStudy = TypeVar("AnyStudy", bound=Study)


class View(Generic[AnyStudy]):
    """What a command makes of its studies; a command's own view says where it differs."""

    apart = True
    """Whether an empty line goes between what is printed of two problems."""

    def keep(self, study: AnyStudy) -> list[dict[str, Any]]:  # noqa: ARG002
        """Take what is needed from a study that has ended; return the document's comparisons."""
        return []

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take what an earlier process measured of a problem; return whether it can be shown."""
        del problem, measurements, comparisons
        return False

    def show(self, console: Console) -> None:
        """Print what was taken last."""

    def summary(self, console: Console) -> None:
        """Print what only the end of all problems shows."""

    def answer(self) -> Answer | None:
        """Return the answer about all problems; None where nothing was measured."""
        return None

    def networks(self) -> list[dict[str, Any]]:
        """Return what was measured of whole networks, for the document."""
        return []

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return, by flag, what writes the document, where that is not as for every command."""
        return {}

    def pictures(self) -> list[Picture]:
        """Return the pictures to be drawn."""
        return []
