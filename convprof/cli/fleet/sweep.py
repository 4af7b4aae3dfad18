"""``convprof fleet sweep``: the points of a sweep, spread over identical hosts or on every host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, problem_flags
from convprof.cli.driver import Driver, exit_code
from convprof.cli.fleet.place import place_from, place_options, terms_from
from convprof.cli.fleet.run import check_file, run_suite
from convprof.cli.fleet.work import FleetWork
from convprof.cli.help_page import Command
from convprof.cli.journal_file import journal_path
from convprof.cli.outputs import Outputs
from convprof.cli.sweep_range import (
    check_threads_flag,
    default_strategies,
    range_from,
    range_options,
    with_problem,
)
from convprof.errors import InputError
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.render.files import Text
    from convprof.render.show import SavedView
    from convprof.studies.answer import Answer
    from convprof.studies.fleet.connect import Place
    from convprof.studies.fleet.points import Points
    from convprof.studies.sweep.range import Range


@click.command("sweep", cls=Command, short_help="Spread a sweep over identical hosts.")
@click.argument("problem", metavar="PROBLEM")
@range_options()
@options.layout_option("nhwc")
@options.measure_options(
    strategies="Strategies to measure; default as for `convprof sweep`.",
    threads=options.threads_option("1"),
    several_isas=True,
)
@place_options
@click.option("--json", "json_path", metavar="FILE", help="Append each point as a line of JSON when it arrives; run again, the command measures what is left.")  # noqa: E501  # fmt: skip
@options.csv_option("Write one row per point and contestant.")
@options.markdown_option("Write the table as Markdown.")
@options.report_option()
@options.plot_option()
@options.color_option
@options.quiet_option()
def sweep(**flags: Any) -> int:
    """Measure a sweep on hosts of a Dask cluster; with --spread each point on one of them.

    PROBLEM is a matrix product (over size, batch, threads, tile, unroll) or a convolution (over
    channels, image, filter, batch, threads, tile, unroll), as for `sweep gemm` and `sweep conv`.
    With --spread the hosts must be identical, and the result is one sweep: a host measures all
    strategies of a point, and the point in the middle is measured on every host, so that the
    difference between the hosts is known. Without --spread every host measures every point, and the
    result is the table of `fleet run`.
    """
    check_file(flags)
    place = place_from(flags)
    range_ = _range(flags)
    flags = {**flags, "strategy": flags["strategy"] or default_strategies(range_)}
    if flags["spread"]:
        return _spread(flags, place, range_)
    if not range_.varies_problem:
        raise InputError(f"--over {range_.over} needs --spread: it is no size of the problem")
    counts = dict.fromkeys(map(TypedProblem, range_.problems()), 1)
    return run_suite(flags, place, counts, ())


def _range(flags: dict[str, Any]) -> Range:
    from convprof.problems.families import VARIABLES
    from convprof.studies.sweep.range import THREADS

    text = flags["problem"]
    problems, _ = problem_flags.problems_from(with_problem(flags, text))
    if len(problems) != 1 or problems[0].kind not in VARIABLES:
        raise InputError(f"{text}: a sweep takes one matrix product or one convolution")
    if (flags["over"] or "").lower() == THREADS and flags["range_"] is None:
        raise InputError("--over threads: also say --range, for the cores of the hosts")
    range_ = range_from(problems[0], flags["over"], flags["range_"])
    if range_.over == THREADS:
        check_threads_flag()
    range_.problems()  # each value has one
    return range_


def _spread(flags: dict[str, Any], place: Place, range_: Range) -> int:
    from convprof.studies.fleet import connect
    from convprof.studies.fleet.points import Points
    from convprof.studies.journal import Journal
    from convprof.studies.sweep.plan import KIND
    from convprof.studies.sweep.range import THREADS

    outputs = Outputs.of(flags)
    if range_.base.kind == "gemm":  # its sweep has no such option
        flags = {**flags, "layout": None}
    if range_.over == THREADS:
        flags = {**flags, "threads": None}
    if flags["dtype"] is not None:
        from_flags.dtype_from(flags["dtype"])
    terms = terms_from(flags, place, [range_.base])
    connect.require()
    path = flags["json_path"]
    with journal_path(path) as file, Journal(file, KIND) as journal:
        points = Points(journal, range_, terms, sys.argv[1:])
        points.check_file()
        return Driver(outputs).run(_SpreadWork(place, points, path, outputs))


class _SpreadWork(FleetWork):
    """Measure the points that are left; print all points as `convprof show` does."""

    def __init__(self, place: Place, points: Points, path: str | None, outputs: Outputs) -> None:
        super().__init__(place, points, path)
        self._points, self._outputs = points, outputs
        self._shown: SavedView | None = None

    def _view(self) -> SavedView:
        """Return the points of the file, read once."""
        if self._shown is None:
            from convprof.render.show import Extent, view_of
            from convprof.studies.show import read_any

            self._shown = view_of(read_any(self._points.journal.path), Extent())
        return self._shown

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the points as CSV and as Markdown."""
        return dict(self._view().forms)

    def document(self) -> dict[str, Any] | None:
        """Return the header: ``--json`` writes lines, not a document."""
        return self._points.journal.header

    def pictures(self) -> list[Picture]:
        """Return the chart, if requested."""
        chart = self._view().chart
        return [] if chart is None else self._outputs.pictures(chart)

    def show(self, console: Console) -> None:
        """Print the table and the chart."""
        self._view().report(console)

    def answer(self) -> Answer | None:
        """Return the fastest contestant, and where its rate falls."""
        return self._view().answer()

    def remarks(self) -> Iterator[str]:
        """Yield the remarks on hosts, how far they differ, and which points failed."""
        yield from super().remarks()
        difference = self._points.remark()
        if difference is not None:
            yield f"note: {difference}"
        yield from (f"failed: {failure}" for failure in self._points.failures)

    def status(self) -> int:
        """Return the exit code of the points."""
        failed = {"failed"} if self._points.failures else set()
        return exit_code(self._points.statuses | failed)
