"""``convprof network NAME --pass``: time the passes of its convolutions and products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.cli import measuring
from convprof.cli.from_flags import Asked
from convprof.cli.network import chain_options
from convprof.cli.network.summary import network_from
from convprof.cli.view import View
from convprof.errors import InputError
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Outputs, Picture
    from convprof.problems import Problem
    from convprof.render.files import Text
    from convprof.render.network.training import Report
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.network.training import LayerPasses, Plan

WHOLE = ("fuse", "plan", "with_", "real_weights", "input_")
"""Flags that the passes do not support."""


def measure(flags: dict[str, Any], outputs: Outputs) -> int:
    """Time every layer once and add up; return the exit code."""
    from convprof.machine.model import MachineModel
    from convprof.studies import preflight
    from convprof.studies.network.training import LayerPasses, plan

    _check_alone(flags["pass_"])
    top = flags["top"]
    planned = plan(network_from(flags), flags["pass_"])
    choice = chain_options.choice_from(flags)
    settings = chain_options.settings_from(flags)
    passes = [each for problem in planned.problems for each in planned.passes(problem)]
    preflight.check_strategies(choice.strategies, passes)
    preflight.check_gradients(passes, choice.dtype)
    preflight.check_memory(passes, choice.dtype, len(choice.layouts))
    machine = MachineModel.here()
    preflight.check_work(passes, choice.dtype, choice.threads, machine)
    asked = Asked([TypedProblem(each) for each in planned.problems], [], choice, settings, machine)
    return measuring.Measuring(
        asked,
        outputs,
        lambda task, watch: LayerPasses(
            task.problem,
            planned.passes(task.problem),
            choice,
            settings,
            machine,
            watch=watch,
        ),
        _View(planned, asked, top, outputs),
    ).run()


def _check_alone(which: str) -> None:
    """Raise InputError for a flag that only the run of a whole network uses."""
    for flag in chain_options.given(WHOLE):
        raise InputError(
            f"{flag} is for running the whole network: leave it out, or --pass {which}"
        )


class _View(View["LayerPasses"]):
    """Collects the layers' measurements; at the end a table, the totals and the comparison."""

    apart = False

    def __init__(self, planned: Plan, asked: Asked, top: int | None, outputs: Outputs) -> None:
        self._plan, self._choice, self._top = planned, asked.choice, top
        self._command, self._outputs = chain_options.command_line(), outputs
        self._machine = asked.machine
        self._measured: dict[Problem, list[Measurement]] = {}

    def keep(self, study: LayerPasses) -> list[dict[str, Any]]:
        """Take the measurements of a layer; the table is printed after the last layer."""
        self._measured[study.problem] = study.measurements()
        return []

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of a layer by an earlier process."""
        del comparisons
        self._measured[problem] = list(measurements)
        return True

    def summary(self, console: Console) -> None:
        """Print the layers and the totals."""
        from convprof.render.network.training import passes_report

        passes_report(console, self._report())

    def answer(self) -> Answer | None:
        """Return the answer about the times of the passes."""
        from convprof.studies.network.training_answer import answer

        if not self._measured:
            return None
        report = self._report()
        return answer(self._plan, report.sides, report.peak.flop_per_s, self._command)

    def networks(self) -> list[dict[str, Any]]:
        """Return the layers and the totals for the document."""
        from convprof.studies.network.training_totals import results, to_json

        if not self._measured:
            return []
        return [to_json(self._plan, results(self._plan, self._measured))]

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return the tables of layers."""
        return {"csv": self._to_csv, "markdown": self._to_markdown}

    def pictures(self) -> list[Picture]:
        """Return the chart of the passes, if requested."""
        from convprof.render.network.training_chart import passes_chart

        if not self._measured:
            return []
        return self._outputs.pictures(lambda dated: passes_chart(self._report(), dated=dated))

    def _to_markdown(self, document: Document) -> str:
        """Return the tables in Markdown, and the machine below."""
        from convprof.render.network.training import passes_markdown

        return passes_markdown(document, self._report())

    def _to_csv(self, document: Document) -> Text:
        """Return one row per layer, pass and strategy, with the number of equal layers."""
        from convprof.render.network.training import passes_csv

        return passes_csv(document, self._plan)

    def _report(self) -> Report:
        from convprof.render.network.training import Report
        from convprof.studies.network.training_totals import results

        (peak,) = self._machine.peaks(self._choice.dtype, self._choice.threads)
        excluded = [
            m for measurements in self._measured.values() for m in measurements if m.status != "ok"
        ]
        return Report(
            self._plan, results(self._plan, self._measured), excluded, self._choice, peak, self._top
        )
