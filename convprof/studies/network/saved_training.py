"""The passes of a network's layers, out of the result document of ``network --pass``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, mapping, short, text, words
from convprof.machine.ceilings_store import read_peak
from convprof.problems.descriptor import parse_product
from convprof.problems.gradients import PASSES
from convprof.studies.network.saved_step import MOST_LAYERS, read_shape
from convprof.studies.network.training import Layer, Plan, asked_passes
from convprof.studies.network.training_totals import results
from convprof.studies.run import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.peaks import Peak
    from convprof.problems import Problem
    from convprof.results import Document, Measurement
    from convprof.studies.network.training import Product
    from convprof.studies.network.training_totals import Result


@dataclass(frozen=True)
class SavedTraining:
    """What tables and answer of the passes need."""

    plan: Plan
    sides: Sequence[Sequence[Result]]
    excluded: Sequence[Measurement]
    choice: Choice
    peak: Peak


def training(fields: dict[str, Any], document: Document) -> SavedTraining:
    """Return an entry of ``networks`` of kind ``training`` with its measurements."""
    which = fields.get("pass")
    if which not in PASSES:
        raise InputError("an unknown pass")
    layers = array(fields.get("layers"))
    if len(layers) > MOST_LAYERS:
        raise InputError("it has far too many layers")
    plan = Plan(
        network=words(fields.get("network")),
        input=read_shape(fields.get("input")),
        which=which,
        layers=tuple(_layer(mapping(layer), which) for layer in layers),
        left_out=tuple(words(name) for name in array(fields.get("left_out", []))),
    )
    measured: dict[Problem, list[Measurement]] = {}
    for m in document.measurements:
        measured.setdefault(_problem(m.problem), []).append(m)
    first = next((m for own in measured.values() for m in own), None)
    if first is None:
        raise InputError("there are no measurements in it")
    choice = Choice(threads=(first.threads,), layouts=(first.layout or "nhwc",), dtype=first.dtype)
    peaks = [read_peak(item) for item in short(document.ceilings.get("peaks", []))]
    of_type = [p for p in peaks if (p.dtype, p.threads) == (first.dtype, first.threads)]
    if not of_type:
        raise InputError("the peak of its type and threads is missing")
    excluded = [m for m in document.measurements if m.status != "ok"]
    return SavedTraining(plan, results(plan, measured), excluded, choice, of_type[0])


def _layer(fields: dict[str, Any], which: str) -> Layer:
    names = tuple(words(name) for name in array(fields.get("names")))
    passes = tuple(text(each) for each in array(fields.get("passes")))
    if not names or not passes or not {*passes} <= {*asked_passes(which)}:
        raise InputError("a layer has no name or no pass")
    return Layer(
        names=names,
        text=words(fields.get("text")),
        kind=words(fields.get("op")),
        problem=_problem(mapping(fields.get("problem"))),
        passes=passes,
        learned=fields.get("learned") is True,
    )


def _problem(fields: dict[str, Any]) -> Product:
    """Return the forward problem of a layer or of a measurement."""
    return parse_product(words(fields.get("descriptor")))
