"""How the points of a sweep are measured, and what must be the same to continue its file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.dtypes import types
from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, text
from convprof.machine import facts
from convprof.machine.ceilings_store import read_peak
from convprof.results import envelope
from convprof.studies import preflight, run
from convprof.studies.sweep import blocking
from convprof.studies.sweep.range import THREADS, Range

if TYPE_CHECKING:
    from convprof.measure.contestant import Contestant
    from convprof.measure.settings import Settings
    from convprof.studies.journal import Journal, Record
    from convprof.studies.run import Choice

KIND = "sweep"


@dataclass(frozen=True)
class Plan(Range):
    """A range, and how each point of it is measured."""

    choice: Choice
    settings: Settings
    time_limit_s: float = 60.0
    """A contestant predicted to take longer at a point is refused there."""

    def contestants(self, x: int) -> list[Contestant]:
        """Return the contestants of a point."""
        choice = replace(self.choice, threads=(x,)) if self.over == THREADS else self.choice
        every = run.contestants(self.problem(x), choice)
        return blocking.blocked(every, self.over, x) if blocking.is_blocking(self.over) else every

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads that occur."""
        return self.values if self.over == THREADS else self.choice.threads

    def identity(self) -> Record:
        """Return what must be the same for a file to be continued."""
        choice, settings = self.choice, self.settings
        return envelope(
            KIND,
            machine={"key": facts().identity_key()},
            sweep=self.to_json(),
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


def check(plan: Plan) -> None:
    """Raise InputError for points that are not problems, do not fit into memory, or are equal."""
    if blocking.is_blocking(plan.over):
        every = run.contestants(plan.base, plan.choice)
        blocking.check(every, plan.over, plan.values)
    problems = plan.problems()
    of = types(plan.choice.dtype)
    largest = max(problems, key=lambda p: p.bytes_min(of))
    preflight.check_memory([largest], plan.choice.dtype, 1)


def check_same(journal: Journal, identity: Record) -> None:
    """Raise InputError unless the journal's header is of the same sweep.

    What tables and charts take from the header is checked too.
    """
    difference = journal.differs(identity)
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
