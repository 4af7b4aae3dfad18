"""``convprof fleet run``: measure a suite on every host of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.driver import Driver, Work, exit_code
from convprof.cli.fleet.table import TableWork
from convprof.cli.help_page import Command
from convprof.cli.outputs import STDOUT, Outputs
from convprof.cli.seconds_flags import LIBRARIES
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.problems import Problem
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.fleet.connect import Place, Tls
    from convprof.studies.fleet.records import Part
    from convprof.studies.fleet.study import Terms
    from convprof.studies.journal import Journal

_ADDRESS = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
MOST_WORKERS = 64
MOST_HOSTS = 100_000

_place_options = options.stack(
    click.option("--workers", type=click.IntRange(1, MOST_WORKERS), metavar="N", help="Start N workers on this machine; they take turns, each is a host of the table."),  # noqa: E501
    click.option("--scheduler", metavar="ADDRESS", help="The Dask scheduler whose workers measure: tcp://HOST:8786, or tls://HOST:8786."),  # noqa: E501
    click.option("--hosts", type=click.IntRange(1, MOST_HOSTS), default=1, show_default=True, metavar="N", help="Wait until there are N hosts."),  # noqa: E501
    click.option("--each", type=click.Choice(["machine", "worker"]), help="What a host of the table is: all workers of a machine (default of --scheduler), or a worker by its name."),  # noqa: E501
    click.option("--limit", type=click.FloatRange(1, 86_400), default=600.0, show_default=True, metavar="SECONDS", help="The longest time of one problem on one host."),  # noqa: E501
    click.option("--away", type=click.FloatRange(1, 86_400), default=30.0, show_default=True, metavar="SECONDS", help="The longest time without a worker until a host is given up; and the wait of --hosts."),  # noqa: E501
    click.option("--tls-ca", metavar="FILE", help="Certificates (PEM) of the authority that the scheduler and all workers have."),  # noqa: E501
    click.option("--tls-cert", metavar="FILE", help="The certificate (PEM) of this command."),
    click.option("--tls-key", metavar="FILE", help="Its private key (PEM)."),
    click.option("--any-version", is_flag=True, help="Accept workers with other versions of convprof, Python or numba."),  # noqa: E501
)  # fmt: skip


@click.command("run", cls=Command, short_help="Measure a suite on every host; continue a file.")
@options.suite_options(LIBRARIES)
@_place_options
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
    place = _place(flags)
    from convprof.studies.fleet import connect, records
    from convprof.studies.journal import Journal

    selection, problems = from_flags.suite(flags)
    suite = _suite(problems, selection.counts)
    terms = _terms(flags, place, problems)
    connect.require()
    known = records.identity(suite, terms.options, place.by)
    with _file(flags["json_path"]) as path, Journal(path, records.KIND) as journal:
        if journal.header is None:
            journal.begin(records.header(known))
        elif (difference := records.difference(journal, known)) is not None:
            raise journal.damaged(difference)
        work = _Work(place, journal, suite, terms, flags["json_path"])
        work.before += from_flags.suite_notes(selection)
        return Driver(outputs).run(work)


def _suite(problems: list[Problem], counts: Any) -> list[Part]:
    from convprof.studies.fleet.request import described
    from convprof.studies.fleet.study import suite_of

    return suite_of([(described(p), counts.get(p.descriptor, 1)) for p in problems])


def _place(flags: dict[str, Any]) -> Place:
    """Return where to measure; InputError unless exactly one place is named."""
    from convprof.studies.fleet.connect import Place

    workers, scheduler, each = flags["workers"], flags["scheduler"], flags["each"]
    if (workers is None) == (scheduler is None):
        raise InputError("say where: --workers N on this machine, or --scheduler ADDRESS")
    if scheduler is not None and _ADDRESS.fullmatch(scheduler) is None:
        raise InputError(
            "write tcp://HOST:PORT or tls://HOST:PORT", field="scheduler", value=scheduler
        )
    tls = _tls(flags, scheduler)
    if scheduler is None:
        return Place(each or "worker", workers)
    return Place(each or "machine", 0, scheduler, tls)


def _tls(flags: dict[str, Any], scheduler: str | None) -> Tls | None:
    """Return the files of TLS; InputError unless all fit the scheduler, or none is given."""
    from convprof.studies.fleet.connect import Tls

    files = {name: flags[name] for name in ("tls_ca", "tls_cert", "tls_key")}
    missing = [name for name, path in files.items() if path is None]
    if len(missing) == len(files):
        if scheduler is not None and scheduler.startswith("tls://"):
            raise InputError("tls:// needs --tls-ca, --tls-cert and --tls-key")
        return None
    if missing:
        raise InputError("give --tls-ca, --tls-cert and --tls-key together")
    if scheduler is None or not scheduler.startswith("tls://"):
        raise InputError("--tls-ca needs --scheduler tls://HOST:PORT: tcp:// is not encrypted")
    return Tls(*files.values())


def _terms(flags: dict[str, Any], place: Place, problems: list[Problem]) -> Terms:
    """Return how to measure; InputError for a flag that is wrong on every host."""
    from convprof.studies import preflight
    from convprof.studies.fleet.request import OPTIONS
    from convprof.studies.fleet.study import Terms

    names = from_flags.comma_list(flags["strategy"])
    preflight.check_strategies(names, problems)
    from_flags.layouts_from(flags["layout"])
    from_flags.dtype_from(flags["dtype"])
    chosen = {name: _values(flags[name]) for name in OPTIONS if name in flags}
    return Terms(
        place.by,
        {name: values for name, values in chosen.items() if values is not None},
        flags["limit"],
        flags["away"],
        flags["hosts"],
        flags["any_version"],
    )


def _values(value: Any) -> tuple[str, ...] | None:
    """Return the values of an option for a request; empty for a flag, None for an absent one."""
    if value is None or value is False or value == ():
        return None
    if value is True:
        return ()
    return (",".join(value) if isinstance(value, tuple) else str(value),)


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

        yield f"connecting to {self._place.shown()}"
        cluster = connected(self._place)
        fleet = Fleet(cluster, self._journal, self._suite, self._terms)
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
