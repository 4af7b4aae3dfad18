"""``convprof fleet run``: measure a suite on every host of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, problem_flags
from convprof.cli.driver import Driver
from convprof.cli.fleet.place import place_from, place_options, terms_from
from convprof.cli.fleet.work import SuiteWork
from convprof.cli.help_page import Command
from convprof.cli.journal_file import journal_path
from convprof.cli.outputs import STDOUT, Outputs
from convprof.cli.seconds_flags import LIBRARIES
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.problems import TypedProblem
    from convprof.studies.fleet.connect import Place


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
    with its reason; the same command measures only what is not finished. With --spread each problem
    is measured on one of several identical hosts, and what auto chose is stored on all of them.
    """
    check_file(flags)
    place = place_from(flags)
    selection = problem_flags.suite(flags, file_types=True)
    return run_suite(flags, place, selection.counts, problem_flags.suite_notes(selection))


def check_file(flags: Mapping[str, Any]) -> None:
    """Raise InputError for stdout: the file is read again."""
    if flags["json_path"] == STDOUT:
        raise InputError("lines are appended, and read again: name a file", field="json", value="-")


def run_suite(
    flags: dict[str, Any],
    place: Place,
    counts: Mapping[TypedProblem, int],
    notes: Sequence[str],
) -> int:
    """Measure problems on a fleet; return the exit code.

    ``counts``: the problems, and how often the suite has each one.
    """
    from convprof.studies.fleet import connect, records
    from convprof.studies.fleet.suite import Suite, suite_of
    from convprof.studies.journal import Journal

    outputs = Outputs.of(flags)
    typed = from_flags.in_types(flags["dtype"], counts)
    suite = suite_of(typed)
    terms = terms_from(flags, place, [task.problem for task in typed])
    connect.require()
    known = records.identity(suite, terms.options, place.by, spread=terms.spread)
    path = flags["json_path"]
    with journal_path(path) as file, Journal(file, records.KIND) as journal:
        if journal.header is None:
            journal.begin(records.header(known))
        elif (difference := records.difference(journal, known)) is not None:
            raise journal.damaged(difference)
        work = SuiteWork(place, Suite(journal, suite, terms), path)
        work.before += notes
        return Driver(outputs).run(work)
