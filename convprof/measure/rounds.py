"""How many rounds a contestant takes part in, and how many calls a sample of it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from convprof.measure.settings import Settings

ROUNDS = 25
FEWEST_ROUNDS = 6
"""Below six samples there is no 95 % interval of the median."""
RESOLUTIONS_PER_SAMPLE = 100
WHOLE_BUDGETS = 20
"""A whole network may take this many budgets of a contestant: it has about this number of
layers."""


class Share(NamedTuple):
    """The part of a session's samples that one contestant takes."""

    calls: int
    """Of a sample."""
    rounds: int


def share(settings: Settings, resolution_s: float, call_s: float, *, network: bool) -> Share:
    """Return calls per sample and rounds, from the budget and the time of a call."""
    rounds = settings.rounds or ROUNDS
    budgets = WHOLE_BUDGETS if network else 1
    sample_s = max(settings.budget_s / rounds, RESOLUTIONS_PER_SAMPLE * resolution_s)
    call_s = max(call_s, resolution_s)
    calls = max(1, round(sample_s / call_s))
    if settings.rounds is not None:
        return Share(calls, rounds)
    usual = max(int(budgets * settings.budget_s / call_s), FEWEST_ROUNDS)
    affordable = max(1, int(budgets * settings.longest_s / call_s))
    return Share(calls, min(rounds, usual, affordable))
