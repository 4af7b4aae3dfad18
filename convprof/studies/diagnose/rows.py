"""A row of the diagnosis: an operation, its calls, and its time against the ceilings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.dtypes import types
from convprof.errors import InputError
from convprof.json_checks import count, number, words
from convprof.logs.operation import Operation
from convprof.measure.report import describe
from convprof.results import Flops, Measurement, Time
from convprof.studies import reading, roofline_model
from convprof.studies.diagnose.faster import read_faster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.machine.model import MachineModel
    from convprof.machine.peaks import Peak
    from convprof.studies.diagnose.faster import Faster
    from convprof.studies.diagnose.groups import Group

OVER = 1.0
"""A larger share of the peak is not possible on this machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of the log; None for what is unknown."""

    operation: Operation
    calls: int
    total_s: float
    """Calls and creations."""
    share: float
    """Of the log's total."""
    median_s: float | None
    first_s: float | None
    created: int
    reused: int
    creation_s: float
    measurement: Measurement | None
    """The median call as a measurement; None if it is not a problem of convprof."""
    peak_fraction: float | None = None
    bound: str | None = None
    """``compute``, or the level of memory whose bandwidth is the lower ceiling."""
    least_s: float | None = None
    """The shortest time of a call that the ceilings allow."""
    faster: Faster | None = None
    """What was measured for the same problem."""

    @property
    def flop_per_s(self) -> float | None:
        """The rate of the median call."""
        return None if self.measurement is None else self.measurement.flop_per_s

    @property
    def uneven_s(self) -> float:
        """The time of calls beyond the median call's: first or disturbed calls."""
        usual_s = self.calls * (self.median_s or 0.0)
        return max(0.0, self.total_s - self.creation_s - usual_s) if usual_s else 0.0

    @property
    def over(self) -> bool:
        """Whether the rate is over the peak: nothing is concluded from such a row."""
        return self.peak_fraction is not None and self.peak_fraction > OVER

    @property
    def times_least(self) -> float | None:
        """How many times as long as the least time the median call takes; None if unknown."""
        if not self.least_s or not self.median_s or self.over:
            return None
        return self.median_s / self.least_s

    @property
    def is_faster_on_one_thread(self) -> bool:
        """Whether one thread was measured to be faster than all that the program uses."""
        if self.measurement is None or self.faster is None or self.median_s is None:
            return False
        one = self.faster.best.threads == 1 < self.measurement.threads
        return one and (self.could_s or math.inf) < self.median_s

    @property
    def lost_s(self) -> float | None:
        """The time over what the ceilings allow, of all calls; None where that is unknown."""
        if self.least_s is None or self.over:
            return None
        return max(0.0, self.total_s - self.calls * self.least_s)

    @property
    def at_stake_s(self) -> float:
        """What is lost; the total where no ceiling is known."""
        lost = self.lost_s
        return self.total_s if lost is None and not self.over else lost or 0.0

    @property
    def could_s(self) -> float | None:
        """The time of a call that the fastest strategy or library takes; None if not measured."""
        time = None if self.faster is None else self.faster.best.time_s
        return None if time is None else time.median

    @property
    def saved_s(self) -> float | None:
        """What the fastest way saves in all calls; None where nothing was measured."""
        if self.median_s is None or self.could_s is None:
            return None
        return self.calls * max(0.0, self.median_s - self.could_s)

    @property
    def saved_half_s(self) -> float:
        """Half the 95 % interval of what is saved, as far as that is known."""
        time = None if self.faster is None else self.faster.best.time_s
        return 0.0 if time is None else self.calls * (time.half_interval or 0.0)

    @property
    def around_s(self) -> float:
        """The part of a call's time that its library does not take when it is measured alone."""
        alone = None if self.faster is None or self.faster.alone is None else self.faster.alone
        if alone is None or alone.time_s is None or self.median_s is None:
            return 0.0
        return max(0.0, self.median_s - alone.time_s.median)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        operation, measured = self.operation, self.measurement
        return {
            "library": operation.library,
            "operation": operation.kind,
            "text": operation.text,
            "problem": None if measured is None else measured.problem,
            "types": operation.types or None,
            "layout": operation.layout or None,
            "is_conversion": operation.is_conversion,
            "implementation": operation.implementation or None,
            "calls": self.calls,
            "total_s": self.total_s,
            "share": self.share,
            "median_s": self.median_s,
            "first_s": self.first_s,
            "created": self.created,
            "reused": self.reused,
            "creation_s": self.creation_s,
            "flops": None if measured is None or measured.flops is None else measured.flops.direct,
            "flop_per_s": self.flop_per_s,
            "peak_fraction": self.peak_fraction,
            "bound": self.bound,
            "least_s": self.least_s,
            "lost_s": self.lost_s,
            "saved_s": self.saved_s,
            "faster": None if self.faster is None else self.faster.to_json(),
        }


