"""``convprof compare layouts``: NCHW against NHWC, in the same rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options
from convprof.cli.compare.view import ComparingIsasView
from convprof.cli.help_page import Command
from convprof.cli.training_totals import TrainingTotals
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs, Picture
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.layouts import LayoutComparison, Layouts


@click.command("layouts", cls=Command)
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.measure_options(several_isas=True, file_types=True)
@options.all_option
@options.dry_run_option
@options.plot_option("Draw the ratios as .svg or .png")
@options.output_options(saves=True)
def layouts(**flags: Any) -> int:
    """Measure each strategy in NCHW against NHWC, and what converting would cost."""
    asked = from_flags.asked({**flags, "layout": "all"}, several_isas=True)
    for problem in asked.problems:
        _convolution(problem)
    measuring.note_workload(asked)
    from convprof.studies.compare.layouts import Layouts

    return measuring.each_problem(
        asked, flags, Layouts, lambda outputs: _View(asked, flags, outputs)
    )


def _convolution(problem: Problem) -> Problem:
    from convprof.problems import Conv2d

    if problem.family != Conv2d.kind:
        raise InputError(
            f"{problem.descriptor}: {_a(problem.kind)} has no layouts to compare; "
            "name a convolution"
        )
    return problem


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


class _View(ComparingIsasView["Layouts", "LayoutComparison"]):
    """Print a convolution when it is finished; of several convolutions a row each, at the end."""

    def __init__(self, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        super().__init__()
        self._outputs = outputs
        self._asked, self._every = asked, flags["every"]
        self._several = len(asked.problems) > 1
        self.apart = not self._several or self._every
        self._totals = TrainingTotals(flags)
        self._measurements: Sequence[Measurement] = ()
        """The measurements of the last problem."""
        self._comparisons: list[list[LayoutComparison]] = []
        """The comparisons of each problem."""
        self._failures: list[Measurement] = []

    def _compared(self, study: Layouts) -> list[LayoutComparison]:
        """Return the comparisons of a study that has ended."""
        return study.comparisons()

    def _read(
        self, comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
    ) -> list[LayoutComparison]:
        """Return the comparisons of an earlier process."""
        from convprof.studies.compare.layouts import read

        return read(comparisons, measurements)

    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        compared: list[LayoutComparison],
    ) -> None:
        from convprof.results import FAILURES

        self._measurements = measurements
        self._comparisons.append(compared)
        self._failures += [m for m in measurements if m.status in FAILURES]
        self._totals.add(problem, list(measurements))

    def show(self, console: Console) -> None:
        """Print both layouts side by side; of several problems with --all."""
        from convprof.render.compare.layouts import layouts_report

        if not self._several or self._every:
            comparisons = self._comparisons[-1]
            layouts_report(console, self._measurements, comparisons, every=self._every)

    def summary(self, console: Console) -> None:
        """Print a row for each of several problems, and the totals of --pass training."""
        from convprof.render.compare.layouts import summary_report

        if self._several:
            if self._every:
                console.print()
            summary_report(console, self._comparisons, self._failures)
        self._totals.show_all(console)

    def answer(self) -> Answer | None:
        """Return the faster layout and instruction set, and whether converting pays."""
        from convprof.studies.compare.isas_answer import added
        from convprof.studies.compare.layouts_answer import answer
        from convprof.studies.selection import whole_network

        network = whole_network(self._asked.problems)
        return added(answer(self._comparisons, network), self._isas)

    def pictures(self) -> list[Picture]:
        """Return the ratios of all strategies, or of the fastest one of each problem."""
        from convprof.render.compare.layouts_chart import layouts_chart

        every = [comparison for each in self._comparisons for comparison in each]
        return self._outputs.pictures(lambda dated: layouts_chart(every, dated=dated))
