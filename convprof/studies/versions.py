"""Documents and journals of earlier versions of the format, turned into this version's.

In version 1, `ratio` was an object. In comparisons of the kinds `peers` and `ladder` it was the
time of `b` over the time of `a`. What was measured of a network was among the comparisons.
"""

from __future__ import annotations

import contextlib
from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, positive
from convprof.results import NATIVE, SCHEMA_VERSION
from convprof.stats import Ratio
from convprof.strategies import registry
from convprof.studies.comparison import FIGURES, figures

_READ = (1, SCHEMA_VERSION)
_INVERTED = ("peers", "ladder")
_NETWORKS: dict[str, dict[str, Any]] = {
    "network": {"concurrency": None},
    "plan": {"concurrency": None, "chosen": "optimal"},
    "training": {},
}
"""What was measured of a network, and fields that version 1 did not have."""


def of(fields: dict[str, Any]) -> int:
    """Return the version of a document; InputError for one that cannot be read here."""
    version = fields.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version not in _READ:
        raise InputError(f"its schema_version is neither 1 nor {SCHEMA_VERSION}")
    return version


def upgraded(fields: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a document, or a line of a journal, in the form of this version.

    A comparison that cannot be converted is left out: the measurements are what counts.
    """
    if version == SCHEMA_VERSION or not fields.get("comparisons"):
        return fields
    comparisons, networks = [], []
    for entry in map(mapping, array(fields["comparisons"])):
        with contextlib.suppress(InputError):
            if str(entry.get("kind")) in _NETWORKS:  # a stranger's kind may be a list
                networks.append(_network(entry))
            else:
                comparisons.append(_comparison(entry))
    return {**fields, "comparisons": comparisons, "networks": networks}


# The first documents had the instruction set of generated kernels in the settings only. The sides
# of their comparisons had no type: all results of a document had the same.


def with_labels(fields: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Return a document, or a line of a journal, whose results say their instruction sets.

    The sides of its comparisons say their types too.
    """
    known = mapping(settings or {})
    isa, dtype = known.get("isa", NATIVE), known.get("dtype", "f32")
    changed: dict[str, Any] = {}
    if "measurements" in fields:
        results = map(mapping, array(fields["measurements"]))
        changed["measurements"] = [_with_isa(item, item.get("problem"), isa) for item in results]
    if fields.get("comparisons"):
        comparisons = map(mapping, array(fields["comparisons"]))
        changed["comparisons"] = [{**item, **_sides(item, isa, dtype)} for item in comparisons]
    return {**fields, **changed}


def _sides(comparison: dict[str, Any], isa: Any, dtype: Any) -> dict[str, Any]:
    sides = {key: comparison[key] for key in ("a", "b") if isinstance(comparison.get(key), dict)}
    problem = comparison.get("problem")
    return {key: {"dtype": dtype, **_with_isa(side, problem, isa)} for key, side in sides.items()}


def _with_isa(fields: dict[str, Any], problem: Any, isa: Any) -> dict[str, Any]:
    """Return a result that says what its kernels were generated for; None for other kernels."""
    if "isa" in fields:
        return fields
    name = fields.get("strategy")
    kind = problem.get("kind") if isinstance(problem, dict) else None
    of_kind = registry.strategies(kind) if kind in registry.KINDS else []
    generated = any(each.name == name and each.generated for each in of_kind)
    return {**fields, "isa": isa if generated else None}


def _comparison(fields: dict[str, Any]) -> dict[str, Any]:
    ratio = _ratio(fields)
    if fields.get("kind") in _INVERTED:
        ratio = ratio.inverse
    first = {key: value for key, value in fields.items() if key not in FIGURES}
    return {**first, **figures(ratio), "verdict": fields.get("verdict")}


def _network(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a network's entry: its ratios were a / b, the chain being b, and still are."""
    lists: dict[str, Any] = {
        key: [_beside(mapping(item)) for item in array(fields[key])]
        for key in ("libraries", "chains")
        if key in fields
    }
    if "totals" in fields:
        lists["totals"] = [_side(mapping(item)) for item in array(fields["totals"])]
    return {**_NETWORKS[fields["kind"]], **fields, **lists}


def _side(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the sums over a network's layers, none of them in doubt: version 1 had no doubts."""
    parts = {
        key: {name: {**mapping(part), "doubt": None} for name, part in mapping(value).items()}
        for key, value in fields.items()
        if key in {"passes", "kinds"}
    }
    return {**fields, **parts, "doubt": None}


def _beside(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("ratio") is None:
        return {**fields, **dict.fromkeys(FIGURES)}
    return {**fields, **figures(_ratio(fields))}


def _ratio(fields: dict[str, Any]) -> Ratio:
    ratio = mapping(fields.get("ratio"))
    low, high = ratio.get("low"), ratio.get("high")
    return Ratio(
        value=positive(ratio.get("value")),
        low=None if low is None else positive(low),
        high=None if high is None else positive(high),
        rounds=count(ratio.get("rounds")),
    )
