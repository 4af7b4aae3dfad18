"""Latency and throughput of a list of instructions, pass by pass, until they have settled."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.codegen.probes.instructions import Chain, Instruction, compile_chains, data_block
from convprof.machine.instructions import cycle_meter
from convprof.machine.instructions.cycle_meter import Clocked
from convprof.stats import median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convprof.codegen.probes.instructions.instruction import Key
    from convprof.machine.instructions.cycle_meter import CycleMeter, Loop

PASSES = 12
"""The fewest passes of each loop. They are far apart in time: all other loops run between them."""
MOST_PASSES = 32
AGREEING = 5
"""This number of passes must agree, so that one pass that is too short by accident does not
count."""
SETTLED = 0.01
"""They agree if they differ by at most 1 %."""
COMMON = 0.75
"""The fraction of all passes that must have the duration that counts. A loop that changes between
two durations may show the other one in the next run."""
ONE_RHYTHM = 0.02
"""How much longer a pass of the same duration may be."""
COPIES = 3
"""Copies of the code of each loop of independent instructions, each with its own data block. Passes
use the copies alternately: the address of the code can decide how long a loop takes, and the page
of the data how fast loads are."""

WIDE_BITS = 256
"""From this width on cores may lower their clock: the reference runs with the same vectors."""
CLOCK_MARGIN = 1.6
"""The chain of the clock takes this many times as long as the loop without it: the load is nearly
the same, and the loop waits for the additions, even where they share a port with the vectors."""
WARM_UP_S = 3e-4
"""Seconds of warm-up before each loop. Vector units that are switched off need about 20 µs to
start. Clocks need up to a millisecond to change, which the first passes pay."""


@dataclass(frozen=True)
class Cost:
    """What an instruction costs, in core cycles; None where it is not known."""

    latency: float | None
    reciprocal_throughput: float | None
    latency_spread: float | None
    """By how much the passes that count differ; 0 is perfect agreement."""
    throughput_spread: float | None
    core_hz: float | None
    """The clock during the throughput loop, median over the passes."""
    passes: int

    @property
    def stable(self) -> bool:
        """Whether nearly all passes agree, so that another run can be expected to."""
        spreads = (self.latency_spread, self.throughput_spread)
        known = [spread for spread in spreads if spread is not None]
        return self.passes >= AGREEING and bool(known) and max(known) <= SETTLED


def lowest_agreeing(values: Sequence[float]) -> tuple[float, float]:
    """Return the middle of the lowest ``AGREEING`` values that agree, and their relative width.

    Disturbances make loops longer, and some loops are slower for a while: the lowest group counts.
    Where no group agrees, the closest one counts. Two things widen it, so that it is not taken for
    agreement: more than one value below it, and more than a quarter of all values in slower groups
    above it. StatisticsError without values.
    """
    ordered = sorted(values)
    size = min(AGREEING, len(ordered))
    groups = [ordered[at : at + size] for at in range(len(ordered) - size + 1)]
    widths = [_width(group) for group in groups]
    which = next((at for at, width in enumerate(widths) if width <= SETTLED), None)
    if which is None:
        which = widths.index(min(widths))
    chosen = groups[which]
    middle = median(chosen)
    first = min(chosen[0], ordered[min(1, len(ordered) - 1)])
    usual = ordered[math.ceil(COMMON * len(ordered)) - 1]
    last = usual if usual > middle * (1 + ONE_RHYTHM) else chosen[-1]
    return middle, _width([first, last])


def _width(ordered: Sequence[float]) -> float:
    return (ordered[-1] - ordered[0]) / ordered[0]


@dataclass
class _Timed:
    """One loop and the results of its passes."""

    chain: Chain
    loops: list[Loop] = field(default_factory=list)
    """Copies of its code, each with its data, used alternately."""
    clocked: Clocked | None = None
    per_iteration: list[float] = field(default_factory=list)
    hz: list[float] = field(default_factory=list)

    @property
    def copies(self) -> int:
        """How many there shall be: one for a dependent chain, which determines its duration."""
        return 1 if self.chain.dependent else COPIES

    @property
    def loop(self) -> Loop:
        """The copy that runs next."""
        return self.loops[len(self.per_iteration) % len(self.loops)]

    def settled(self) -> bool:
        """Whether enough passes agree."""
        return (
            len(self.per_iteration) >= PASSES and lowest_agreeing(self.per_iteration)[1] <= SETTLED
        )


class Bench:
    """The loops of some instructions. Iterate over ``passes()``; call ``costs()`` at any time."""

    def __init__(self, instructions: Iterable[Instruction], measured_by: CycleMeter) -> None:
        self.instructions = list(instructions)
        self._meter = measured_by
        chains = [
            Chain(instruction, dependent)
            for instruction in self.instructions
            for dependent in (True, False)
            if instruction.chain or not dependent
        ]
        # By width: the clock then changes a few times a pass, not from loop to loop.
        chains.sort(key=lambda chain: chain.instruction.key.bits or 0)
        self._timed = [_Timed(chain) for chain in chains]
        # All first copies, then all second ones: two copies of a loop are far apart in time.
        copies = [timed for n in range(COPIES) for timed in self._timed if n < timed.copies]
        runs = compile_chains([timed.chain for timed in copies])
        for timed, run in zip(copies, runs, strict=True):
            timed.loops.append(_loop(timed.chain, run))
        if measured_by.source == "calibrated":
            self._add_clocks()

    def passes(self, deadline_s: float) -> Iterator[tuple[int, int]]:
        """Measure; yield after each pass its number and how many loops have not settled.

        Stops when all have, after ``MOST_PASSES``, or when ``deadline_s`` seconds have gone by and
        every loop has had ``PASSES``.
        """
        start = time.perf_counter()
        for number in range(1, MOST_PASSES + 1):
            waiting = [timed for timed in self._timed if not timed.settled()]
            for timed in waiting:
                self._once(timed)
            unsettled = sum(not timed.settled() for timed in self._timed)
            yield number, unsettled
            late = time.perf_counter() - start > deadline_s
            if not unsettled or (late and number >= PASSES):
                return

    def costs(self) -> dict[Key, Cost]:
        """Return the costs so far of all instructions that have been measured at all."""
        dependent = {t.chain.instruction.key: t for t in self._timed if t.chain.dependent}
        by_key = {}
        for timed in self._timed:
            key = timed.chain.instruction.key
            if not timed.chain.dependent and timed.per_iteration:
                by_key[key] = _cost(timed, dependent.get(key))
        return _without_glue(by_key, self.instructions)

    def _once(self, timed: _Timed) -> None:
        loop = timed.loop
        until = time.perf_counter() + WARM_UP_S
        while time.perf_counter() < until:
            loop.run(loop.iterations)
        cycles, hz = self._meter.cycles(loop, timed.clocked)
        timed.per_iteration.append(cycles)
        if hz is not None:
            timed.hz.append(hz)

    def _add_clocks(self) -> None:
        """Give loops of wide vectors a twin with a clock's chain in it."""
        wide = [t for t in self._timed if (t.chain.instruction.key.bits or 0) >= WIDE_BITS]
        twins = []
        for timed in wide:
            cycles, _ = self._meter.cycles(timed.loop)
            adds = round(cycles * CLOCK_MARGIN) + 1
            twins.append(Chain(timed.chain.instruction, timed.chain.dependent, adds))
        for timed, twin, run in zip(wide, twins, compile_chains(twins), strict=True):
            timed.clocked = Clocked(_loop(twin, run), twin.adds)


