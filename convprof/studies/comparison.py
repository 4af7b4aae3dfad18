"""One comparison for all commands: how many times as long `a` takes as `b`, the reference.

A module that compares derives its own class here: it names the kind, and adds what only that kind
has. The JSON of all kinds begins with the same fields, which are written and read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from convprof import doubts, stats
from convprof.errors import InputError
from convprof.json_checks import count, mapping, pair, positive, text
from convprof.stats import Ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convprof.measure.participant import Participant
    from convprof.results import Measurement
    from convprof.stats import Verdict

FIGURES = ("ratio", "ci95", "rounds", "verdict", "doubt")
"""The fields of every comparison in JSON, besides its two sides."""


class Timed(Protocol):
    """One side of a comparison."""

    @property
    def doubt(self) -> str | None:
        """Why its time cannot be true; None if it can."""


Side = TypeVar("Side", bound=Timed)
T = TypeVar("T")


@dataclass(frozen=True)
class Comparison(Generic[Side]):
    """Two sides that were timed in the same rounds."""

    a: Side
    b: Side
    """The reference."""
    ratio: Ratio
    """The time of ``a`` over the time of ``b``."""

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded: a side's time, or the ratio, cannot be true."""
        return self.a.doubt or self.b.doubt or self.ratio.doubt

    @property
    def verdict(self) -> Verdict:
        """What can be said of ``a``: nothing where there is a doubt."""
        return "undecided" if self.doubt else self.ratio.verdict


@dataclass(frozen=True)
class BestComparison(Comparison["Measurement"]):
    """The best of some measurements, ``a``, and the best of others, ``b``: times in doubt last."""

    best_doubt: str | None = field(default=None, kw_only=True)
    """Why the best of a side may be another measurement, whose time is in doubt."""

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded: it may be another measurement that is the best."""
        return super().doubt or self.best_doubt


def best_doubt(*sides: tuple[Measurement, Iterable[Measurement]]) -> str | None:
    """Return why the best of a side may be another one; a side is its best, and all of it."""
    reasons = (doubts.of_best(best, every) for best, every in sides)
    return next((reason for reason in reasons if reason is not None), None)


def ratio_of(a: Participant, b: Participant) -> Ratio | None:
    """Return the time of ``a`` over the time of ``b``, from the rounds that both took part in."""
    return stats.ratio_by_round(a.seconds, b.seconds)


def times(ratio: Ratio) -> str:
    """Return ``1.20 times (1.18 to 1.21)``: the ratio and its 95 % interval, if that is known."""
    text = f"{ratio.value:.2f} times"
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text} ({ratio.low:.2f} to {ratio.high:.2f})"


def figures(ratio: Ratio, doubt: str | None = None) -> dict[str, Any]:
    """Return the ratio, its interval and its verdict in JSON types; ``doubt`` is about a side."""
    doubt = doubt or ratio.doubt
    return {
        "ratio": ratio.value,
        "ci95": None if ratio.low is None else [ratio.low, ratio.high],
        "rounds": ratio.rounds,
        "verdict": "undecided" if doubt else ratio.verdict,
        "doubt": doubt,
    }


def to_json(
    kind: str, problem: dict[str, Any], comparison: Comparison[Measurement]
) -> dict[str, Any]:
    """Return the common fields of a comparison of two measurements, for the result document."""
    return {
        "kind": kind,
        "problem": problem,
        "a": side(comparison.a),
        "b": side(comparison.b),
        **figures(comparison.ratio, comparison.doubt),
    }


def side(measurement: Measurement) -> dict[str, Any]:
    """Return which measurement a side is: the measurement has the times."""
    return {
        "strategy": measurement.strategy,
        "layout": measurement.layout,
        "threads": measurement.threads,
        "isa": measurement.isa,
        "dtype": measurement.dtype,
        "environment": measurement.environment,
    }


# Comparisons out of a document or a journal. Only the form of the JSON was checked before.


def read(
    kind: str,
    build: Callable[[dict[str, Any], Comparison[Measurement]], T],
    comparisons: Sequence[dict[str, Any]],
    measurements: Sequence[Measurement],
) -> list[T]:
    """Return what ``build`` makes of the comparisons of a kind, in their order.

    A comparison that does not fit the measurements is left out.
    """
    comparable = []
    for fields in comparisons:
        if fields.get("kind") != kind:
            continue
        try:
            a, b = (_measured(fields, key, measurements) for key in ("a", "b"))
            comparable.append(build(fields, Comparison(a, b, read_ratio(fields))))
        except InputError:
            continue
    return comparable


def _measured(fields: dict[str, Any], key: str, measurements: Sequence[Measurement]) -> Measurement:
    """Return the measurement of one side of a comparison."""
    side = mapping(fields.get(key))
    problem = mapping(side.get("problem", fields.get("problem")))
    strategy, threads = text(side.get("strategy")), count(side.get("threads"))
    names = ("layout", "isa", "dtype", "environment")
    labels = (strategy, threads, *(side.get(name) for name in names))
    for m in measurements:
        own_labels = (m.strategy, m.threads, m.layout, m.isa, m.dtype, m.environment)
        if m.time_s and m.problem == problem and own_labels == labels:
            return m
    raise InputError("a comparison is of no measurement in the document")


def read_best_doubt(fields: dict[str, Any]) -> str | None:
    """Return the doubt of a comparison of the best in JSON types."""
    doubt = fields.get("doubt")
    return None if doubt is None else text(doubt)


def read_ratio(fields: dict[str, Any]) -> Ratio:
    """Return the ratio of a comparison in JSON types; InputError if it has none."""
    interval = fields.get("ci95")
    low, high = (None, None) if interval is None else map(positive, pair(interval))
    return Ratio(positive(fields.get("ratio")), low, high, count(fields.get("rounds")))
