"""What a sweep varies, and what must be the same for its file to be continued."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.dtypes import types
from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, text
from convprof.machine import facts
from convprof.machine.ceilings_store import read_peak
from convprof.measure import report
from convprof.problems.families import VARIABLES, vary
from convprof.results import envelope
from convprof.studies import preflight, run
from convprof.studies.sweep import blocking

if TYPE_CHECKING:
    from convprof.measure.contestant import Contestant
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.studies.journal import Journal, Record
    from convprof.studies.run import Choice

KIND = "sweep"
THREADS = "threads"


@dataclass(frozen=True)
class Plan:
    """What is varied, over which values, and how each point is measured."""

    base: Problem
    over: str
    values: tuple[int, ...]
    choice: Choice
    settings: Settings
    time_limit_s: float = 60.0
    """A contestant predicted to take longer at a point is refused there."""

    def problem(self, x: int) -> Problem:
        """Return the problem of a point."""
        sizes = VARIABLES[self.base.kind]
        return vary(self.base, self.over, x) if self.over in sizes else self.base

    def contestants(self, x: int) -> list[Contestant]:
        """Return the contestants of a point."""
        choice = replace(self.choice, threads=(x,)) if self.over == THREADS else self.choice
        every = run.contestants(self.problem(x), choice)
        return blocking.blocked(every, self.over, x) if blocking.is_blocking(self.over) else every

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads that occur."""
        return self.values if self.over == THREADS else self.choice.threads

    @property
    def meaning(self) -> str:
        """What the variable is, for an axis: `size (m = n = k)`."""
        if self.over in VARIABLES[self.base.kind]:
            return f"{self.over} ({VARIABLES[self.base.kind][self.over].meaning})"
        if self.over == blocking.TILE:
            return f"tile ({' = '.join(blocking.names(self.base.kind, self.over))})"
        return self.over

    def identity(self) -> Record:
        """Return what must be the same for a file to be continued."""
        choice, settings = self.choice, self.settings
        return envelope(
            KIND,
            machine={"key": facts().identity_key()},
            sweep={
                "problem": report.describe(self.base),
                "over": self.over,
                "values": list(self.values),
            },
            settings={
                "budget_s": settings.budget_s,
                "rounds": settings.rounds,
                "seed": settings.seed,
                "cache": choice.cache,
                "dtype": choice.dtype,
                "isa": ",".join(choice.isas),
                "tune": choice.tune,
                "threads": list(self.threads),
                "layouts": list(choice.layouts),
                "strategies": list(choice.strategies),
            },
        )


def variables(kind: str) -> tuple[str, ...]:
    """Return the variables of a sweep of a kind of problem."""
    return (*VARIABLES[kind], THREADS, blocking.TILE, blocking.UNROLL)


def check(plan: Plan) -> None:
    """Raise InputError for points that are not problems, do not fit into memory, or are equal."""
    if blocking.is_blocking(plan.over):
        every = run.contestants(plan.base, plan.choice)
        blocking.check(every, plan.over, plan.values)
    try:
        problems = [plan.problem(x) for x in plan.values]
    except InputError as error:
        raise error.within("range", plan.over) from None
    of = types(plan.choice.dtype)
    largest = max(problems, key=lambda p: p.bytes_min(of))
    preflight.check_memory([largest], plan.choice.dtype, 1)


def check_same(journal: Journal, plan: Plan) -> None:
    """Raise InputError unless the journal's header is of the same sweep on this machine.

    What tables and charts take from the header is checked too.
    """
    difference = journal.differs(plan.identity())
    if difference is not None:
        raise journal.damaged(difference)
    try:
        check_shown(journal.header or {})
    except InputError as error:
        raise journal.damaged(f"its first line is damaged: {error}") from None


def check_shown(header: Record) -> None:
    """Raise InputError unless the header has what tables and charts take from it."""
    ceilings, machine = mapping(header.get("ceilings")), mapping(header.get("machine"))
    peaks = [read_peak(item) for item in array(ceilings.get("peaks"))]
    for item in array(ceilings.get("isa_peaks") or []):
        read_peak(item)
    for item in array(machine.get("caches") or []):
        mapping(item)
    simd = mapping(machine.get("simd") or {})
    for value in (machine.get("brand"), simd.get("isa")):
        text(value or "")
    for value in (machine.get("physical_cores"), simd.get("bits")):
        count(value or 0, 0)
    text(header.get("started"))
    text(mapping(header.get("sweep")).get("meaning"))
    if not peaks:
        raise InputError("there is no peak in it")
