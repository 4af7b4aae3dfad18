"""The points of a sweep out of its file, as tables and charts take them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, text
from convprof.measure.settings import Settings
from convprof.problems import parse
from convprof.studies import reading
from convprof.studies.run import Choice
from convprof.studies.sweep.plan import Plan, check_shown
from convprof.studies.sweep.points import capacities, rows_of
from convprof.studies.sweep.range import THREADS

if TYPE_CHECKING:
    from convprof.studies.show import SavedSweep
    from convprof.studies.sweep.points import Capacity, Row

Points = tuple[dict[str, Any], list["Row"], list["Capacity"]]
"""The header, the rows, and where the working set exceeds each cache."""


def read(sweep: SavedSweep) -> Points:
    """Return the points; InputError says what the header lacks."""
    header = sweep.header
    check_shown(header)
    varied, settings = mapping(header.get("sweep")), mapping(header.get("settings"))
    reading.check_shown(reading.problem(varied.get("problem")))
    for value in (varied.get("over"), settings.get("dtype"), settings.get("cache")):
        text(value)
    text(header.get("tool_version"))
    try:
        rows = rows_of(sweep.records, threads=varied["over"] != THREADS)
    except (TypeError, ValueError, LookupError) as error:
        raise InputError(f"a point is damaged ({error})") from None
    if not rows:
        raise InputError("it has no point")
    passed: list[Capacity] = []
    with contextlib.suppress(InputError):  # a variable of a later version passes no cache
        passed = capacities(_plan(varied, settings), mapping(header["machine"]).get("caches") or ())
    return header, rows, passed


def _plan(varied: dict[str, Any], settings: dict[str, Any]) -> Plan:
    """Return what was swept, as far as the working set depends on it."""
    return Plan(
        parse(text(mapping(varied.get("problem")).get("descriptor"))),
        text(varied.get("over")),
        tuple(count(value) for value in array(varied.get("values"))),
        Choice(
            tuple(text(name) for name in array(settings.get("strategies"))),
            tuple(text(name) for name in array(settings.get("layouts"))),
            tuple(count(number) for number in array(settings.get("threads"))),
            text(settings.get("dtype")),
        ),
        Settings(),
    )
