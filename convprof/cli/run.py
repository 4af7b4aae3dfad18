"""``convprof run``: measure every strategy on a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options
from convprof.cli.help_page import Command
from convprof.cli.seconds_flags import NONE
from convprof.cli.training_totals import TrainingTotals
from convprof.cli.view import View
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs, Picture
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.isas import IsaComparison
    from convprof.studies.run import Run


@click.command("run", cls=Command)
@options.suite_options()
@options.all_option
@click.option("--phases", is_flag=True, help="Print where the time of each strategy goes.")
@click.option("--asm", is_flag=True, help="Print the inner loops of generated kernels, counted.")
@click.option("--explain", is_flag=True, help="Say what auto chose, and why.")
@options.dry_run_option
@options.plot_option("Draw the rates as .svg or .png")
@options.output_options(saves=True)
def command(**flags: Any) -> int:
    """Measure convolutions and matrix products, every strategy, side by side.

    PROBLEM is a benchdnn descriptor (mb1ic64ih56oc64kh3ph1), a matrix product
    (512x512:512x512), attention (attention:1x12x197x64), a network's layer
    (resnet50:layer1.0.conv2) or an ONNX file's (model.onnx:/layer1/conv1/Conv), globs allowed.
    Without one: the 3x3 convolution of ResNet-50's first stage.
    """
    if flags["asm"] and flags["isolate"] != NONE:
        raise InputError("--asm prints kernels of this process: leave out --isolate")
    asked = from_flags.asked(flags, several_isas=True)
    measuring.note_workload(asked)
    from convprof.studies.run import Run

    return measuring.each_problem(asked, flags, Run, lambda outputs: _View(asked, flags, outputs))


class _View(View["Run"]):
    """Print a problem when it is finished; of several problems a row each, at the end."""

    def __init__(self, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        self._asked, self._outputs = asked, outputs
        self._drawn: list[Measurement] = []
        """The measurements for the picture; empty if no picture was requested."""
        self._totals = TrainingTotals(flags)
        self._asm, self._explain = flags["asm"], flags["explain"]
        self._every, self._phases = flags["every"], flags["phases"]
        self._several = len(asked.problems) > 1
        self.apart = not self._several or self._every or self._asm or self._explain
        self._measurements: Sequence[Measurement] = ()
        """The measurements of the last problem."""
        self._fastest: list[Measurement] = []
        """The fastest measurement of each problem."""
        self._isas: list[IsaComparison] = []
        self._failures: list[Measurement] = []
        self._explanations: list[tuple[str, str]] = []
        self._loops: list[tuple[str, str]] = []

    def keep(self, study: Run) -> list[dict[str, Any]]:
        """Take the measurements, and the data of --asm and --explain."""
        self._explanations = study.explanations() if self._explain else []
        self._loops = study.inner_loops() if self._asm else []
        comparisons = study.comparisons()
        self._isas += comparisons
        self._take(study.problem, study.measurements())
        return [comparison.to_json() for comparison in comparisons]

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of an earlier process; its kernels do not exist any more."""
        from convprof.studies.compare import isas

        self._isas += isas.read(comparisons, measurements)
        self._explanations, self._loops = [], []
        self._take(problem, measurements)
        return True

    def _take(self, problem: Problem, measurements: Sequence[Measurement]) -> None:
        from convprof.results import FAILURES
        from convprof.studies.shortlist import fastest_of_problem

        self._measurements = measurements
        if self._outputs.draws:
            self._drawn += measurements
        self._totals.add(problem, list(measurements))
        best = fastest_of_problem(measurements)
        if best is not None:
            self._fastest.append(best)
        self._failures += [m for m in measurements if m.status in FAILURES]

    def show(self, console: Console) -> None:
        """Print the table, with --asm and --explain; for several problems only with --all."""
        from convprof.render import run as view

        if not self._several or self._every:
            choice, machine = self._asked.choice, self._asked.machine
            peaks = [
                peak
                for isa in choice.named_isas
                for peak in machine.peaks(self._measurements[0].dtype, choice.threads, isa)
            ]
            detail = view.Detail(every=self._every, phases=self._phases)
            view.run_report(console, self._measurements, peaks, detail)
        elif self._phases or self._explain or self._asm:
            view.title_report(console, self._measurements)
            if self._phases:
                view.phases_report(console, self._fastest[-1:])
        if self._explain:
            view.explanations_report(console, self._explanations, self._measurements)
        if self._asm:
            view.inner_loops_report(console, self._loops)

    def summary(self, console: Console) -> None:
        """Print a row for each of several problems, and the totals of --pass training."""
        from convprof.render.run_many import problems_report

        if self._several:
            if self._every:
                console.print()
            problems_report(console, self._fastest, self._failures, self._count)
        self._totals.show_all(console)

    def answer(self) -> Answer | None:
        """Return the fastest strategy, its limit, and the faster instruction set."""
        from convprof.studies.compare.isas_answer import added
        from convprof.studies.run_answer import answer, answer_of_many
        from convprof.studies.selection import whole_network

        if not self._several:
            return added(answer(self._measurements), self._isas)
        refused = [task.problem for task in self._asked.refused]
        network = whole_network([*self._asked.problems, *refused])
        return added(answer_of_many(self._fastest, self._count, network), self._isas)

    @property
    def _count(self) -> int:
        """The number of problems, including refused problems."""
        return len(self._asked.tasks) + len(self._asked.refused)

    def pictures(self) -> list[Picture]:
        """Return the rates of all strategies, or of the fastest one of each problem."""
        from convprof.render.run_chart import run_chart

        return self._outputs.pictures(lambda dated: run_chart(self._drawn, dated=dated))
