"""A comparison of results out of the document of ``convprof compare results``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, positive, text, words
from convprof.json_records import record
from convprof.results import FAILURES, Measurement, Time
from convprof.studies import reading
from convprof.studies.compare.changes import limit_of
from convprof.studies.compare.results import Compared, Lost, Row
from convprof.studies.compare.results_basis import BASES, Basis, Choice, Pool
from convprof.studies.compare.results_files import MOST_FILES, Side
from convprof.studies.compare.results_machines import Host
from convprof.studies.compare.results_matching import Difference
from convprof.studies.compare.results_spread import RunSpread
from convprof.studies.comparison import read_ratio

if TYPE_CHECKING:
    from convprof.stats import Ratio

_UNKNOWN = "the document does not say what each side has"


def read(fields: dict[str, Any]) -> list[Compared]:
    """Return each new side against the base; InputError says what is wrong with the document."""
    base = mapping(fields.get("base"))
    compared = [_compared(base, mapping(item)) for item in array(fields.get("comparisons"))]
    if not compared:
        raise InputError("nothing is compared in it")
    return compared


def limit(fields: dict[str, Any]) -> float | None:
    """Return the share of a slow-down that fails; None without a limit."""
    text_ = fields.get("fail_on")
    return None if text_ is None else limit_of(words(text_))


def _compared(base: dict[str, Any], new: dict[str, Any]) -> Compared:
    basis = _basis(new.get("basis"))
    reason, unmatched = new.get("basis_reason"), mapping(new.get("unmatched", {}))
    why = unmatched.get("reason")
    return Compared(
        base=_side(base),
        new=_side(new),
        hosts=(Host.read(mapping(base.get("host"))), Host.read(mapping(new.get("host")))),
        choice=Choice(basis, "" if reason is None else words(reason)),
        spread=record(RunSpread, new.get("run_spread")),
        rows=[_row(mapping(item)) for item in array(new.get("rows"))],
        lost=[_lost(mapping(item)) for item in array(new.get("lost"))],
        only=(count(new.get("only_base"), 0), count(new.get("only_new"), 0)),
        unmatched=(
            _UNKNOWN if why is None else words(why),
            [_difference(mapping(item)) for item in array(unmatched.get("differences", []))],
        ),
    )


def _side(fields: dict[str, Any]) -> Side:
    """Return the name of a side; its files are not read."""
    files = [words(name) for name in array(fields.get("files"))]
    return Side(words(fields.get("name", ", ".join(files))), ())


def _difference(fields: dict[str, Any]) -> Difference:
    base, new = ([words(value) for value in array(fields.get(key))] for key in ("base", "new"))
    return Difference(words(fields.get("dimension")), base, new)


def _basis(value: Any) -> Basis:
    return reading.one_of(value, get_args(Basis), "basis of a comparison")


def _row(fields: dict[str, Any]) -> Row:
    ratios = mapping(fields.get("ratios"))
    rounds = count(fields.get("rounds"))
    known: dict[Basis, Ratio] = {
        basis: read_ratio({"rounds": rounds, **mapping(ratios[basis])})
        for basis in BASES
        if ratios.get(basis) is not None
    }
    new, base = (_pool(fields, key) for key in ("new", "base"))
    doubt = fields.get("doubt")
    lacks = None if doubt is None or new.doubt or base.doubt else words(doubt)
    return Row(new, base, read_ratio(fields), known, lacks)


def _pool(fields: dict[str, Any], side: str) -> Pool:
    own = mapping(fields.get(side))
    number = count(own.get("measurements"))
    if number > MOST_FILES:
        raise InputError("a row is of far too many files")
    seconds, doubt, share = positive(own.get("seconds")), own.get("doubt"), own.get("peak_fraction")
    measurement = Measurement(
        **_subject(fields),
        status="ok",
        time_s=Time(seconds, 0.0, None, None, seconds, 1, 1),
        peak_fraction=None if share is None else positive(share),
        doubt=None if doubt is None else words(doubt),
    )
    return Pool((measurement,) * number)


def _lost(fields: dict[str, Any]) -> Lost:
    status = reading.one_of(fields.get("status"), FAILURES, "status")
    reason = fields.get("reason")
    failed = Measurement(
        **_subject(fields), status=status, reason=None if reason is None else words(reason)
    )
    return Lost(_pool(fields, "base"), failed)


def _subject(fields: dict[str, Any]) -> dict[str, Any]:
    names = ("layout", "isa", "environment")
    layout, isa, environment = (fields.get(name) for name in names)
    problem = reading.problem(fields.get("problem"))
    reading.check_shown(problem)
    return {
        "problem": problem,
        "strategy": text(fields.get("strategy")),
        "layout": None if layout is None else text(layout),
        "dtype": text(fields.get("dtype")),
        "threads": count(fields.get("threads")),
        "cache": "cold" if fields.get("cache") == "cold" else "hot",
        "isa": None if isa is None else text(isa),
        "environment": None if environment is None else text(environment),
    }
