"""The table of ``run``: one row per contestant, fastest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.dtypes import short_name
from convprof.machine.caches import MEMORY
from convprof.render import describe, doubts
from convprof.render.columns import Column
from convprof.studies.run_answer import label
from convprof.studies.shortlist import executed_fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.units import Unit

NOTHING = "-"
OVER_CEILING = 1.0
_OVER_ALL = 1.005
"""The smallest share that is shown as more than 100 %."""


def excluded(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements that were refused, failed or wrong."""
    return [m for m in measurements if m.status != "ok"]


def run_columns(measurements: Sequence[Measurement]) -> list[Column[Measurement]]:
    """Return the columns for ``run``; the time's unit follows from its values."""
    unit = units.time_unit([m.time_s.median for m in measurements if m.time_s])
    cycles = units.count_unit([m.cycles.per_call for m in measurements if m.cycles])
    layout: list[Column[Measurement]] = [
        Column("layout", lambda m: m.layout or NOTHING, 3, "left", key=True),
    ]
    isa: list[Column[Measurement]] = [
        Column("ISA", lambda m: m.isa or NOTHING, 3, "left", key=True),
    ]
    dtype: list[Column[Measurement]] = [
        Column("type", type_name, 3, "left", key=True),
    ]
    environment: list[Column[Measurement]] = [
        Column("in", lambda m: m.environment or NOTHING, 3, "left", key=True),
    ]
    tiles: list[Column[Measurement]] = [Column("% tiles", tile_cell, 5)]
    bound: list[Column[Measurement]] = [
        Column("bound", bound_cell, 6, "left"),
    ]
    return [
        Column("strategy", lambda m: doubts.marked(m.strategy, m.doubt), 1, "left", key=True),
        *(layout if any(m.layout for m in measurements) else []),
        *(isa if several_isas(measurements) else []),
        *(dtype if several_dtypes(measurements) else []),
        *(environment if any(m.environment for m in measurements) else []),
        Column("threads", lambda m: str(m.threads), 4, key=True),
        Column(f"time [{unit.name}]", lambda m: time_cell(m, unit), 2),
        Column("GFLOP/s", gflops_cell, 7),
        Column(f"{cycles.name}cycles", lambda m: _cycles_cell(m, cycles), 11),
        Column("cycles/FLOP", _cycles_per_flop, 9),
        Column("FLOP/cycle/core", _flop_per_cycle, 10),
        Column("% peak", peak_cell, 5),
        *(tiles if has_tiles(measurements) else []),
        *(bound if any(m.bound for m in measurements) else []),
        Column("error", error_cell, 8),
    ]


def bound_cell(measurement: Measurement) -> str:
    """Return what limits a strategy; of a memory the level, and the share of its bandwidth."""
    if not has_bandwidth(measurement):
        return measurement.bound or NOTHING
    return f"{measurement.level} {100 * (measurement.bandwidth_fraction or 0):.0f} %"


def has_bandwidth(measurement: Measurement) -> bool:
    """Whether a bandwidth is the limit, and the share of it is known."""
    known = measurement.level is not None and measurement.bandwidth_fraction is not None
    return known and measurement.bound == "memory"


def over_bandwidth(measurement: Measurement) -> bool:
    """Whether the share of the bandwidth is shown as more than 100 %."""
    return has_bandwidth(measurement) and (measurement.bandwidth_fraction or 0) >= _OVER_ALL


def lacks_memory_bandwidth(rows: Sequence[Measurement]) -> bool:
    """Whether only the bandwidth of main memory is missing to say what limits some of the rows.

    Rows of old documents have no levels. Others have none where a cache of unknown size is nearest.
    """
    levels = {m.level for m in rows if m.bound is None and m.peak_fraction is not None}
    return MEMORY in levels or (None in levels and all(m.level is None for m in rows))


def several_isas(measurements: Iterable[Measurement]) -> bool:
    """Whether generated kernels differ in their instruction set."""
    return len({m.isa for m in measurements if m.isa is not None}) > 1


def several_dtypes(measurements: Iterable[Measurement]) -> bool:
    """Whether the rows differ in their element types."""
    return len({type_name(m) for m in measurements}) > 1


def types_words(measurements: Iterable[Measurement]) -> str:
    """Return ``int8``, or ``several types`` where a column says which."""
    names = list(dict.fromkeys(type_name(m) for m in measurements))
    return names[0] if len(names) == 1 else "several types"


