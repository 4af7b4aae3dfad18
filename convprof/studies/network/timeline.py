"""The layers of a network one after the other: in chains, and measured alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.timeline import TimelineEvent, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convprof.results import Measurement
    from convprof.studies.network.layers import LayerStep
    from convprof.studies.network.planned import PlanResult
    from convprof.studies.network.study import NetworkResult


def of_network(result: NetworkResult) -> list[Track]:
    """Return the chain, and each layer hot and cold."""
    flops = _flops(layer.step for layer in result.layers)
    tracks = []
    if result.chain is not None:
        tracks.append(_chain(result.chain, flops))
    for name in ("hot", "cold"):
        alone = {
            layer.step.name: measurement
            for layer in result.layers
            if (measurement := layer.hot if name == "hot" else layer.cold) is not None
        }
        if alone:
            tracks.append(_alone(f"each layer alone, {name} caches", alone, flops))
    return tracks


def of_plan(result: PlanResult) -> list[Track]:
    """Return each of our chains."""
    flops = _flops(planned.step for planned in result.layers)
    return [_chain(chain.measurement, flops) for chain in result.chains]


def _flops(steps: Iterable[LayerStep]) -> dict[str, int]:
    return {step.name: step.problem.flops for step in steps}


def _chain(chain: Measurement, flops: Mapping[str, int]) -> Track:
    """Return the phases of a chain: all its threads compute each layer together."""
    peak = _peak(chain)
    track, begin = Track(chain.label), 0.0
    for layer, seconds in (chain.phases or {}).items():
        share = _share(flops.get(layer, 0), seconds, peak)
        for thread in range(chain.threads):
            track.events.append(TimelineEvent(layer, f"thread {thread + 1}", begin, seconds, share))
        begin += seconds
    return track


def _alone(name: str, layers: Mapping[str, Measurement], flops: Mapping[str, int]) -> Track:
    track, begin = Track(name), 0.0
    for layer, measurement in layers.items():
        seconds = measurement.time_s.median if measurement.time_s else 0.0
        share = _share(flops.get(layer, 0), seconds, _peak(measurement))
        details = (("strategy", measurement.way),)
        for thread in range(measurement.threads):
            where = f"thread {thread + 1}"
            track.events.append(TimelineEvent(layer, where, begin, seconds, share, details))
        begin += seconds
    return track


def _peak(measurement: Measurement) -> float | None:
    """Return the peak in FLOP/s that a measurement is a share of."""
    rate, share = measurement.flop_per_s, measurement.peak_fraction
    return rate / share if rate and share else None


def _share(flops: int, seconds: float, peak: float | None) -> float | None:
    return flops / seconds / peak if flops and seconds and peak else None
