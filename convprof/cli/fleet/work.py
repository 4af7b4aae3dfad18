"""The work of the commands that measure on a fleet: all but the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.cli.driver import Work, exit_code
from convprof.cli.fleet.table import TableWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.fleet.connect import Place
    from convprof.studies.fleet.job import Job


class FleetWork(Work):
    """Measure what is left of a job; the results are in a file."""

    writes_itself = frozenset({"json"})
    ends_after_errors = True
    measures = False  # on this machine

    def __init__(self, place: Place, job: Job, path: str | None) -> None:
        """``path``: the file that the user named."""
        self._place, self._job, self._path = place, job, path
        self._notes: list[str] = []
        self.before: list[str] = []
        """Remarks before the measurement."""

    def notes(self) -> list[str]:
        """Return the remarks before the measurement."""
        return [f"note: {note}" for note in self.before]

    def steps(self) -> Iterator[str]:
        """Measure; the results are in the file."""
        from convprof.studies.fleet.connect import connected
        from convprof.studies.fleet.study import Fleet

        yield f"connecting to {self._place.shown()}"
        cluster = connected(self._place)
        fleet = Fleet(cluster, self._job)
        try:
            yield from fleet.events()
        finally:
            self._notes = fleet.notes
            cluster.close()

    def ready(self) -> bool:
        """Whether there is a result."""
        return next(self._job.journal.records(), None) is not None

    def remarks(self) -> Iterator[str]:
        """Yield the remarks on hosts."""
        yield from (f"note: {note}" for note in self._notes)

    def so_far(self) -> str:
        """Return the place of the results."""
        if self._path is None:
            return "what was measured is above; --json FILE would keep it"
        return f"what was measured is in {self._path}; the same command goes on from there"


class SuiteWork(FleetWork):
    """Measure a suite; print the table of all lines of the file."""

    _table: TableWork | None = None

    def _work(self) -> TableWork:
        """Return the work that shows the lines of the file, read once."""
        if self._table is None:
            from convprof.studies.fleet import records
            from convprof.studies.fleet.files import of_lines

            table = of_lines(self._job.journal.header or {}, records.lines(self._job.journal))
            self._table = TableWork(table, {}, self._path or "")
        return self._table

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the rows and the tables; lines of JSON are written while measuring."""
        return self._work().forms()

    def document(self) -> dict[str, Any] | None:
        """Return the document of the table, for a report."""
        return self._work().document()

    def show(self, console: Console) -> None:
        """Print the problems and the hosts."""
        self._work().show(console)

    def answer(self) -> Answer | None:
        """Return which host is the fastest."""
        return self._work().answer()

    def status(self) -> int:
        """Return the exit code of the results."""
        return exit_code(self._work().statuses())