def type_name(measurement: Measurement) -> str:
    """Return ``int8``, or ``bf16 x int4`` where the weights have 4 bits."""
    return types_of(measurement.problem, measurement.dtype)


def types_of(problem: dict[str, Any], dtype: str) -> str:
    """Return the name of the types of a problem that may have no measurement."""
    weights, name = problem.get("weight_dtype"), short_name(dtype, problem.get("kind", ""))
    return f"{name} x {weights}" if weights else name


def problem_names(measurements: Iterable[Measurement]) -> Callable[[Measurement], str]:
    """Return what names the problem of a measurement; with its types if the rows differ in them."""
    several = several_dtypes(measurements)

    def name(measurement: Measurement) -> str:
        text = describe.short_name(label(measurement))
        return f"{text} {type_name(measurement)}" if several else text

    return name


def time_cell(measurement: Measurement, unit: Unit) -> str:
    """Return ``1.23 ±0.04``: the median and half its 95 % interval."""
    time = measurement.time_s
    return NOTHING if time is None else seconds_cell(time.median, time.half_interval, unit)


def seconds_cell(seconds: float, half: float | None, unit: Unit) -> str:
    """Return ``1.23 ±0.04``; ``±?`` if the interval is not known."""
    decimals = _decimals(unit.scale(seconds))
    spread = "±?" if half is None else f"±{unit.scale(half):.{decimals}f}"
    return f"{unit.scale(seconds):,.{decimals}f} {spread}"


def gflops_cell(measurement: Measurement) -> str:
    """Return the rate in GFLOP/s."""
    rate = measurement.flop_per_s
    return NOTHING if rate is None else units.digits(rate / 1e9)


def peak_cell(measurement: Measurement) -> str:
    """Return the share of the measured peak, with a mark if it needs an explanation.

    ``*``: an effective rate, fewer operations are executed than the definition counts; ``!``: even
    the executed operations are over the peak, because of a change of the clock or a bug.
    """
    share = measurement.peak_fraction
    if share is None:
        return NOTHING
    mark = "!" if over_ceiling(measurement) else "*" if effective(measurement) else ""
    return f"{100 * share:.1f}{mark}"


TILES = "% tiles: of the tile ceiling, products of 2 x 2 tiles that are loaded from L1"


def has_tiles(measurements: Iterable[Measurement]) -> bool:
    """Whether any measurement is compared with a tile ceiling."""
    return any(m.tile_fraction for m in measurements)


def tile_cell(measurement: Measurement) -> str:
    """Return the share of the tile ceiling."""
    share = measurement.tile_fraction
    return NOTHING if share is None else f"{100 * share:.1f}"


def effective(measurement: Measurement) -> bool:
    """Whether the rate is over the peak because the algorithm executes fewer FLOPs."""
    over = (measurement.peak_fraction or 0) > OVER_CEILING
    return over and not over_ceiling(measurement)


def over_ceiling(measurement: Measurement) -> bool:
    """Whether even the executed FLOPs are over the peak."""
    return (executed_fraction(measurement) or 0.0) > OVER_CEILING


def ratio_text(ratio: Ratio, decimals: int = 2) -> str:
    """Return ``0.93 [0.92, 0.95]``: the ratio and its 95 % interval, if known."""
    value = f"{ratio.value:.{decimals}f}"
    if ratio.low is None or ratio.high is None:
        return value
    return f"{value} [{ratio.low:.{decimals}f}, {ratio.high:.{decimals}f}]"


def _decimals(value: float) -> int:
    return max(0, len(units.digits(value, 3).partition(".")[2]))


def error_cell(measurement: Measurement) -> str:
    """Return the largest relative error; 0 if every digit is equal."""
    error = measurement.max_rel_error
    if error is None:
        return NOTHING
    return f"{error:.0e}" if error else "0"


def _cycles_cell(measurement: Measurement, unit: Unit) -> str:
    cycles = measurement.cycles
    return NOTHING if cycles is None else units.digits(unit.scale(cycles.per_call))


def _cycles_per_flop(measurement: Measurement) -> str:
    cycles = measurement.cycles
    return NOTHING if cycles is None or cycles.per_flop is None else units.digits(cycles.per_flop)


def _flop_per_cycle(measurement: Measurement) -> str:
    value = measurement.flop_per_cycle_per_core
    return NOTHING if value is None else units.digits(value)
