"""``convprof roofline``: every measured strategy under the ceilings of its machine."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import dry_run, from_flags, measuring, options
from convprof.cli.ceilings import measure as measure_ceilings
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs, Picture, dated
from convprof.cli.view import View
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.problems import Problem
    from convprof.render.charts.chart import Chart
    from convprof.render.files import Text
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.roofline import Roofline
    from convprof.studies.run import Run
    from convprof.studies.saved import Saved


DOCUMENT = ".json"
SUFFIXES = (DOCUMENT, ".jsonl", ".journal")
READ_FLAGS = (
    *("problem", "every", "csv_path", "markdown_path", "report_path", "plot", "color", "quiet"),
)
"""The parameters that are allowed if points come from files."""


@click.command("roofline", cls=Command)
@options.problem_options
@options.grouped_weights_options
@options.layout_option()
@options.measure_options(several_isas=True, file_types=True)
@options.plot_option("Draw the chart as .svg or .png")
@options.all_option
@options.dry_run_option
@options.output_options(saves=True)
def command(**flags: Any) -> int:
    """Show each strategy under the peak and the bandwidths: what bounds it, how much is left.

    Arguments are PROBLEMs, as for run, which are measured; or files (NAME.json, NAME.jsonl) that
    --json of run, ladder, network, compare or sweep wrote, here or elsewhere; or saved runs (NAME,
    NAME~1, last). The ceilings are the stored ones of `convprof ceilings`; if there are no stored
    ones, they are measured first.
    """
    results = [text for text in flags["problem"] if _is_saved(text)]
    if results:
        _check_read(flags, results)
        outputs = Outputs.of(flags)
        return _read(results, flags, outputs)
    asked = from_flags.asked(flags, several_isas=True)
    measuring.note_workload(asked)
    if flags["dry_run"]:
        dry_run.dry_run(asked)
        return 0
    outputs = Outputs.of(flags)
    return _measure(asked, outputs, flags)


def _is_saved(text: str) -> bool:
    """Whether an argument is a file or a saved run: a network of that name goes first."""
    from convprof import networks
    from convprof.studies.history import store

    if text.lower().endswith(SUFFIXES):
        return True
    return text.lower() not in networks.names() and store.document(text) is not None


def _check_read(flags: dict[str, Any], results: Sequence[str]) -> None:
    """Refuse problems together with files, and flags of the measurement."""
    others = [text for text in flags["problem"] if text not in results]
    if others:
        raise InputError(
            f"{results[0]} is a saved result and {others[0]} a problem: give one kind of them"
        )
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        on_command_line = (
            context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        )
        if on_command_line and name not in READ_FLAGS:
            flag = max(parameter.opts, key=len)
            raise InputError(
                f"{flag}: the points come from {results[0]}, nothing is measured. Leave it out, or "
                "give a problem instead of the file"
            )


def _read(paths: Sequence[str], flags: dict[str, Any], outputs: Outputs) -> int:
    """Show the points of files; missing bandwidths are measured on the same machine."""
    from convprof.studies import roofline

    files = [_file(path) for path in paths]
    driver = Driver(outputs)
    view = Charts(driver, every=flags["every"])
    groups = [key for file in files for key in roofline.groups(file)]
    if not groups:
        raise InputError(f"{paths[0]}: there is no time in it, so there is no point to draw")
    view.plots = plot_names(flags["plot"], groups)
    rooflines: list[Roofline] = []
    notes: list[str] = []
    for file in files:
        of_file, notes_of_file = roofline.rooflines(_with_bandwidths(file, driver))
        rooflines += of_file
        notes += notes_of_file
    return driver.run(_ReadWork(paths, rooflines, notes, view, files))


def _file(path: str) -> Saved:
    """Return the content of a result, of the file of a sweep, or of a journal."""
    from convprof.studies import saved, show

    if path.lower().endswith(DOCUMENT):
        return saved.read(path)
    document = show.read(path)
    return saved.parsed(document.document.to_json(), document.source)


class _ReadWork(Work):
    """Show the rooflines of files; nothing is measured."""

    measures = False

    def __init__(
        self,
        paths: Sequence[str],
        rooflines: list[Roofline],
        notes: list[str],
        charts: Charts,
        files: list[Saved],
    ) -> None:
        self._paths, self._rooflines = paths, rooflines
        self._notes, self._charts = notes, charts
        self._files = files

    def recorded(self) -> tuple[str, ...]:
        """Return the words of the command that wrote the only file."""
        return self._files[0].argv if len(self._files) == 1 else ()

    def notes(self) -> list[str]:
        """Return notes on missing data of the files."""
        return [f"note: {note}" for note in self._notes]

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the points of the files as CSV and Markdown."""
        from convprof.render import roofline_export as export

        placed = [point.measurement for each in self._rooflines for point in each.placed]
        return {
            "csv": lambda: export.to_csv(placed, self._rooflines),
            "markdown": lambda: export.to_markdown(placed, self._rooflines),
        }

    def document(self) -> dict[str, Any] | None:
        """Return the only document, with its machine; a report of several files has none."""
        from convprof.studies import show

        return show.read(self._paths[0]).document.to_json() if len(self._paths) == 1 else None

    def pictures(self) -> list[Picture]:
        """Return a picture for each chart."""
        return self._charts.pictures(self._rooflines) if self._charts.draws else []

    def show(self, console: Console) -> None:
        """Print the charts."""
        del console
        self._charts.show(self._rooflines)

    def answer(self) -> Answer | None:
        """Return the bound of the fastest strategy."""
        from convprof.studies.roofline_answer import answer

        return answer(self._rooflines)


