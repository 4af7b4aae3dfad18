"""Comparisons as columns of the CSV: the reference of a measurement, ratio and verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import count, mapping, positive, text, words
from convprof.studies import comparison

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.results import Measurement

Key = tuple[Any, ...]
"""Problem, strategy, threads, layout, instruction set, type and environment of a measurement."""
BLOCKS = "mixers"
"""The comparisons between blocks of several measurements: they have rows of their own."""


def key_of(measurement: Measurement) -> Key:
    """Return the fields of a measurement that a comparison names."""
    m = measurement
    texts = (m.layout, m.isa, m.dtype, m.environment)
    return (_named(m.problem), m.strategy, m.threads, *texts)


def compared_columns(comparisons: Iterable[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Return the columns of each comparison, by the measurement that is its side ``a``.

    The comparisons may come from a stranger's file: a damaged comparison is left out.
    """
    by_measurement: dict[Key, list[dict[str, Any]]] = {}
    for fields in comparisons:
        try:
            key, columns = _compared(fields)
        except InputError:
            continue
        by_measurement.setdefault(key, []).append(columns)
    return by_measurement


def _compared(fields: dict[str, Any]) -> tuple[Key, dict[str, Any]]:
    """Return side ``a``, and the comparison as columns; InputError if it is not a comparison."""
    a, b, problem = (mapping(fields.get(name)) for name in ("a", "b", "problem"))
    ratio = comparison.read_ratio(fields)
    kind, limit = text(fields.get("kind")), mapping(fields.get("limits") or {}).get("a")
    columns = {
        "compared.kind": kind,
        "compared.with": text(b.get("mixer") or b.get("strategy")),
        "compared.with_layout": _words(b.get("layout")),
        "compared.with_threads": count(b.get("threads")),
        "compared.with_isa": _words(b.get("isa")),
        "compared.with_dtype": _words(b.get("dtype")),
        "compared.with_environment": _words(b.get("environment")),
        "compared.ratio": ratio.value,
        "compared.ci95_low": ratio.low,
        "compared.ci95_high": ratio.high,
        "compared.rounds": ratio.rounds,
        "compared.verdict": text(fields.get("verdict")),
        "compared.doubt": _words(fields.get("doubt")),
    }
    if limit is not None:
        columns["limited_by"] = text(mapping(limit).get("kind"))
    strategy, threads = text(a.get("strategy")), count(a.get("threads"))
    texts = (_words(a.get(name)) for name in ("layout", "isa", "dtype", "environment"))
    side = (strategy, threads, *texts)
    if kind == BLOCKS:
        return (BLOCKS,), {**_block(a), **columns}
    return (_named(mapping(a.get("problem", problem))), *side), columns


def _words(value: Any) -> str | None:
    return None if value is None else words(value)


def _block(a: dict[str, Any]) -> dict[str, Any]:
    """Return a block of several measurements as the columns of one."""
    return {
        "problem.name": text(a.get("mixer")),
        "strategy": text(a.get("strategy")),
        "layout": _words(a.get("layout")),
        "threads": count(a.get("threads")),
        "status": "ok",
        "time_s.median": positive(a.get("seconds")),
        "peak_fraction": a.get("peak_fraction"),
        "flop_per_s": a.get("flop_per_s"),
    }


def _named(problem: dict[str, Any]) -> str:
    weights = problem.get("weight_dtype") or ""
    return f"{problem.get('kind')} {problem.get('descriptor')} {weights}"
