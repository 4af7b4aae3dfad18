"""``convprof network NAME``: its layers and its chain timed; ``--plan``: the fastest chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from convprof.cli import from_flags, measuring
from convprof.cli.from_flags import Asked
from convprof.cli.network import chain_options
from convprof.cli.network.summary import has_weights, imported_from, network_from
from convprof.cli.view import View
from convprof.errors import InputError
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Outputs, Picture
    from convprof.machine.model import MachineModel
    from convprof.measure.events import Event
    from convprof.problems import NetworkProblem
    from convprof.render.charts.chart import Bars
    from convprof.render.files import Text
    from convprof.render.network.repeats import Extent
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.isas import IsaComparison
    from convprof.studies.network.options import Options
    from convprof.studies.timeline import Track


class _Finding(Protocol):
    """A study of a whole network."""

    def events(self) -> Iterator[Event]:
        """Measure; yield the events."""

    def measurements(self) -> list[Measurement]:
        """Return the results so far."""

    def result(self) -> Any:
        """Return the result so far."""


def measure(flags: dict[str, Any], outputs: Outputs) -> int:
    """Time every layer and the chain; return the exit code."""
    from convprof.render.network import run as view
    from convprof.render.network.chart import run_chart
    from convprof.studies.network.answer import answer
    from convprof.studies.network.study import NetworkStudy
    from convprof.studies.network.timeline import of_network

    whole, how, asked = _read(flags)
    _check(whole, how, asked.machine)
    # A layer that no strategy computes is refused before anything is measured.
    NetworkStudy(whole, how, asked.settings, None)
    forms = _Forms(
        view.run_report,
        view.run_csv,
        view.run_markdown,
        run_chart,
        lambda result: result.isas,
        answer,
        of_network,
    )
    shown = _View(forms, flags, outputs)
    return shown.measure(
        asked,
        lambda w: NetworkStudy(whole, how, asked.settings, asked.machine, w),
    )


def plan(flags: dict[str, Any], outputs: Outputs) -> int:
    """Time every layer in all candidate ways, find the fastest chain, verify and compare it."""
    from convprof.render.network import plan as view
    from convprof.render.network.chart import plan_chart
    from convprof.studies.network.plan import Plan
    from convprof.studies.network.plan_answer import answer
    from convprof.studies.network.timeline import of_plan

    whole, how, asked = _read(flags)
    how = replace(how, fuse=True)
    if not chain_options.given(("strategy",)):  # all candidates of auto
        how = replace(how, strategies=())
        asked = replace(asked, choice=replace(asked.choice, strategies=()))
    _check(whole, how, asked.machine)
    Plan(whole, how, asked.settings, None)
    forms = _Forms(
        view.plan_report,
        view.plan_csv,
        view.plan_markdown,
        plan_chart,
        lambda _: (),  # a plan has one instruction set
        answer,
        of_plan,
    )
    shown = _View(forms, flags, outputs)
    return shown.measure(asked, lambda w: Plan(whole, how, asked.settings, asked.machine, w))


def _read(flags: dict[str, Any]) -> tuple[NetworkProblem, Options, Asked]:
    """Return the network and the options of the flags; InputError for the first invalid flag."""
    from convprof.machine.model import MachineModel
    from convprof.studies.network.options import Options

    choice = chain_options.choice_from(flags, several_threads=True, several_isas=not flags["plan"])
    settings = chain_options.settings_from(flags)
    how = Options(
        strategies=choice.strategies,
        layout=choice.layouts[0],
        threads=max(choice.threads),
        thread_counts=choice.threads if len(choice.threads) > 1 else (),
        dtype=choice.dtype,
        isas=choice.isas,
        tune=choice.tune,
        fuse=flags["fuse"],
        libraries=from_flags.names_from(flags, "with_"),
    )
    whole = _problem(flags)
    asked = Asked([TypedProblem(whole)], [], choice, settings, MachineModel.here())
    return whole, how, asked


def _problem(flags: dict[str, Any]) -> NetworkProblem:
    """Return the network, with the weights of the file if the flags say so."""
    from convprof.problems import NetworkProblem

    if flags["real_weights"]:
        return _of_file(flags)
    if flags["input_"] is not None:
        raise InputError(f"--input {flags['input_']} needs --real-weights")
    return NetworkProblem(network_from(flags))


def _of_file(flags: dict[str, Any]) -> NetworkProblem:
    from convprof.problems import NetworkProblem
    from convprof.render import console
    from convprof.studies.network.accuracy import RUNTIME, runtime_result
    from convprof.studies.network.file_operands import inputs_from, operands_of

    if not has_weights(flags["name"]):
        raise InputError(f"--real-weights is for ONNX files; {flags['name']} has no weights")
    imported = imported_from(flags)
    x = None
    if flags["input_"] is not None:
        x, note = inputs_from(flags["input_"], imported.inputs, imported.network.whole)
        if note is not None and not flags["quiet"]:
            console.say(console.stderr(flags["color"]), f"note: {note}")
    real = operands_of(imported, flags["seed"], x)
    y = runtime_result(imported, real.x)
    others = {} if y is None else {RUNTIME: y}
    return NetworkProblem(imported.network, replace(real, others=others))


def _check(whole: NetworkProblem, how: Options, machine: MachineModel) -> None:
    """Raise InputError for strategies that compute no layer, or too little memory."""
    from convprof.strategies.networks.recipe import recipe_for
    from convprof.studies import preflight

    preflight.check_whole_numbers(whole, how.dtype)
    problems = [step.problem for step in recipe_for(whole, fuse=how.fuse).steps]
    preflight.check_strategies(how.strategies, problems)
    preflight.check_memory(problems, how.dtype, 1)
    preflight.check_work([whole], how.dtype, [how.threads], machine)


@dataclass(frozen=True, slots=True)
class _Forms:
    """The functions that show a result."""

    report: Callable[[Console, Any, Extent], None]
    csv: Callable[[Any], str]
    markdown: Callable[[Document, Any, Extent], str]
    chart: Callable[..., Bars | None]
    comparisons: Callable[[Any], Sequence[IsaComparison]]
    answer: Callable[[Any, Sequence[str]], Answer | None]
    """The words are the command line that runs the same network."""
    tracks: Callable[[Any], list[Track]]
    """The timeline of a result."""


class _View(View[_Finding]):
    """Shows the result of a study, and holds it for the forms that are written at the end."""

    def __init__(self, forms: _Forms, flags: dict[str, Any], outputs: Outputs) -> None:
        from convprof.render.network.repeats import Extent

        self._forms, self._outputs = forms, outputs
        self._extent = Extent(flags["top"], flags["every"])
        self._command = chain_options.command_line()
        self._found: Any = None

    def measure(self, asked: Asked, study: Callable[[Any], _Finding]) -> int:
        """Measure the network; return the exit code."""
        return measuring.Measuring(asked, self._outputs, lambda _, watch: study(watch), self).run()

    def keep(self, study: _Finding) -> list[dict[str, Any]]:
        """Take the result."""
        self._found = study.result()
        return [comparison.to_json() for comparison in self._forms.comparisons(self._found)]

    def networks(self) -> list[dict[str, Any]]:
        """Return the result for the document."""
        return [] if self._found is None else [self._found.to_json()]

    def show(self, console: Console) -> None:
        """Print the layers and the chain."""
        self._forms.report(console, self._found, self._extent)

    def answer(self) -> Answer | None:
        """Return the layers that take most of the time, or the fastest chain."""
        return None if self._found is None else self._forms.answer(self._found, self._command)

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return the writers of the timeline and of the tables of layers."""
        from convprof.render import timeline

        if self._found is None:
            return {"trace": lambda _: timeline.to_json([])}
        return {
            "trace": lambda _: timeline.to_json(self._forms.tracks(self._found)),
            "csv": lambda _: self._forms.csv(self._found),
            "markdown": lambda document: self._forms.markdown(document, self._found, self._extent),
        }

    def pictures(self) -> list[Picture]:
        """Return the chart of the result."""
        result, chart = self._found, self._forms.chart
        if result is None:
            return []
        return self._outputs.pictures(lambda dated: chart(result, dated=dated))
