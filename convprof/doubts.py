"""Whether a measured time can be true: the one place that decides it, and says why not in words.

A doubtful result is shown with a mark. No conclusion, order or stored choice is based on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.results import Measurement, Time

WIDE = 2.0
"""The upper end of an interval over its lower end: above this factor the median is not known."""
DISTURBED = 2.0
"""The median sample over the fastest: above this factor other programs disturbed the samples."""
STEADY = 1.15
"""Samples that agree within this factor were not disturbed, whatever else the machine did..."""
SLICE_S = 0.01
"""... if they are short: a scheduler lets a thread run for some milliseconds, and longer samples
are all disturbed alike."""
SPARE_CPUS = 0.5
"""CPUs that may be missing to the threads of a contestant while other programs run."""
STOLEN = 0.1
"""Share of the time that a hypervisor may take."""
OVER_PEAK = 1.25
"""A rate over the peak: a changed clock between two measurements explains no larger factor."""
HOT_OVER_CHAIN = 1.5
TIMER_S = 5e-6
"""What reading the clock between two layers, and the launch of one layer alone, may differ by."""
SAME_FASTEST = 1.1
"""The fastest third of a candidate's samples agree within 10 %, or all of them were disturbed."""
NEGLIGIBLE = 0.05
"""Share of a sum that times in doubt may have without putting the sum in doubt."""
MOST_DISTURBED = 4.0
"""Other programs may make every sample of a contestant this many times longer, for instance if its
second thread has no CPU."""
LAUNCH_CYCLES = 1e6
"""What a call may cost besides its work: the launch of threads, a library's bookkeeping."""
CYCLES_PER_ITEM = 1000.0
"""Cycles for each FLOP and each byte: a cache miss of each element costs less."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else the machine did while samples were taken; None where that is unknown."""

    cpus: int | None = None
    """CPUs that this process may use."""
    others_cpus: float | None = None
    """How many of these CPUs other programs kept busy."""
    stolen_share: float | None = None
    """Share of the time that the hypervisor took."""


QUIET = Surroundings()
"""Nothing is known to disturb."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine reaches at most; None where that is unknown."""

    flop_per_s: float | None = None
    """On the measurement's number of threads."""
    flop_per_cycle: float | None = None
    """On one core."""
    saving: float = 1.0
    """FLOPs of the definition for each FLOP that an unknown algorithm may really execute."""


def of_samples(measurement: Measurement, around: Surroundings) -> str | None:
    """Return why the samples of a measurement cannot be believed; None if they can."""
    time = measurement.time_s
    if time is None:
        return None
    return _first(
        (
            *(() if _steady(time) else (_others(measurement.threads, around), _stolen(around))),
            _spread(time),
            _slow(measurement),
        )
    )


def of_limits(measurement: Measurement, limits: Limits) -> str | None:
    """Return why a measurement contradicts what the machine can reach; None if it does not."""
    flops = measurement.flops
    if flops is None or not flops.direct:
        return None
    executed = min(1.0, flops.executed / flops.direct) / limits.saving
    per_cycle, rate = measurement.flop_per_cycle_per_core, measurement.flop_per_s
    if limits.flop_per_cycle and per_cycle and _over(executed * per_cycle, limits.flop_per_cycle):
        return (
            f"{executed * per_cycle:.0f} FLOP/cycle on each core, where the peak is "
            f"{limits.flop_per_cycle:.0f}"
        )
    if limits.flop_per_s and rate and _over(executed * rate, limits.flop_per_s):
        return f"{executed * rate / limits.flop_per_s:.1f} times the peak"
    return None


def of_chain(hot_s: float, chain_s: float) -> str | None:
    """Return why a layer's time with hot caches contradicts its time within the chain.

    Within the chain the caches are colder and each layer runs once: it is never much faster there.
    """
    if hot_s <= HOT_OVER_CHAIN * chain_s + TIMER_S:
        return None
    return f"{hot_s / chain_s:.1f} times as long as within the chain"


