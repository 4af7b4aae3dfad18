"""The range of a sweep: what stays the same, the variable, and its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.measure import report
from convprof.problems.families import VARIABLES, vary
from convprof.studies.sweep import blocking

if TYPE_CHECKING:
    from convprof.problems import Problem

THREADS = "threads"


@dataclass(frozen=True)
class Range:
    """A problem, one variable, and the values of the variable."""

    base: Problem
    over: str
    values: tuple[int, ...]

    def problem(self, x: int) -> Problem:
        """Return the problem of a point."""
        return vary(self.base, self.over, x) if self.varies_problem else self.base

    @property
    def varies_problem(self) -> bool:
        """Whether the variable is a size of the problem, not how the problem is computed."""
        return self.over in VARIABLES[self.base.kind]

    def problems(self) -> list[Problem]:
        """Return the problems of all points; InputError for a value without a problem."""
        try:
            return [self.problem(x) for x in self.values]
        except InputError as error:
            raise error.within("range", self.over) from None

    @property
    def meaning(self) -> str:
        """What the variable is, for an axis: `size (m = n = k)`."""
        if self.varies_problem:
            return f"{self.over} ({VARIABLES[self.base.kind][self.over].meaning})"
        if self.over == blocking.TILE:
            return f"tile ({' = '.join(blocking.names(self.base.kind, self.over))})"
        return self.over

    def to_json(self) -> dict[str, Any]:
        """Return what must be the same for a file to be continued."""
        return {
            "problem": report.describe(self.base),
            "over": self.over,
            "values": list(self.values),
        }


def variables(kind: str) -> tuple[str, ...]:
    """Return the variables of a sweep of a kind of problem."""
    return (*VARIABLES[kind], THREADS, blocking.TILE, blocking.UNROLL)
