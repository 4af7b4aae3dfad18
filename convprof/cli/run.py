"""``convprof run``: measure every strategy on a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import dry_run, from_flags, measuring, options
from convprof.cli.outputs import Outputs
from convprof.cli.training_totals import TrainingTotals
from convprof.cli.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Picture
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.run import Run

KEPT = (
    "pass_",
    "epilogue",
    "strategy",
    "layout",
    "threads",
    "dtype",
    "isa",
    "tune",
    "cache",
    "budget",
    "rounds",
    "seed",
)


@click.command("run")
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.layout_option()
@options.measure_options()
@click.option("--asm", is_flag=True, help="Print the inner loops of generated kernels, counted.")
@click.option("--explain", is_flag=True, help="Say what auto chose, and why.")
@options.dry_run_option
@options.plot_option("Draw the rates as .svg or .png")
@options.output_options()
def command(**flags: Any) -> int:
    """Measure convolutions and matrix products, every strategy, side by side.

    PROBLEM is a benchdnn descriptor (mb1ic64ih56oc64kh3ph1), a matrix product
    (512x512:512x512), attention (attention:1x12x197x64) or a network's layer
    (resnet50:layer1.0.conv2, globs allowed).
    Without one: the 3x3 convolution of ResNet-50's first stage.
    """
    asked = from_flags.asked(flags)
    if flags["dry_run"]:
        dry_run.dry_run(asked, dry_run.command_line("run", flags, KEPT))
        return 0
    outputs = Outputs.of(flags)
    from convprof.studies.run import Run

    return measuring.Measuring(
        asked,
        outputs,
        lambda problem, watch: Run(problem, asked.choice, asked.settings, asked.machine, watch),
        _View(asked, flags, outputs),
    ).run()


class _View(View["Run"]):
    """Print each problem when it is finished."""

    def __init__(self, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        self._outputs = outputs
        self._drawn: list[Measurement] = []
        """What the picture shows; empty if none was asked for."""
        self._choice, self._machine = asked.choice, asked.machine
        self._totals = TrainingTotals(asked, flags)
        self._asm, self._explain = flags["asm"], flags["explain"]
        self._measurements: Sequence[Measurement] = ()
        self._explanations: list[tuple[str, str]] = []
        self._loops: list[tuple[str, str]] = []
        self._layer: str | None = None
        """The layer of which all passes are measured."""

    def keep(self, study: Run) -> list[dict[str, Any]]:
        """Take the measurements, and what --asm and --explain show."""
        self._explanations = study.explanations() if self._explain else []
        self._loops = study.inner_loops() if self._asm else []
        self._take(study.problem, study.measurements())
        return []

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take what an earlier process measured; its kernels are gone."""
        del comparisons
        self._explanations, self._loops = [], []
        self._take(problem, measurements)
        return True

    def _take(self, problem: Problem, measurements: Sequence[Measurement]) -> None:
        self._measurements = measurements
        if self._outputs.plot is not None:
            self._drawn += measurements
        last = self._totals.add(problem, list(measurements))
        self._layer = problem.descriptor if last else None

    def show(self, console: Console) -> None:
        """Print the table, and what --asm, --explain and --pass training add."""
        from convprof.codegen import NATIVE
        from convprof.render.run import explanations_report, inner_loops_report, run_report

        choice = self._choice
        narrower = choice.isa != NATIVE
        machine = self._machine
        peaks = machine.peaks(choice.dtype, choice.threads, choice.isa) if narrower else []
        run_report(console, self._measurements, peaks)
        if self._explain:
            explanations_report(console, self._explanations)
        if self._asm:
            inner_loops_report(console, self._loops)
        if self._layer is not None:
            self._totals.show(console, self._layer)

    def pictures(self) -> list[Picture]:
        """Return the rates of all strategies, or of the fastest one of each problem."""
        from convprof.render.run_chart import run_chart

        return self._outputs.pictures(lambda dated: run_chart(self._drawn, dated=dated))
