"""A saved measurement of a network: its layers, kinds and chain, its plan, or its passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.dtypes import F32
from convprof.errors import InputError
from convprof.render.network import chart, plan, run, training
from convprof.render.network.repeats import Extent as Layers
from convprof.render.network.training_chart import passes_chart
from convprof.render.show import SavedView
from convprof.render.show.machine import machine_lines
from convprof.studies.network import answer, plan_answer, training_answer
from convprof.studies.network.options import Options
from convprof.studies.network.saved import network_result, plan_result
from convprof.studies.network.saved_training import training as read_training
from convprof.studies.next_command import network_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.render.show import Extent
    from convprof.results import Document

OLDER = "it lacks what each layer computes and writes: an older convprof wrote it"


def view(fields: dict[str, Any], document: Document, extent: Extent) -> SavedView:
    """Return an entry of ``networks`` as its command prints it; InputError for what it lacks."""
    views: dict[str, Callable[[dict[str, Any], Document, Extent], SavedView]] = {
        "network": _network,
        "plan": _plan,
        "training": _training,
    }
    build = views.get(str(fields.get("kind")))
    if build is None:
        raise InputError("an unknown kind of network")
    return build(fields, document, extent)


def _lacks(fields: dict[str, Any]) -> tuple[str, ...]:
    return () if all("text" in layer for layer in fields["layers"]) else (OLDER,)


def _words(network: str, document: Document, dtype: str, layout: str) -> list[str]:
    """Return the words that measure the network again on its threads, in its type and layout."""
    threads = sorted({m.threads for m in document.measurements})
    words = ["-t", ",".join(map(str, threads))]
    words += [] if dtype == F32.name else ["--dtype", dtype]
    words += [] if layout == Options.layout else ["--layout", layout]
    return network_command(network, *words)


def _network(fields: dict[str, Any], document: Document, extent: Extent) -> SavedView:
    result = network_result(fields, document)
    layers = Layers(extent.top, extent.every)
    words = _words(result.network, document, result.options.dtype, result.options.layout)
    return SavedView(
        report=_with_machine(lambda console: run.run_report(console, result, layers), document),
        answer=lambda: answer.answer(result, words),
        forms={
            "csv": lambda: run.run_csv(result),
            "markdown": lambda: run.run_markdown(document, result, layers),
        },
        chart=lambda dated: chart.run_chart(result, dated=dated),
        lacks=_lacks(fields),
    )


def _plan(fields: dict[str, Any], document: Document, extent: Extent) -> SavedView:
    result = plan_result(fields, document)
    layers = Layers(extent.top, extent.every)
    words = _words(result.network, document, result.options.dtype, result.options.layout)
    return SavedView(
        report=_with_machine(lambda console: plan.plan_report(console, result, layers), document),
        answer=lambda: plan_answer.answer(result, words),
        forms={
            "csv": lambda: plan.plan_csv(result),
            "markdown": lambda: plan.plan_markdown(document, result, layers),
        },
        chart=lambda dated: chart.plan_chart(result, dated=dated),
        lacks=_lacks(fields),
    )


def _with_machine(
    report: Callable[[Console], None], document: Document
) -> Callable[[Console], None]:
    """Return a report with the lines about the machine at its end."""

    def both(console: Console) -> None:
        report(console)
        machine_lines(console, document)

    return both


def _training(fields: dict[str, Any], document: Document, extent: Extent) -> SavedView:
    saved = read_training(fields, document)
    page = training.Report(
        saved.plan, saved.sides, saved.excluded, saved.choice, saved.peak, extent.top
    )
    choice = saved.choice
    words = _words(saved.plan.network, document, choice.dtype, choice.layouts[0])
    return SavedView(
        report=_with_machine(lambda console: training.passes_report(console, page), document),
        answer=lambda: training_answer.answer(
            saved.plan, saved.sides, saved.peak.flop_per_s, words
        ),
        forms={
            "csv": lambda: training.passes_csv(document, saved.plan),
            "markdown": lambda: training.passes_markdown(document, page),
        },
        chart=lambda dated: passes_chart(page, dated=dated),
    )