def row_of(group: Group, total_s: float, threads: int) -> Row:
    """Return the row of a group without its ceilings."""
    median_s = group.median_s
    return Row(
        group.operation,
        group.calls,
        group.total_s,
        group.total_s / total_s if total_s else 0.0,
        median_s,
        group.first_s,
        group.created,
        group.reused,
        group.creation_s,
        _measurement(group, median_s, threads) if median_s else None,
    )


def _measurement(group: Group, median_s: float, threads: int) -> Measurement | None:
    """Return the median call as if convprof had measured it, so that ceilings apply to both."""
    operation = group.operation
    problem = operation.problem
    if problem is None:
        return None
    try:
        known = types(operation.types)
    except InputError:  # a type that convprof does not compute
        known = None
    return Measurement(
        problem=describe(problem),
        strategy=operation.implementation,
        layout=operation.layout or None,
        dtype=operation.types if known is None else known.name,
        threads=threads,
        cache="hot",
        status="ok",
        time_s=Time(median_s, 0.0, None, None, median_s, group.calls, 1),
        flops=Flops(problem.flops, problem.flops),
        flop_per_s=problem.flops / median_s,
        bytes_min=None if known is None else problem.bytes_min(known),
    )


def types_with_peak(rows: Iterable[Row]) -> list[str]:
    """Return the element types of the rows whose peak can be measured, in order of appearance."""
    names = dict.fromkeys(row.measurement.dtype for row in rows if row.measurement is not None)
    return [name for name in names if _has_peak(name)]


def _has_peak(name: str) -> bool:
    try:
        return types(name).has_peak
    except InputError:
        return False


def with_ceilings(row: Row, machine: MachineModel) -> Row:
    """Return the row with share, bound and least time, as far as the model has its ceilings."""
    measured, peak = row.measurement, _peak(row, machine)
    if measured is None or peak is None:
        return row
    point = roofline_model.place_here(measured, peak.flop_per_s, machine)
    if point is None or not point.roof:
        return row
    return replace(
        row,
        peak_fraction=point.flop_per_s / peak.flop_per_s,
        bound=point.limit,
        least_s=point.seconds * min(1.0, 1 / point.left),
    )


def levels_needed(row: Row, machine: MachineModel) -> list[str]:
    """Return the caches whose bandwidth the row needs, and the model lacks."""
    if row.measurement is None or _peak(row, machine) is None:
        return []
    return roofline_model.levels_needed(row.measurement, machine)


def _peak(row: Row, machine: MachineModel) -> Peak | None:
    measured = row.measurement
    if measured is None or not _has_peak(measured.dtype):
        return None
    return machine.peak(measured.dtype, measured.threads)


# A row of a saved diagnosis. Its problem has the fields of the document, and is not computed again.


def read_row(fields: dict[str, Any], threads: int) -> Row:
    """Return the row of a document whose ceilings are of a number of threads."""

    def known(key: str) -> float | None:
        return None if fields.get(key) is None else number(fields[key])

    calls, total_s = count(fields.get("calls"), 0), number(fields.get("total_s"))
    median_s = known("median_s")
    measured = _read_measurement(fields, median_s, threads)
    lost_s, least_s = known("lost_s"), known("least_s")
    if least_s is None and lost_s is not None and calls:  # of an older version
        least_s = max(0.0, total_s - lost_s) / calls
    return Row(
        operation=Operation(
            library=_word(fields, "library"),
            kind=_word(fields, "operation"),
            text=_word(fields, "text"),
            types=_word(fields, "types"),
            layout=_word(fields, "layout"),
            implementation=_word(fields, "implementation"),
            is_conversion=fields.get("is_conversion") is True,
        ),
        calls=calls,
        total_s=total_s,
        share=number(fields.get("share")),
        median_s=median_s,
        first_s=known("first_s"),
        created=count(fields.get("created"), 0),
        reused=count(fields.get("reused"), 0),
        creation_s=number(fields.get("creation_s")),
        measurement=measured,
        peak_fraction=known("peak_fraction"),
        bound=_word(fields, "bound") or None,
        least_s=least_s,
        faster=read_faster(fields.get("faster"), measured),
    )


def _word(fields: dict[str, Any], key: str) -> str:
    return "" if fields.get(key) is None else words(fields[key])


def _read_measurement(
    fields: dict[str, Any], median_s: float | None, threads: int
) -> Measurement | None:
    if fields.get("problem") is None or not median_s:
        return None
    flops = count(fields.get("flops"), 0)
    rate = fields.get("flop_per_s")
    return Measurement(
        problem=reading.problem(fields["problem"]),
        strategy=_word(fields, "implementation"),
        layout=_word(fields, "layout") or None,
        dtype=_word(fields, "types"),
        threads=threads,
        cache="hot",
        status="ok",
        time_s=Time(median_s, 0.0, None, None, median_s, count(fields.get("calls")), 1),
        flops=Flops(flops, flops),
        flop_per_s=None if rate is None else number(rate),
    )
