"""The rungs of a ladder out of its result document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen.assembly_line import ADD, FMA, MULTIPLY
from convprof.codegen.disassembly import Figures
from convprof.errors import InputError
from convprof.json_checks import array, count, integer, mapping, number, pair, short, text
from convprof.machine.ceilings_store import read_peak
from convprof.strategies import registry
from convprof.studies import comparison, reading
from convprof.studies.evidence import BITS, LOOP_KINDS, Evidence, Limit
from convprof.studies.ladder import VARIED
from convprof.studies.ladder.rung_limits import KINDS, RungLimit
from convprof.studies.ladder.study import LADDERS, PARALLEL, Pair, Rung, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.machine.peaks import Peak
    from convprof.results import Document, Measurement
    from convprof.studies.comparison import Comparison

KIND = "ladder"
"""Of the comparisons."""
MOST_RUNGS = 100
"""Of one problem, with the schedules of other libraries."""
_WIDTHS = ("scalar", *BITS)


@dataclass(frozen=True, slots=True)
class SavedLoop(Figures):
    """An inner loop, as a document has it."""

    counts: Mapping[str, int]
    width: str
    loads: int
    elements: int
    stores: int
    spills: int
    flops: int
    bytes_moved: int
    chains: int
    walk: tuple[int, int] | None


@dataclass(frozen=True)
class SavedLadder:
    """One problem: its rungs, the lowest first, and schedules of another library."""

    name: str
    steps: list[Step]
    pairs: list[Pair]


@dataclass(frozen=True)
class SavedLadders:
    """All ladders of a document."""

    ladders: list[SavedLadder]
    peaks: list[Peak]
    word: str
    """``gemm`` or ``conv``."""
    varied: str
    """The variable whose values are the names of the ladders; empty without one."""
    has_limits: bool
    """Whether the document has what limits the rungs."""


def read(document: Document) -> SavedLadders | None:
    """Return the ladders of a document; None for a document of another command.

    InputError for one that is damaged.
    """
    own = [each for each in document.comparisons if each.get("kind") == KIND]
    kinds = {m.problem["kind"] for m in document.measurements}
    kind = next(iter(kinds), "")
    if not own or len(kinds) != 1 or kind not in LADDERS:
        return None
    by_size = "--size" in reading.argv(document.settings)
    groups: dict[str, list[Measurement]] = {}
    for m in document.measurements:
        groups.setdefault(m.problem["descriptor"], []).append(m)
    if max(map(len, groups.values())) > MOST_RUNGS:
        raise InputError("a ladder has far too many rungs")
    compared: dict[str, list[dict[str, Any]]] = {}
    for each in own:
        compared.setdefault(str(mapping(each.get("problem")).get("descriptor")), []).append(each)
    peaks = [read_peak(item) for item in short(document.ceilings.get("peaks", []))]
    threads = max((peak.threads for peak in peaks), default=0)
    ladders = [
        SavedLadder(
            _name(group[0].problem, by_size=by_size),
            *_rungs(group, compared.get(name, []), peaks, threads),
        )
        for name, group in groups.items()
    ]
    limits = any(step.limit is not None for ladder in ladders for step in ladder.steps)
    varied = VARIED[kind] if by_size else ""
    return SavedLadders(ladders, peaks, kind.removesuffix("2d"), varied, limits)


def _name(problem: dict[str, Any], *, by_size: bool) -> str:
    if not by_size:
        return str(problem["name"] or problem["descriptor"])
    return str(count(problem.get("m" if problem["kind"] == "gemm" else "h")))


def _rungs(
    measurements: Sequence[Measurement],
    comparisons: Sequence[dict[str, Any]],
    peaks: Sequence[Peak],
    threads: int,
) -> tuple[list[Step], list[Pair]]:
    kind = measurements[0].problem["kind"]
    sides = comparison.read(KIND, _Compared.read, comparisons, measurements)
    evidence: dict[str, Evidence | None] = {}
    limits: dict[str, RungLimit | None] = {}
    for each in sides:
        for own, loop, limit in each.sides():
            evidence[own.label] = evidence.get(own.label) or loop
            limits[own.label] = limits.get(own.label) or limit
    rungs = [m for m in measurements if m.strategy in LADDERS[kind]]
    labels = {m.label for m in rungs}
    before = {each.of.a.label: each.of for each in sides if each.of.b.label in labels}
    strategies = {s.name: s for s in registry.strategies(kind)}
    steps = [
        Step(
            _rung(m),
            strategies[m.strategy].summary,
            m,
            evidence.get(m.label),
            before.get(m.label),
            (),
            _of_all_cores(m, peaks, threads),
            _checked(limits.get(m.label), evidence.get(m.label)),
        )
        for m in rungs
    ]
    theirs = [m for m in measurements if m.label not in labels]
    by_schedule = {each.of.b.label: each.of for each in sides if each.of.b.label not in labels}
    return steps, [_pair(m, by_schedule.get(m.label)) for m in theirs]


def _rung(m: Measurement) -> Rung:
    name = PARALLEL if m.threads > 1 else m.strategy
    return Rung(name, m.strategy, m.threads)


def _pair(theirs: Measurement, of: Comparison[Measurement] | None) -> Pair:
    return Pair(None if of is None else _rung(of.a).name, None if of is None else of.a, theirs, of)


def _of_all_cores(m: Measurement, peaks: Sequence[Peak], threads: int) -> float | None:
    rates = [p.flop_per_s for p in peaks if (p.dtype, p.threads) == (m.dtype, threads)]
    return m.flop_per_s / max(rates) if m.flop_per_s is not None and rates else None


def _checked(limit: RungLimit | None, evidence: Evidence | None) -> RungLimit | None:
    """Return the limit; InputError where it is one of the loop that the loop does not have."""
    known = () if evidence is None else evidence.limits
    if limit is not None and limit.kind in {*LOOP_KINDS} - {each.kind for each in known}:
        raise InputError("a rung has a limit that its inner loop does not have")
    return limit


@dataclass(frozen=True, slots=True)
class _Compared:
    """A comparison, with the loops and limits of both sides."""

    of: Comparison[Measurement]
    loops: dict[str, Evidence | None]
    limits: dict[str, RungLimit | None]

    @classmethod
    def read(cls, fields: dict[str, Any], of: Comparison[Measurement]) -> _Compared:
        """Return what the fields of a comparison say."""
        loops, limits = (mapping(fields.get(key) or {}) for key in ("evidence", "limits"))
        return cls(
            of,
            {side: _evidence(loops.get(side)) for side in ("a", "b")},
            {side: _limit(limits.get(side)) for side in ("a", "b")},
        )

    def sides(self) -> list[tuple[Measurement, Evidence | None, RungLimit | None]]:
        """Return each side's measurement, loop and limit."""
        return [
            (self.of.a, self.loops["a"], self.limits["a"]),
            (self.of.b, self.loops["b"], self.limits["b"]),
        ]


