"""`convprof sweep`: the strategies over a range of sizes, channels, threads or tiles."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, problem_flags
from convprof.cli.driver import Driver, Work, exit_code
from convprof.cli.help_page import Group
from convprof.cli.journal_file import journal_path
from convprof.cli.outputs import STDOUT, Outputs
from convprof.cli.sweep_range import (
    STRATEGIES,
    check_threads_flag,
    default_strategies,
    range_from,
    range_options,
    with_problem,
)
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.render.files import Text
    from convprof.render.progress import Step
    from convprof.studies.answer import Answer
    from convprof.studies.journal import Journal
    from convprof.studies.sweep.plan import Plan

BASES = {"gemm": "512x512:512x512", "conv2d": problem_flags.DEFAULT_PROBLEM}


def _options(kind: str) -> options.Option:
    names = ", ".join(STRATEGIES[kind])
    return options.stack(
        click.argument("problem", required=False, metavar="[PROBLEM]"),
        range_options(),
        options.patience_option("A strategy predicted to take longer at a point is refused there."),
        options.measure_options(
            strategies=f"Strategies to measure; default {names} (of a tile: all that have it).",
            threads=options.threads_option("1"),
            several_isas=True,
        ),
        options.json_option("Append every point as a line of JSON; run again, the sweep goes on where it stopped."),  # noqa: E501
        options.csv_option("Write one row per point and contestant."),
        options.markdown_option("Write the table as Markdown."),
        options.report_option(),
        options.plot_option(),
        options.color_option,
        options.quiet_option(),
    )  # fmt: skip


@click.group("sweep", cls=Group)
def command() -> None:
    """Measure strategies over a range: FLOP/s against size, channels, threads, tiles."""


@command.command("gemm", short_help="Sweep a matrix product.")
@_options("gemm")
def gemm(**flags: Any) -> int:
    """Sweep a matrix product over size (m = n = k), batch, threads, tile or unroll.

    By default size 32:1024:x2. PROBLEM (512x512:512x512) is what stays the same. tile varies mc,
    kc and nc at once, tile.NAME one number of the blocking, such as tile.kc.
    """
    return _run("gemm", {**flags, "layout": "nchw"})


@command.command(
    "conv",
    short_help="Sweep a convolution.",
)
@_options("conv2d")
@options.layout_option("nhwc")
def conv(**flags: Any) -> int:
    """Sweep a convolution over channels, image, filter, batch, threads, tile or unroll.

    By default channels 16:256:x2. PROBLEM (resnet50:layer1.0.conv2) is what stays the same.
    channels varies input and output channels, filter pads so that the image keeps its size; tile
    varies the rows of output per block, tile.NAME one number of the blocking, such as tile.vectors.
    """
    return _run("conv2d", flags)


def _run(kind: str, flags: dict[str, Any]) -> int:
    from convprof.studies.journal import Journal
    from convprof.studies.sweep import plan as sweep_plan

    outputs = Outputs.of(flags)
    plan = _plan(kind, flags)
    sweep_plan.check(plan)
    with journal_path(flags["json_path"]) as path, Journal(path, sweep_plan.KIND) as journal:
        if journal.header is not None:
            sweep_plan.check_same(journal, plan.identity())
        return Driver(outputs).run(SweepWork(plan, journal, outputs))


def _plan(kind: str, flags: dict[str, Any]) -> Plan:
    from convprof.studies.sweep.plan import Plan
    from convprof.studies.sweep.range import THREADS

    flags = with_problem(flags, flags["problem"] or BASES[kind])
    problems, _ = problem_flags.problems_from(flags)
    word = kind.removesuffix("2d")
    if [problem.kind for problem in problems] != [kind]:
        raise InputError(f"{flags['problem'][0]}: sweep {word} takes one {word}")
    range_ = range_from(problems[0], flags["over"], flags["range_"])
    if range_.over == THREADS:
        _check_threads(flags["range_"], range_.values[-1])
    flags = {**flags, "strategy": flags["strategy"] or default_strategies(range_)}
    asked = from_flags.asked(flags, several_isas=True)
    over, values = range_.over, range_.values
    return Plan(asked.problems[0], over, values, asked.choice, asked.settings, flags["patience"])


def _check_threads(text: str | None, largest: int) -> None:
    from convprof.api import thread_limit
    from convprof.machine import facts

    check_threads_flag()
    most = facts().topology.usable_cpus
    if largest > most:
        raise InputError(f"--range {text}: {thread_limit()}. End at {most}")


class SweepWork(Work):
    """Measure the missing points; print and draw all points of the journal."""

    writes_itself = frozenset({"json"})
    ends_after_errors = True

    def __init__(self, plan: Plan, journal: Journal, outputs: Outputs) -> None:
        from convprof.studies.sweep.study import Sweep

        self._plan, self._journal, self._outputs = plan, journal, outputs
        self._json = outputs.paths.get("json")
        self._study = Sweep(plan, journal)

    def ready(self) -> bool:
        """Whether there is a point."""
        return bool(self._study.done)

    def notes(self) -> list[str]:
        """Return the number of finished points."""
        there = f"continuing {self._json}: {self._count()} are there"
        return [there] if self._study.done else []

    def steps(self) -> Iterator[Step]:
        """Measure; each finished point is written to the journal."""
        from convprof.machine.model import MachineModel
        from convprof.studies.sweep import study as sweep

        if self._journal.header is None:
            yield "measuring this machine's peak"
            self._journal.begin(sweep.begin(self._plan, sys.argv[1:], MachineModel.here()))
            self._echo(self._journal.header)
        for event in self._study.events():
            if isinstance(event, sweep.Began):
                name = f"{self._plan.over} {event.x}"
                yield replace(event.part, name=f"point {event.index + 1}/{event.total} ({name})")
            elif isinstance(event, sweep.Ended):
                self._echo(event.record)
                yield f"finished: {self._count()}"
            else:
                yield event
            if self._outputs.unread():
                break

    def _echo(self, record: dict[str, Any] | None) -> None:
        """Print a line of the journal if --json - uses stdout."""
        if self._json == STDOUT and record is not None:
            print(json.dumps(record, allow_nan=False), flush=True)  # noqa: T201  # it is the data

    def pictures(self) -> list[Picture]:
        """Return the chart, if requested."""
        from convprof.render.sweep_chart import MOST_SERIES, sweep_chart

        return self._outputs.pictures(lambda _: sweep_chart(*self._points(), MOST_SERIES))

    def _points(self) -> tuple[dict[str, Any], Any, Any]:
        """Return the header, the rows and the cache capacities within the range."""
        from convprof.studies.sweep.points import capacities, rows_of
        from convprof.studies.sweep.range import THREADS

        header = self._journal.header or {}
        rows = rows_of(self._journal.records(), threads=self._plan.over != THREADS)
        return header, rows, capacities(self._plan, header["machine"].get("caches") or ())

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the points as CSV and as Markdown; JSON lines are written while measuring."""
        from convprof.render import sweep

        header, rows, _ = self._points()
        return {
            "csv": lambda: sweep.to_csv(header, rows),
            "markdown": lambda: sweep.to_markdown(header, rows),
        }

    def document(self) -> dict[str, Any] | None:
        """Return the header of the journal: ``--json`` writes lines, not a document."""
        return self._journal.header

    def answer(self) -> Answer | None:
        """Return the fastest contestant, where its rate falls, and the faster instruction set."""
        from convprof.render.sweep_answer import answer
        from convprof.studies.compare.isas_answer import added

        return added(answer(*self._points()), self._study.isas)

    def show(self, console: Console) -> None:
        """Print the table and the chart."""
        from convprof.render.sweep import sweep_report

        sweep_report(console, *self._points())

    def remarks(self) -> Iterator[str]:
        """Yield the disturbances of the points."""
        for finding, count in self._study.noise.values():
            where = f" (at {count} points)" if count > 1 else ""
            yield f"noise{where}: {finding.message}; {finding.hint}"

    def so_far(self) -> str:
        """Return the place of the measured points."""
        if self._json in (None, STDOUT):
            return f"{self._count()} were measured; --json FILE would keep them"
        return f"{self._count()} are in {self._json}; the same command goes on from there"

    def status(self) -> int:
        """Return the exit code of the points."""
        return exit_code(self._study.statuses)

    def _count(self) -> str:
        return f"{len(self._study.done)} of {len(self._plan.values)} points"
