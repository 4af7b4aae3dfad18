"""``convprof compare layouts``: NCHW against NHWC, in the same rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import dry_run, from_flags, measuring, options
from convprof.cli.outputs import Outputs
from convprof.cli.training_totals import TrainingTotals
from convprof.cli.view import View
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.compare.layouts import LayoutComparison, Layouts

KEPT = (
    "pass_",
    "epilogue",
    "strategy",
    "threads",
    "dtype",
    "isa",
    "tune",
    "cache",
    "budget",
    "rounds",
    "seed",
)


@click.command("layouts")
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.measure_options()
@options.dry_run_option
@options.output_options()
def layouts(**flags: Any) -> int:
    """Measure each strategy in NCHW against NHWC, and what converting would cost."""
    asked = from_flags.asked({**flags, "layout": "all"})
    for problem in asked.problems:
        _convolution(problem)
    measuring.note_workload(asked)
    if flags["dry_run"]:
        dry_run.dry_run(asked, dry_run.command_line("compare layouts", flags, KEPT))
        return 0
    outputs = Outputs.of(flags)
    from convprof.studies.compare.layouts import Layouts

    return measuring.Measuring(
        asked,
        outputs,
        lambda problem, watch: Layouts(
            _convolution(problem), asked.choice, asked.settings, asked.machine, watch
        ),
        _View(TrainingTotals(asked, flags)),
    ).run()


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


class _View(View["Layouts"]):
    """Print each convolution when it is finished."""

    def __init__(self, totals: TrainingTotals) -> None:
        self._totals = totals
        self._measurements: Sequence[Measurement] = ()
        self._comparisons: list[LayoutComparison] = []
        self._layer: str | None = None
        """The layer of which all passes are measured."""

    def keep(self, study: Layouts) -> list[dict[str, Any]]:
        """Take the measurements; return the comparisons."""
        self._take(study.problem, study.measurements(), study.comparisons())
        return [comparison.to_json() for comparison in self._comparisons]

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take what an earlier process measured."""
        from convprof.studies.compare.layouts import read

        self._take(problem, measurements, read(comparisons, measurements))
        return True

    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: list[LayoutComparison],
    ) -> None:
        self._measurements, self._comparisons = measurements, comparisons
        last = self._totals.add(problem, list(measurements))
        self._layer = problem.descriptor if last else None

    def show(self, console: Console) -> None:
        """Print both layouts side by side, and the advice."""
        from convprof.render.compare.layouts import layouts_report

        layouts_report(console, self._measurements, self._comparisons)
        if self._layer is not None:
            self._totals.show(console, self._layer)