def _evidence(value: Any) -> Evidence | None:
    if value is None:
        return None
    fields = mapping(value)

    def whole(key: str) -> int:
        return count(fields.get(key, 0), 0)

    instructions = mapping(fields.get("instructions"))
    walk = fields.get("walk")
    loop = SavedLoop(
        counts={kind: count(instructions.get(kind), 0) for kind in (FMA, MULTIPLY, ADD)},
        width=reading.one_of(fields.get("width"), _WIDTHS, "width of registers"),
        loads=whole("loads"),
        elements=whole("elements"),
        stores=whole("stores"),
        spills=whole("spills"),
        flops=count(fields.get("flops")),
        bytes_moved=whole("bytes"),
        chains=whole("chains"),
        walk=None if walk is None else (integer(pair(walk)[0]), integer(pair(walk)[1])),
    )
    needed, latency, rate = (
        fields.get(key) for key in ("chains_needed", "latency_cycles", "l1_bytes_per_s")
    )
    at_most = mapping(fields.get("at_most"))
    return Evidence(
        loop,
        tuple(Limit(kind, number(at_most[kind])) for kind in LOOP_KINDS if kind in at_most),
        None if needed is None else count(needed, 0),
        None if latency is None else number(latency),
        None if rate is None else number(rate),
    )


def _limit(value: Any) -> RungLimit | None:
    if value is None:
        return None
    fields = mapping(value)
    share, reached, seconds = (fields.get(key) for key in ("share", "reached_in_l2", "seconds"))
    return RungLimit(
        reading.one_of(fields.get("kind"), KINDS, "limit of a rung"),
        None if share is None else number(share),
        None if reached is None else number(reached),
        tuple(text(name) for name in array(fields.get("names", []))),
        None if seconds is None else number(seconds),
    )