def _with_bandwidths(file: Saved, driver: Driver) -> Saved:
    """Return the file's content, with missing bandwidths from the store or measured now."""
    from convprof.machine import facts
    from convprof.studies import ceilings, roofline

    known = ceilings.Measured(roofline.lacking(file), machine=file.machine)
    here = facts()
    if file.machine == here.identity_key():
        known.leave_out(above=here.topology.usable_cpus)
        measure_ceilings(known, driver)
    return roofline.complete(file, [b for each in known.listed() for b in each.bandwidths])


def _measure(asked: Asked, outputs: Outputs, flags: dict[str, Any]) -> int:
    from convprof.studies import ceilings
    from convprof.studies.run import Run

    threads = asked.choice.threads
    driver = Driver(outputs)
    charts = Charts(driver, every=flags["every"])
    groups = [(dtype, count) for dtype in asked.choice.dtypes for count in threads]
    charts.plots = plot_names(flags["plot"], groups)
    known = ceilings.Measured(threads)
    measure_ceilings(known, driver)
    asked.machine.adopt(known.listed(), known.fresh)
    return measuring.Measuring(
        asked,
        outputs,
        lambda task, watch: Run(
            task.problem, asked.choice_of(task), asked.settings, asked.machine, watch
        ),
        _View(asked, charts),
        driver,
    ).run()


class _View(View["Run"]):
    """Collect the measurements; at the end compare all of them with the ceilings."""

    apart = False

    def __init__(self, asked: Asked, charts: Charts) -> None:
        self._asked, self._charts = asked, charts
        self._measurements: list[Measurement] = []

    def keep(self, study: Run) -> list[dict[str, Any]]:
        """Take the measurements."""
        self._measurements += study.measurements()
        return []

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of an earlier process."""
        del problem, comparisons
        self._measurements += measurements
        return True

    def _placed(self) -> list[Roofline]:
        from convprof.studies import roofline

        here = roofline.measured_here(self._measurements, self._asked.machine, self._asked.choice)
        return roofline.rooflines(here)[0]

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return the writers of CSV and Markdown with the roofline's figures."""
        from convprof.render import roofline_export as export

        return {
            "csv": lambda document: export.to_csv(document.measurements, self._placed()),
            "markdown": lambda document: export.to_markdown(document.measurements, self._placed()),
        }

    def summary(self, console: Console) -> None:
        """Print the charts, and the contestants without a point."""
        del console
        self._charts.show(self._placed())
        self._charts.excluded(self._measurements)

    def answer(self) -> Answer | None:
        """Return the bound of the fastest strategy."""
        from convprof.studies.roofline_answer import answer

        return answer(self._placed())

    def pictures(self) -> list[Picture]:
        """Return a picture for each chart."""
        return self._charts.pictures(self._placed()) if self._charts.draws else []


