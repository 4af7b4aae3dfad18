"""Comparisons out of a document or a journal, put together again from its measurements.

Only the form of the JSON was checked before: here each is what it should be, or left out.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from convprof.errors import InputError
from convprof.machine.untrusted import count, mapping, positive, text
from convprof.stats import Ratio
from convprof.strategies import registry
from convprof.studies.layouts import OTHER, Conversions, LayoutComparison
from convprof.studies.peers import LARGEST_ERROR, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.results import Measurement

T = TypeVar("T")


def layouts(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[LayoutComparison]:
    """Return the comparisons of layouts among them, in their order."""
    return _found("layouts", _layouts, comparisons, measurements)


def peers(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[Standing]:
    """Return the comparisons with libraries among them; the document names the fastest only."""
    return _found("peers", _standing, comparisons, measurements)


def _found(
    kind: str,
    read: Callable[[dict[str, Any], Sequence[Measurement]], T],
    comparisons: Sequence[dict[str, Any]],
    measurements: Sequence[Measurement],
) -> list[T]:
    """Return the comparisons of a kind that fit the measurements; others are left out."""
    found = []
    for fields in comparisons:
        if fields.get("kind") == kind:
            with contextlib.suppress(InputError):
                found.append(read(fields, measurements))
    return found


def _layouts(fields: dict[str, Any], measurements: Sequence[Measurement]) -> LayoutComparison:
    nhwc, nchw = (_side(fields, key, measurements) for key in ("a", "b"))
    conversions = fields.get("conversions")
    return LayoutComparison(
        strategy=nchw.strategy,
        threads=nchw.threads,
        nchw=nchw,
        nhwc=nhwc,
        ratio=_ratio(fields),
        conversions=None if conversions is None else _conversions(mapping(conversions)),
    )


def _standing(fields: dict[str, Any], measurements: Sequence[Measurement]) -> Standing:
    ours, fastest = (_side(fields, key, measurements) for key in ("a", "b"))
    return Standing(ours, (fastest, *_others(ours, fastest, measurements)), _ratio(fields))


def _others(
    ours: Measurement, fastest: Measurement, measurements: Sequence[Measurement]
) -> list[Measurement]:
    """Return the other libraries' fastest exact results on the same problem and threads."""
    names = {s.name for s in registry.strategies(ours.problem["kind"]) if s.role.is_peer}
    best: dict[str, Measurement] = {}
    for m in sorted(measurements, key=lambda m: m.time_s.median if m.time_s else 0.0):
        same = (m.problem, m.threads) == (ours.problem, ours.threads)
        exact = m.time_s is not None and (m.max_rel_error or 0.0) <= LARGEST_ERROR
        if same and exact and m.strategy in names and m.strategy != fastest.strategy:
            best.setdefault(m.strategy, m)
    return list(best.values())


def _side(fields: dict[str, Any], key: str, measurements: Sequence[Measurement]) -> Measurement:
    """Return the measurement that one side of a comparison is about."""
    side = mapping(fields.get(key))
    problem = mapping(fields.get("problem"))
    wanted = (text(side.get("strategy")), side.get("layout"), count(side.get("threads")))
    for m in measurements:
        if m.time_s and m.problem == problem and (m.strategy, m.layout, m.threads) == wanted:
            return m
    raise InputError("a comparison is of nothing that was measured")


def _ratio(fields: dict[str, Any]) -> Ratio:
    ratio = mapping(fields.get("ratio"))
    low, high = ratio.get("low"), ratio.get("high")
    return Ratio(
        value=positive(ratio.get("value")),
        low=None if low is None else positive(low),
        high=None if high is None else positive(high),
        rounds=count(ratio.get("rounds")),
    )


def _conversions(fields: dict[str, Any]) -> Conversions:
    sides = [mapping(fields.get(key)) for key in ("input_s", "output_s")]
    return Conversions(*({name: positive(side.get(name)) for name in OTHER} for side in sides))
