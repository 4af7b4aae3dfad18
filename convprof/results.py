"""What a measurement is, and the JSON documents that other programs read.

History of the format, which docs/result-format.md explains:
1   first version
2   `kind` in every document; every `ratio` is a / b; networks apart from comparisons
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convprof.archive import Archive
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 2
NATIVE = "native"
"""The name of the widest instruction set of a machine, whichever that is."""
KIND = "result"
"""Of the document of measurements; the other kinds have documents of their own."""

Status = Literal["ok", "refused", "wrong", "failed"]
FAILURES: tuple[Status, ...] = ("wrong", "failed")
"""What a result may not be; a strategy may refuse."""


def half_width(low: float | None, high: float | None) -> float | None:
    """Return half the width of an interval; None if an end is not known."""
    return None if low is None or high is None else (high - low) / 2


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds per call over the samples; the interval is None for too few of them."""

    median: float
    mad: float
    ci95_low: float | None
    ci95_high: float | None
    min: float
    samples: int
    calls_per_sample: int
    rounds_s: tuple[float, ...] | None = None
    """Seconds per call in each round, in order, at most `stats.MOST_ROUNDS` of them (see
    `stats.compact`); None in a document that an older version wrote."""

    @property
    def half_interval(self) -> float | None:
        """Half the width of the 95 % interval, in seconds."""
        return half_width(self.ci95_low, self.ci95_high)


@dataclass(frozen=True, slots=True)
class Cycles:
    """Core cycles per call, and how they were counted."""

    per_call: float
    per_flop: float | None
    source: Literal["pmu", "calibrated", "tsc"]
    core_hz: float


@dataclass(frozen=True, slots=True)
class Flops:
    """FLOPs of the definition and those really executed (1 multiply-add = 2)."""

    direct: int
    executed: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contestant's result."""

    problem: dict[str, Any]
    strategy: str
    layout: str | None
    dtype: str
    threads: int
    cache: Literal["hot", "cold"]
    status: Status
    reason: str | None = None
    isa: str | None = None
    """What generated kernels were generated for, as the setting says; None for other kernels."""
    environment: str | None = None
    """The environment in which it ran, by its letter in the settings; None for convprof's own."""
    time_s: Time | None = None
    cycles: Cycles | None = None
    flops: Flops | None = None
    flop_per_s: float | None = None
    peak_fraction: float | None = None
    tile_fraction: float | None = None
    """The share of the tile ceiling, where the peak is one of the tile registers of AMX."""
    bytes_min: int | None = None
    intensity: float | None = None
    bytes_moved: int | None = None
    bound: Literal["compute", "memory"] | None = None
    level: str | None = None
    """The level of the memory that holds the data: ``L1`` …, or ``memory``."""
    bandwidth_fraction: float | None = None
    """The share of the level's bandwidth; over 1 where nearer caches have a part of the data."""
    phases: dict[str, float] | None = None
    workspace_bytes: int | None = None
    prepare_s: float | None = None
    compile_s: float | None = None
    max_rel_error: float | None = None
    note: str | None = None
    """The type in which the contestant computes, if it is not the type of the problem."""
    doubt: str | None = None
    """Why the time cannot be true (see `doubts`); None if it can, or if there is no time."""

    @property
    def flop_per_cycle_per_core(self) -> float | None:
        """FLOPs per core cycle on each of the threads' cores."""
        if self.cycles is None or not self.cycles.per_flop:
            return None
        return 1 / (self.cycles.per_flop * self.threads)

    @property
    def problem_key(self) -> tuple[str, ...]:
        """What distinguishes the problem and its types from other problems; not the name."""
        return (*problem_key(self.problem), self.dtype)

    @property
    def rank(self) -> tuple[bool, float]:
        """The sort key of the fastest first; times in doubt follow, then what has no time."""
        return self.doubt is not None, self.time_s.median if self.time_s else math.inf

    @property
    def label(self) -> str:
        """``tiled nhwc 1 thread``: what tells contestants of one problem apart."""
        return label(self.strategy, self.layout, self.isa, self.threads, self.environment)

    @property
    def bare_reason(self) -> str | None:
        """The reason without the strategy's name, for a line that begins with the name."""
        return None if self.reason is None else without_name(self.reason, self.strategy)

    @property
    def way(self) -> str:
        """``microkernel nhwc avx2``: the label without the threads."""
        return way(self.strategy, self.layout, self.isa, self.environment)


def problem_key(problem: dict[str, Any]) -> tuple[str, ...]:
    """Return what distinguishes a problem from other problems, whatever their names are."""
    fields = ("kind", "descriptor", "epilogue", "weight_dtype", "group")
    return tuple(str(problem.get(name)) for name in fields)


def without_name(reason: str, strategy: str) -> str:
    """Return a strategy's reason to refuse without the name at its beginning."""
    for end in (" ", ": "):
        if reason.startswith(strategy + end):
            return reason.removeprefix(strategy + end)
    return reason


def label(
    strategy: str,
    layout: str | None,
    isa: str | None,
    threads: int,
    environment: str | None = None,
) -> str:
    """Return ``microkernel nhwc avx2 2 threads``; the widest instruction set is not named."""
    named = way(strategy, layout, isa, environment)
    return f"{named} {threads} thread{'s' if threads > 1 else ''}"


def way(strategy: str, layout: str | None, isa: str | None, environment: str | None = None) -> str:
    """Return ``microkernel nhwc avx2``; the widest instruction set is not named.

    In an environment: ``torch nchw in B``.
    """
    named = None if isa == NATIVE else isa
    place = f"in {environment}" if environment else None
    return " ".join(part for part in (strategy, layout, named, place) if part)


class Measurements(Archive[Measurement]):
    """Results of any number of problems."""

    @staticmethod
    def read(value: dict[str, Any]) -> Measurement:
        """Return the measurement whose fields these are."""
        kinds = {"time_s": Time, "cycles": Cycles, "flops": Flops}
        made = {key: kind(**value[key]) for key, kind in kinds.items() if value[key] is not None}
        time = made.get("time_s")
        if time is not None and time.rounds_s is not None:  # JSON has lists only
            made["time_s"] = dataclasses.replace(time, rounds_s=tuple(time.rounds_s))
        return Measurement(**{**value, **made})


@dataclass
class Document:
    """What a command measured: a document of kind ``result``."""

    tool_version: str
    machine: dict[str, Any]
    state: dict[str, Any]
    ceilings: dict[str, Any]
    settings: dict[str, Any]
    measurements: Measurements = field(default_factory=Measurements)
    comparisons: Archive[dict[str, Any]] = field(default_factory=Archive)
    networks: Archive[dict[str, Any]] = field(default_factory=Archive)
    interrupted: bool = False

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys and values of the document's JSON object, not yet in JSON types."""
        yield "schema_version", SCHEMA_VERSION
        yield "kind", KIND
        for each in dataclasses.fields(self):
            yield each.name, getattr(self, each.name)

    def to_json(self) -> dict[str, Any]:
        """Return the document in JSON types: SI units, null for unknown, never NaN."""
        return {key: plain(value) for key, value in self.parts()}


def envelope(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a document of another kind in JSON types: the fields that all have, then its own.

    SI units, null for unknown, never NaN.
    """
    first = {"schema_version": SCHEMA_VERSION, "kind": kind, "tool_version": VERSION}
    return {**first, **{key: plain(value) for key, value in fields.items()}}


def plain(value: Any) -> Any:
    """Return ``value`` in JSON types; a number that is not finite becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, Archive)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