# The charts of ``convprof roofline``: in the terminal, and in a file each.


def plot_names(
    plot: str | None, groups: Sequence[tuple[str, int]]
) -> list[tuple[tuple[str, int], str]]:
    """Return each chart's type and threads and its file, numbered if there are several.

    InputError if one of them cannot be written.
    """
    if plot is None:
        return []
    from convprof.render.charts import picture

    path = Path(plot)
    names = [plot]
    if len(groups) > 1:
        ends = [f"{dtype}-{threads}" for dtype, threads in groups]
        if len(set(ends)) < len(ends):
            ends = [f"{number}-{end}" for number, end in enumerate(ends, 1)]
        names = [str(path.with_name(f"{path.stem}-{end}{path.suffix}")) for end in ends]
    picture.require(plot)
    for name in names:
        picture.require(name)
    return list(zip(groups, names, strict=True))


class Charts:
    """Print rooflines, and draw them into files."""

    def __init__(self, driver: Driver, *, every: bool) -> None:
        """``every``: the tables have all rows."""
        self._stdout, self._remark, self._every = driver.stdout, driver.remark, every
        self.draws = driver.outputs.draws
        """Whether charts are drawn into files."""
        self.plots: list[tuple[tuple[str, int], str]] = []

    def show(self, rooflines: Sequence[Roofline]) -> None:
        """Print each with its chart."""
        from convprof.render import roofline as view

        for roofline in rooflines:
            dated = _dated(roofline)
            view.roofline_report(self._stdout, roofline, dated=dated, every=self._every)
            self._stdout.print()
        view.definitions_report(self._stdout)

    def excluded(self, measurements: Sequence[Measurement]) -> None:
        """Print why contestants have no point, each reason once."""
        from convprof.render import tables
        from convprof.render.run import exclusions_report

        exclusions_report(self._stdout, tables.excluded(measurements), every=self._every)

    def pictures(self, rooflines: Sequence[Roofline]) -> list[Picture]:
        """Return the requested files, each with the function that draws its chart."""
        from convprof.render.roofline_chart import title

        return [
            Picture(
                functools.partial(_chart, roofline),
                name,
                functools.partial(self._drawn, title(roofline)),
            )
            for roofline, name in self._named(rooflines)
        ]

    def _drawn(self, title: str, path: str) -> None:
        self._remark(f"drawn: {path}: {title}")

    def _named(self, rooflines: Sequence[Roofline]) -> list[tuple[Roofline, str | None]]:
        """Return each chart with its file; some requested files may have no point."""
        if not self.plots:
            return [(roofline, None) for roofline in rooflines]
        left = list(self.plots)
        named: list[tuple[Roofline, str | None]] = []
        for roofline in rooflines:
            key = (roofline.dtype, roofline.threads)
            named.append((roofline, left.pop([group for group, _ in left].index(key))[1]))
        return named


def _chart(roofline: Roofline) -> Chart:
    from convprof.render.roofline_chart import MOST_STRATEGIES, roofline_chart

    return roofline_chart(roofline, dated=_dated(roofline), most=MOST_STRATEGIES)


def _dated(roofline: Roofline) -> str:
    """Return the CPU, and the date if it was measured now."""
    brand = roofline.brand or "unknown CPU"
    return brand if roofline.source else dated(brand)
