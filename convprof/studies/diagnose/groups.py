"""The calls of a log by operation, in memory that does not grow with their number."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from convprof.logs.operation import Operation
from convprof.stats import median

if TYPE_CHECKING:
    from convprof.logs.operation import Call

MOST_TIMES = 4096
"""Times of an operation that are kept for its median; an even number."""
MOST_GROUPS = 20_000
OTHER_SHAPES = "other shapes"


class Group:
    """All calls of one operation."""

    __slots__ = (
        "_left",
        "_step",
        "_times",
        "calls",
        "created",
        "creation_s",
        "first_s",
        "operation",
        "reused",
        "seconds",
    )

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.calls = 0
        self.seconds = 0.0
        self.first_s: float | None = None
        """The time of the first call."""
        self.created = 0
        """How often the library created it."""
        self.reused = 0
        """How often the library reused it from a cache."""
        self.creation_s = 0.0
        """The time of both."""
        self._times = array("d")
        self._step = self._left = 1

    def add(self, call: Call) -> None:
        """Count a call, or a creation."""
        if call.event != "execution":
            self.creation_s += call.seconds
            self.created += call.event == "creation"
            self.reused += call.event == "cache hit"
            return
        self.calls += 1
        self.seconds += call.seconds
        if self.first_s is None:
            self.first_s = call.seconds
        self._left -= 1
        if not self._left:
            self._keep(call.seconds)

    def _keep(self, seconds: float) -> None:
        """Keep every call's time; when there are too many, every second, fourth, … one."""
        self._times.append(seconds)
        if len(self._times) == MOST_TIMES:
            del self._times[1::2]
            self._step *= 2
        self._left = self._step

    @property
    def total_s(self) -> float:
        """The time of calls and creations."""
        return self.seconds + self.creation_s

    @property
    def median_s(self) -> float | None:
        """The median time of a call, from evenly chosen ones if there are thousands."""
        return median(self._times) if self._times else None


class Groups:
    """Operations in order of appearance; beyond ``MOST_GROUPS``, one row per kind for the rest."""

    def __init__(self) -> None:
        self._groups: dict[Operation, Group] = {}

    def add(self, call: Call) -> None:
        """Count a call."""
        group = self._groups.get(call.operation)
        if group is None:
            group = self._new(call.operation)
        group.add(call)

    def _new(self, operation: Operation) -> Group:
        if len(self._groups) >= MOST_GROUPS:
            operation = Operation(
                operation.library,
                operation.kind if len(self._groups) < 2 * MOST_GROUPS else "others",
                OTHER_SHAPES,
                is_conversion=operation.is_conversion,
            )
        return self._groups.setdefault(operation, Group(operation))

    def all(self) -> list[Group]:
        """Return every group."""
        return list(self._groups.values())