def of_choice(threads: int, around: Surroundings, fastest: Sequence[float]) -> str | None:
    """Return why the fastest of some candidates may be another one; None if it may not.

    ``fastest`` are the samples that decided, of the candidate that won.
    """
    crowded = _others(threads, around) or _stolen(around)
    if crowded is not None:
        return crowded
    if max(fastest) <= SAME_FASTEST * min(fastest):
        return None
    return f"even its fastest samples differ by {100 * (max(fastest) / min(fastest) - 1):.0f} %"


def of_sum(parts: Iterable[tuple[float, str | None]], whole_s: float) -> str | None:
    """Return why a sum of times cannot be believed; None if doubtful parts are a negligible share.

    ``parts`` are seconds, each with its doubt; ``whole_s`` is the sum, or what they are parts of.
    The reason is the one that concerns the most seconds.
    """
    seconds: dict[str, float] = {}
    for part_s, doubt in parts:
        if doubt is not None:
            seconds[doubt] = seconds.get(doubt, 0.0) + part_s
    if sum(seconds.values()) <= NEGLIGIBLE * whole_s:
        return None
    return max(seconds, key=lambda reason: seconds[reason])


def trusted(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the measurements with a time that is not in doubt."""
    return [m for m in measurements if m.time_s is not None and m.doubt is None]


def may_be_faster(best: Measurement, measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the measurements in doubt that may be faster than one that is not in doubt.

    Other programs may have made each of their samples `MOST_DISTURBED` times too long. The one with
    the shortest sample comes first.
    """
    if best.time_s is None:
        return []
    limit_s = MOST_DISTURBED * best.time_s.median
    shorter = [(m.time_s.min, m) for m in measurements if m.doubt is not None and m.time_s]
    return [m for least_s, m in sorted(shorter, key=lambda pair: pair[0]) if least_s < limit_s]


def of_best(best: Measurement, measurements: Iterable[Measurement]) -> str | None:
    """Return why the fastest one may be another measurement; None if it may not.

    ``best`` is the fastest of those that are not in doubt, or in doubt like all of them.
    """
    faster = [] if best.doubt is not None else may_be_faster(best, measurements)
    return f"{faster[0].way} may be faster: {faster[0].doubt}" if faster else None


def _first(doubts: Iterable[str | None]) -> str | None:
    return next((doubt for doubt in doubts if doubt is not None), None)


def _over(value: float, limit: float) -> bool:
    return value > OVER_PEAK * limit


def _steady(time: Time) -> bool:
    """Whether short samples agree so well that each of them ran undisturbed."""
    if time.ci95_low is None or time.ci95_high is None:
        return False
    agree = time.ci95_high <= STEADY * time.ci95_low and time.median <= STEADY * time.min
    return agree and time.median * time.calls_per_sample < SLICE_S


def _spread(time: Time) -> str | None:
    low, high = time.ci95_low, time.ci95_high
    if low is not None and high is not None and high > WIDE * low:
        return f"its 95 % interval is too wide: the upper end is {high / low:.1f} times the lower"
    if time.median > DISTURBED * time.min:
        return (
            f"it was disturbed: half of its samples took over {time.median / time.min:.1f} times "
            "as long as the fastest"
        )
    return None


def _others(threads: int, around: Surroundings) -> str | None:
    cpus, others = around.cpus, around.others_cpus
    if cpus is None or others is None or threads + others <= cpus + SPARE_CPUS:
        return None
    own = "its thread" if threads == 1 else f"its {threads} threads"
    busy = f"{others:.1f} of {cpus} CPUs" if cpus > 1 else f"{100 * others:.0f} % of the CPU"
    return f"other programs used {busy} while {own} ran"


def _stolen(around: Surroundings) -> str | None:
    share = around.stolen_share
    if share is None or share <= STOLEN:
        return None
    return f"the hypervisor took away {100 * share:.0f} % of the time"


def _slow(measurement: Measurement) -> str | None:
    cycles, flops = measurement.cycles, measurement.flops
    if cycles is None or flops is None:
        return None
    items = max(flops.direct, flops.executed) + (measurement.bytes_moved or 0)
    if cycles.per_call <= LAUNCH_CYCLES + CYCLES_PER_ITEM * items:
        return None
    if cycles.per_flop is None:
        return f"{cycles.per_call / max(1, items):,.0f} cycles per byte"
    return f"{cycles.per_flop:,.0f} cycles per FLOP"
