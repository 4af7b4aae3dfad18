"""``convprof fleet run``: measure a suite on every host of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options, problem_flags
from convprof.cli.driver import Driver, Work, exit_code
from convprof.cli.fleet.place import place_from, place_options, terms_from
from convprof.cli.fleet.table import TableWork
from convprof.cli.help_page import Command
from convprof.cli.outputs import STDOUT, Outputs
from convprof.cli.seconds_flags import LIBRARIES
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from convprof.problems import TypedProblem
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.fleet.connect import Place
    from convprof.studies.fleet.job import Terms
    from convprof.studies.fleet.records import Part
    from convprof.studies.journal import Journal


@click.command("run", cls=Command, short_help="Measure a suite on every host; continue a file.")
@options.suite_options(LIBRARIES)
@place_options
@click.option("--json", "json_path", metavar="FILE", help="Append each result as a line of JSON when it arrives; run again, the command measures what is left.")  # noqa: E501  # fmt: skip
@options.csv_option("Write one row per problem and host.")
@options.markdown_option("Write the tables as Markdown.")
@options.report_option()
@options.color_option
@options.quiet_option()
def run(**flags: Any) -> int:
    """Measure a suite of problems on every host of a Dask cluster, one problem at a time.

    PROBLEM is as for `convprof run`: descriptors, layers of networks, files. A host runs `convprof
    run` for each problem, in a process of its own, and nothing else of any fleet at the same time.
    Each library computes in a further process (--isolate). A problem or a host that fails is a row
    with its reason; the same command measures only what is not finished.
    """
    outputs = Outputs.of(flags)
    if flags["json_path"] == STDOUT:
        raise InputError("lines are appended, and read again: name a file", field="json", value="-")
    place = place_from(flags)
    from convprof.studies.fleet import connect, records
    from convprof.studies.journal import Journal

    selection, typed = problem_flags.suite(flags)
    suite = _suite(typed, selection.counts)
    terms = terms_from(flags, place, [each.problem for each in typed])
    connect.require()
    known = records.identity(suite, terms.options, place.by)
    with _file(flags["json_path"]) as path, Journal(path, records.KIND) as journal:
        if journal.header is None:
            journal.begin(records.header(known))
        elif (difference := records.difference(journal, known)) is not None:
            raise journal.damaged(difference)
        work = _Work(place, journal, suite, terms, flags["json_path"])
        work.before += problem_flags.suite_notes(selection)
        return Driver(outputs).run(work)


def _suite(typed: list[TypedProblem], counts: Mapping[TypedProblem, int]) -> list[Part]:
    from convprof.studies.fleet.request import described
    from convprof.studies.fleet.suite import suite_of

    by_text = {each.problem.descriptor: count for each, count in counts.items()}
    return suite_of(
        [(described(p), by_text.get(p.descriptor, 1)) for p in (each.problem for each in typed)]
    )


@contextlib.contextmanager
def _file(path: str | None) -> Iterator[str]:
    """Yield the file of the results; a temporary one if none was named."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="convprof-") as folder:
        yield os.path.join(folder, "fleet.jsonl")  # noqa: PTH118


class _Work(Work):
    """Measure what is left; print the table of all lines of the file."""

    writes_itself = frozenset({"json"})
    ends_after_errors = True
    measures = False  # on this machine

    def __init__(
        self, place: Place, journal: Journal, suite: list[Part], terms: Terms, path: str | None
    ) -> None:
        self._place, self._journal, self._suite = place, journal, suite
        self._terms, self._path = terms, path
        self._table: TableWork | None = None
        self._notes: list[str] = []
        self.before: list[str] = []
        """Remarks before the measurement."""

    def notes(self) -> list[str]:
        """Return the remarks on the suite."""
        return [f"note: {note}" for note in self.before]

    def steps(self) -> Iterator[str]:
        """Measure; the results are in the file."""
        from convprof.studies.fleet.connect import connected
        from convprof.studies.fleet.study import Fleet
        from convprof.studies.fleet.suite import Suite

        yield f"connecting to {self._place.shown()}"
        cluster = connected(self._place)
        suite = Suite(self._journal, self._suite, self._terms)
        fleet = Fleet(cluster, suite, self._terms)
        try:
            yield from fleet.events()
        finally:
            self._notes = fleet.notes
            cluster.close()

    def ready(self) -> bool:
        """Whether there is a result."""
        return next(self._journal.records(), None) is not None

    def _work(self) -> TableWork:
        """Return the work that shows the lines of the file, read once."""
        if self._table is None:
            from convprof.studies.fleet import records
            from convprof.studies.fleet.files import of_lines

            table = of_lines(len(self._suite), records.lines(self._journal))
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

    def remarks(self) -> list[str]:
        """Return the remarks on hosts."""
        return [f"note: {note}" for note in self._notes]

    def so_far(self) -> str:
        """Return the place of the results."""
        if self._path is None:
            return "what was measured is above; --json FILE would keep it"
        return f"what was measured is in {self._path}; the same command goes on from there"

    def status(self) -> int:
        """Return the exit code of the results."""
        return exit_code(self._work().statuses())
