"""Mixers out of the result document of ``compare mixers``: their parts are measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import count, mapping, text
from convprof.json_records import record
from convprof.networks.mixers import Grid, mixers
from convprof.studies.compare.mixers.costs import Total
from convprof.studies.compare.mixers.study import KIND, MixerComparison
from convprof.studies.comparison import read_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.mixers import Mixer
    from convprof.results import Document, Measurement
    from convprof.studies.compare.mixers.growth import Stage


MOST_IMAGES, MOST_PARTS = 100, 10_000


def read(document: Document) -> tuple[list[Stage], list[MixerComparison]] | None:
    """Return the images with their mixers, and the comparisons; None for another command.

    InputError for a document that is damaged.
    """
    own = [each for each in document.comparisons if each.get("kind") == KIND]
    if not own:
        return None
    grids = dict.fromkeys(record(Grid, each.get("grid")) for each in own)
    if len(grids) > MOST_IMAGES or len(document.measurements) > MOST_PARTS:
        raise InputError("it has far too many images")
    measured = {
        (m.problem["kind"], m.problem["descriptor"], m.strategy, m.threads): m
        for m in document.measurements
        if m.time_s is not None
    }
    stages = [(grid, _totals(grid, measured)) for grid in grids]
    by_grid = dict(stages)
    compared = [_comparison(each, by_grid) for each in own]
    return stages, [each for each in compared if each is not None]


Measured = dict[tuple[str, str, str, int], "Measurement"]
"""By kind, descriptor, strategy and threads."""


def _totals(grid: Grid, measured: Measured) -> list[Total]:
    """Return the mixers of which every part has a time, by threads and strategy."""
    ways = dict.fromkeys((strategy, threads) for *_, strategy, threads in measured)
    totals = [
        Total(mixer, strategy, threads, parts, _sums(parts))
        for strategy, threads in ways
        for mixer in mixers(grid)
        if (parts := _parts(mixer, strategy, threads, measured)) is not None
    ]
    names = list(dict.fromkeys(strategy for strategy, _ in ways))
    return sorted(totals, key=lambda total: (total.threads, names.index(total.strategy)))


def _parts(
    mixer: Mixer, strategy: str, threads: int, measured: Measured
) -> tuple[Measurement, ...] | None:
    keys = [(p.problem.kind, p.problem.descriptor, strategy, threads) for p in mixer.parts]
    if any(key not in measured or measured[key].flops is None for key in keys):
        return None
    return tuple(measured[key] for key in keys)


def _sums(parts: Sequence[Measurement]) -> Mapping[int, float]:
    """Return the seconds of all parts by round; empty where a part lacks rounds."""
    rounds = [m.time_s.rounds_s or () if m.time_s else () for m in parts]
    if len({len(each) for each in rounds}) != 1:
        return {}
    return {number: sum(each) for number, each in enumerate(zip(*rounds, strict=True))}


def _comparison(
    fields: dict[str, Any], stages: Mapping[Grid, list[Total]]
) -> MixerComparison | None:
    grid = record(Grid, fields.get("grid"))
    a, b = (_side(mapping(fields.get(key)), stages[grid]) for key in ("a", "b"))
    if a is None or b is None or not a.mixer.quadratic_flops:
        return None
    return MixerComparison(a, b, read_ratio(fields), grid)


def _side(fields: dict[str, Any], totals: Sequence[Total]) -> Total | None:
    key = (text(fields.get("mixer")), text(fields.get("strategy")), count(fields.get("threads")))
    return next((t for t in totals if (t.mixer.name, t.strategy, t.threads) == key), None)
