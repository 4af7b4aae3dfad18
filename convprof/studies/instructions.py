"""``instructions``: what single instructions cost here, and which known core this one resembles."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen.probes.instructions import Instruction, catalogue
from convprof.codegen.probes.instructions.instruction import TILE_BITS
from convprof.errors import ConvprofError, InputError
from convprof.machine import facts, published
from convprof.machine.instructions import Bench, best_meter, missing
from convprof.machine.published import Figures
from convprof.results import envelope
from convprof.stats import median
from convprof.studies import document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.codegen.probes.instructions.instruction import Key
    from convprof.machine.instructions import Cost, CycleMeter
    from convprof.machine.noise import NoiseWatch
    from convprof.machine.published import Core


DEADLINE_S = 5.0
"""For the passes; with compiling and starting the command stays below 10 s."""
LONGEST_PATTERN = 1000


@dataclass(frozen=True)
class Row:
    """One instruction's cost in core cycles, and what follows from it; None for unknown."""

    name: str
    operation: str
    source_dtype: str | None
    """Only for conversions and dot products."""
    dtype: str
    bits: int | None
    """None for a scalar."""
    operands: str | None
    mnemonic: str
    lanes: int
    latency: float | None
    reciprocal_throughput: float | None
    elements_per_cycle: float | None
    ops_per_cycle: float | None
    """Elements x 2 for a multiply-add, x 2 per product of a dot product."""
    latency_spread: float | None
    throughput_spread: float | None
    stable: bool
    passes: int
    core_hz: float | None
    note: str | None
    published: dict[str, dict[str, float | None]]
    """By core: latency and reciprocal throughput."""

    @property
    def in_tile_registers(self) -> bool:
        """Whether the instruction is one of AMX."""
        return self.bits == TILE_BITS


@dataclass(frozen=True)
class Missing:
    """A row that is not measured here, and why."""

    name: str
    reason: str