def _loop(chain: Chain, run: Callable[[int, int], object]) -> Loop:
    return cycle_meter.loop(run, data_block(chain.instruction, dependent=chain.dependent))


def _cost(throughput: _Timed, latency: _Timed | None) -> Cost:
    per_iteration, spread = lowest_agreeing(throughput.per_iteration)
    cost = Cost(
        latency=None,
        reciprocal_throughput=per_iteration / throughput.chain.counted,
        latency_spread=None,
        throughput_spread=spread,
        core_hz=median(throughput.hz) if throughput.hz else None,
        passes=len(throughput.per_iteration),
    )
    if latency is None or not latency.per_iteration:
        return cost
    per_iteration, spread = lowest_agreeing(latency.per_iteration)
    chain = latency.chain
    cycles = (
        per_iteration / chain.counted - chain.instruction.glue_cycles / chain.instruction.counted
    )
    return dataclasses.replace(cost, latency=cycles, latency_spread=spread)


def _without_glue(costs: dict[Key, Cost], instructions: Iterable[Instruction]) -> dict[Key, Cost]:
    """Subtract the latency of other rows from the rows whose chain contains them."""
    corrected = dict(costs)
    for row in instructions:
        cost = costs.get(row.key)
        if row.glue is None or cost is None or cost.latency is None:
            continue
        glue = costs.get(row.glue)
        if glue is None or glue.latency is None:
            corrected[row.key] = dataclasses.replace(cost, latency=None, latency_spread=None)
            continue
        latency = cost.latency - glue.latency
        widths = (cost.latency_spread or 0) * cost.latency + (
            glue.latency_spread or 0
        ) * glue.latency
        corrected[row.key] = dataclasses.replace(
            cost, latency=latency, latency_spread=widths / latency
        )
    return corrected
