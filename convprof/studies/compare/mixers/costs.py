"""What a mixer costs: its parts, and all of them together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.results import half_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.networks.mixers import Mixer, Part
    from convprof.results import Measurement


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part costs, or a whole mixer."""

    name: str
    parameters: int
    flops: int
    executed: int
    """FLOPs really executed; fewer where the algorithm saves some."""
    bytes_min: int
    """Operands read once, results written once; between two parts that is both."""
    seconds: float
    ci95_low: float | None
    """The 95 % interval of the seconds; None for too few samples."""
    ci95_high: float | None
    cycles: float | None
    peak_fraction: float | None
    """Of the FMA peak on as many threads."""

    @property
    def flop_per_s(self) -> float:
        """FLOPs of the definition per second."""
        return self.flops / self.seconds

    @property
    def half_interval(self) -> float | None:
        """Half the width of the 95 % interval, in seconds."""
        return half_width(self.ci95_low, self.ci95_high)


@dataclass(frozen=True)
class Total:
    """One mixer, computed by one strategy on one number of threads; every part is timed."""

    mixer: Mixer
    strategy: str
    threads: int
    measurements: tuple[Measurement, ...]
    """Of the parts, in their order."""
    sums: Mapping[int, float]
    """Seconds of all parts, by the rounds that all of them took part in."""

    @property
    def doubt(self) -> str | None:
        """Why the time of a part cannot be true; None if all can."""
        return next((m.doubt for m in self.measurements if m.doubt), None)

    @property
    def parts(self) -> list[Cost]:
        """What each part costs."""
        pairs = zip(self.mixer.parts, self.measurements, strict=True)
        return [_cost(part, measurement) for part, measurement in pairs]

    @property
    def cost(self) -> Cost:
        """What all parts cost together; the seconds are the sum of the parts' medians.

        The interval belongs to the sums of the parts, round by round.
        """
        parts = self.parts
        seconds = sum(part.seconds for part in parts)
        interval = stats.median_interval(list(self.sums.values()))
        cycles = [part.cycles for part in parts if part.cycles is not None]
        # Seconds that the same work would take at the peak.
        least = [p.peak_fraction * p.seconds for p in parts if p.peak_fraction is not None]
        return Cost(
            name=self.mixer.name,
            parameters=self.mixer.parameters,
            flops=self.mixer.flops,
            executed=sum(part.executed for part in parts),
            bytes_min=sum(part.bytes_min for part in parts),
            seconds=seconds,
            ci95_low=interval[0] if interval else None,
            ci95_high=interval[1] if interval else None,
            cycles=sum(cycles) if len(cycles) == len(parts) else None,
            peak_fraction=sum(least) / seconds if len(least) == len(parts) else None,
        )

    @property
    def quadratic_s(self) -> float:
        """Seconds of the parts that grow with the square of the tokens; 0 without such a part."""
        pairs = zip(self.mixer.parts, self.parts, strict=True)
        return sum(cost.seconds for part, cost in pairs if part.quadratic)

    @property
    def linear_s(self) -> float:
        """Seconds of the other parts."""
        return self.cost.seconds - self.quadratic_s

    @property
    def quadratic_flop_share(self) -> float:
        """Share of the FLOPs that grows with the square of the tokens."""
        return self.mixer.quadratic_flops / self.mixer.flops

    @property
    def quadratic_time_share(self) -> float:
        """Share of the seconds that grows with the square of the tokens."""
        return self.quadratic_s / self.cost.seconds

    def to_json(self) -> dict[str, Any]:
        """Return the total as one side of a comparison."""
        costs = dataclasses.asdict(self.cost)
        return {
            "strategy": self.strategy,
            "layout": self.measurements[0].layout,
            "threads": self.threads,
            "mixer": costs.pop("name"),
            **costs,
            "flop_per_s": self.cost.flop_per_s,
            "quadratic_flop_share": self.quadratic_flop_share,
            "quadratic_time_share": self.quadratic_time_share,
            "parts": [
                {**dataclasses.asdict(part), "flop_per_s": part.flop_per_s} for part in self.parts
            ],
        }


def _cost(part: Part, measurement: Measurement) -> Cost:
    time, flops, cycles = measurement.time_s, measurement.flops, measurement.cycles
    if time is None or flops is None:
        raise ValueError(part.name)  # a total has timed parts only
    return Cost(
        name=part.name,
        parameters=part.parameters,
        flops=flops.direct,
        executed=flops.executed,
        bytes_min=measurement.bytes_min or 0,
        seconds=time.median,
        ci95_low=time.ci95_low,
        ci95_high=time.ci95_high,
        cycles=cycles.per_call if cycles else None,
        peak_fraction=measurement.peak_fraction,
    )