class Instructions:
    """The rows that a pattern matches. Iterate over ``passes()``; call the rest at any time."""

    def __init__(self, match: str | None = None) -> None:
        """InputError for a pattern that is not valid or matches nothing."""
        known = facts().cpu
        self._match = match
        self.cores = published.cores(known.architecture)
        avx = bool(known.extensions.get("AVX"))
        everything = catalogue(known.architecture, avx=avx)
        if not everything:
            raise ConvprofError(f"no instructions are known for {known.architecture}")
        reasons = {row.key: missing(row, known.extensions) for row in everything}
        able = [row for row in everything if isinstance(row, Instruction) and not reasons[row.key]]
        self._chosen = _matching(able, match)
        self.missing = [
            Missing(row.key.name, reason)
            for row in _matching(everything, match)
            if (reason := reasons[row.key])
        ]
        if not self._chosen and not self.missing:
            names = ", ".join(row.key.name for row in everything[:3])
            raise InputError(
                f"no instruction's name matches; names are {names}, ...", field="match", value=match
            )
        glue = {row.glue for row in self._chosen if row.glue}
        self._measured = [row for row in able if row in self._chosen or row.key in glue]
        self._meter: CycleMeter | None = None
        self._bench: Bench | None = None
        self.interrupted = False

    @property
    def cycle_source(self) -> str | None:
        """``pmu`` or ``calibrated``; None before anything is measured."""
        return self._meter.source if self._meter else None

    def passes(self) -> Iterator[str]:
        """Compile and measure; yield a line on what is being done. Ctrl-C ends it early."""
        try:
            yield "compiling the loops"
            self._meter = best_meter()
            if self._meter is None:
                raise ConvprofError("there is neither a cycle counter nor a loop of known length")
            self._bench = Bench(self._measured, self._meter)
            yield "pass 1"
            for number, unsettled in self._bench.passes(DEADLINE_S):
                yield f"pass {number + 1}: {unsettled} loops have not settled"
        except KeyboardInterrupt:
            self.interrupted = True

    def rows(self) -> list[Row]:
        """Return what was measured so far, in the catalogue's order."""
        costs = self._bench.costs() if self._bench else {}
        return [self._row(row, costs[row.key]) for row in self._chosen if row.key in costs]

    def resemblances(self, rows: list[Row]) -> list[Resemblance]:
        """Return the published cores, the most alike first."""
        costs = {row.name: (row.latency, row.reciprocal_throughput) for row in rows}
        return resemblances(costs, self.cores, facts().cpu.model.vendor)

    def to_json(
        self, rows: list[Row], watch: NoiseWatch, settings: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the document in JSON types: SI units, null for unknown, never NaN."""
        alike = self.resemblances(rows)
        return envelope(
            "instructions",
            machine=document.machine(),
            state=document.state(watch),
            settings={**settings, "match": self._match},
            cycle_source=self.cycle_source,
            rows=rows,
            missing=self.missing,
            published=[
                {"name": core.name, "source": core.source, "model": core.model}
                for core in self.cores
            ],
            resemblances=alike,
            resembles=verdict(alike),
            interrupted=self.interrupted,
        )

    def _row(self, row: Instruction, cost: Cost) -> Row:
        key = row.key
        each = cost.reciprocal_throughput
        elements = key.lanes / each if each else None
        return Row(
            name=key.name,
            operation=key.operation,
            source_dtype=key.source,
            dtype=key.dtype,
            bits=key.bits,
            operands=key.operands,
            mnemonic=row.mnemonic,
            lanes=key.lanes,
            elements_per_cycle=elements,
            ops_per_cycle=elements * key.operations if elements else None,
            note=row.note,
            published=self._published(key),
            stable=cost.stable,
            **{field.name: getattr(cost, field.name) for field in dataclasses.fields(cost)},
        )

    def _published(self, key: Key) -> dict[str, dict[str, float | None]]:
        return {
            core.name: dataclasses.asdict(core.figures[key.name])
            for core in self.cores
            if key.name in core.figures
        }


def _matching(rows: list[Any], match: str | None) -> list[Any]:
    if match is None:
        return list(rows)
    if len(match) > LONGEST_PATTERN:
        raise InputError(f"a pattern has at most {LONGEST_PATTERN} characters", field="match")
    try:
        pattern = re.compile(match)
    except re.error as error:
        raise InputError(f"not a regular expression: {error}", field="match", value=match) from None
    return [row for row in rows if pattern.search(row.key.name)]


# The known core that a list of measured costs resembles.

AGREES_WITHIN = 0.1
"""A row agrees if all its figures that are published are within 10 %: cycles are whole numbers,
and the next one is farther away up to ten of them."""
FAR_BEYOND = 0.25
"""Beyond 25 % a row differs by more than the ways of measuring and rounding explain."""
SAME_SHARE = 0.05
"""Cores whose shares of agreeing rows differ by less are equally alike."""
ALIKE_SHARE = 0.75
"""With a smaller share of agreeing rows, the machine does not resemble the core."""

Measured = tuple[float | None, float | None]
"""Latency and reciprocal throughput."""


@dataclass(frozen=True)
class Resemblance:
    """How much a machine differs from a core."""

    core: str
    rows: int
    """Rows with a figure on both sides."""
    agreeing: int
    """Of these, rows whose figures are all within 10 %."""
    far: int
    """Of these, rows with a figure that differs by more than 25 %."""
    distance: float
    """Factor between measured and published figures, less 1, of the median row; in a row the figure
    that differs most counts. 0 is equality. A few rows that are wrong in the source, or different
    on the machine, do not change it."""

    @property
    def share(self) -> float:
        """The part of the rows that agree."""
        return self.agreeing / self.rows


def resemblances(
    measured: Mapping[str, Measured], cores: Sequence[Core], vendor: str | None = None
) -> list[Resemblance]:
    """Return the cores, the most alike first; cores without a common row are left out.

    A core of the machine's vendor is the first of those that are equally alike.
    """
    compared = [_compare(measured, core) for core in cores]
    known = [one for one in compared if one is not None]
    known.sort(key=lambda one: (-one.share, one.far / one.rows, -one.rows, one.distance))
    own = {core.name for core in cores if core.vendor == vendor}
    near = [one for one in known if one.share > known[0].share - SAME_SHARE]
    first = next((one for one in near if one.core in own), None)
    return known if first is None else [first, *(one for one in known if one is not first)]


def verdict(ordered: Sequence[Resemblance]) -> str | None:
    """Return the name of the core that the machine resembles most; None if it is unlike all."""
    if ordered and ordered[0].share >= ALIKE_SHARE:
        return ordered[0].core
    return None


def is_far(row: Row, core: str) -> bool:
    """Whether a figure of a row differs from the core's published one by more than 25 %."""
    known = row.published.get(core)
    if known is None:
        return False
    published = Figures(known["latency"], known["reciprocal_throughput"])
    distance = _distance((row.latency, row.reciprocal_throughput), published)
    return distance is not None and distance > math.log1p(FAR_BEYOND)


def _distance(measured: Measured, figures: Figures) -> float | None:
    """Return the logarithm of the largest factor between figures; None without a common one."""
    pairs = zip(measured, (figures.latency, figures.reciprocal_throughput), strict=True)
    return max(
        (abs(math.log(value / known)) for value, known in pairs if value and known), default=None
    )


def _compare(measured: Mapping[str, Measured], core: Core) -> Resemblance | None:
    distances = (
        _distance(costs, core.figures[name])
        for name, costs in measured.items()
        if name in core.figures
    )
    rows = [distance for distance in distances if distance is not None]
    if not rows:
        return None
    return Resemblance(
        core=core.name,
        rows=len(rows),
        agreeing=sum(row <= math.log1p(AGREES_WITHIN) for row in rows),
        far=sum(row > math.log1p(FAR_BEYOND) for row in rows),
        distance=math.expm1(median(rows)),
    )
