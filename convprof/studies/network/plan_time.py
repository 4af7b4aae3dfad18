"""Which fraction of a plan's time its first session takes, which times the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.measure.rounds import FEWEST_ROUNDS, ROUNDS, WHOLE_BUDGETS
from convprof.measure.session import MANY_PHASE_RUNS, PHASE_CALLS

if TYPE_CHECKING:
    from convprof.measure.settings import Settings

USUAL_FLOP_PER_S = 1e11
"""Of a network where no peak is known."""
USUAL_PEAK_SHARE = 0.5
"""Of the peak, before a network was timed."""
USUAL_CHAINS = 4
"""The five routes, of which two are often the same."""
PREPARING_CALLS = 3
"""Calls to verify a network and to warm it up."""


def probing_share(
    probes: int,
    chains: int,
    call_s: float,
    probing: Settings,
    whole: Settings,
    *,
    searching_s: float = 0.0,
) -> float:
    """Return the fraction of the time until all probes are measured.

    ``call_s`` is the time of one run of the network. ``probing`` and ``whole`` are the settings of
    the sessions of the probes and of the chains. ``searching_s``: the time of the searches that
    belong to the chains.
    """
    probes_s = probes * _seconds(call_s, probing)
    chains_s = chains * _seconds(call_s, whole) + searching_s
    return probes_s / (probes_s + chains_s)


def usual_call_s(flops: int, peak_flop_per_s: float | None) -> float:
    """Return the seconds of one run of a network that was not timed yet."""
    rate = USUAL_PEAK_SHARE * peak_flop_per_s if peak_flop_per_s else USUAL_FLOP_PER_S
    return flops / rate


def _seconds(call_s: float, settings: Settings) -> float:
    """Return the seconds of one contestant: prepared, sampled, timed layer by layer."""
    budget_s = settings.budget_s
    if settings.rounds is None:
        most_s = max(FEWEST_ROUNDS * call_s, WHOLE_BUDGETS * budget_s)
        samples_s = min(max(ROUNDS * call_s, budget_s), most_s)
    else:
        samples_s = max(settings.rounds * call_s, budget_s)
    return call_s * (PREPARING_CALLS + PHASE_CALLS * MANY_PHASE_RUNS) + samples_s
