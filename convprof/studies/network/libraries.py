"""Libraries that run the same network from the same weights, in the same session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import stats
from convprof.errors import RefusedError, UnknownNameError
from convprof.measure.contestant import Contestant
from convprof.problems.checks import shown
from convprof.strategies import registry

if TYPE_CHECKING:
    from convprof.measure.session import Entry
    from convprof.problems import NetworkProblem
    from convprof.stats import Ratio
    from convprof.studies.network.options import How


def paired(other: Entry, ours: Entry) -> Ratio:
    """Return the time of one over that of another, from the rounds that both took part in."""
    common = sorted(other.samples.keys() & ours.samples.keys())
    return stats.paired_ratio(
        [other.samples[number].seconds for number in common],
        [ours.samples[number].seconds for number in common],
    )


def names() -> list[str]:
    """Return the libraries that can run a whole network, those that people use first."""
    found = registry.strategies("network")
    return [strategy.name for strategy in sorted(found, key=lambda each: not each.role.is_compared)]


def rivals(whole: NetworkProblem, how: How) -> list[Contestant]:
    """Return the libraries asked for, as contestants.

    UnknownNameError for one there is not; RefusedError for one that does not run this network on
    this machine: whoever names a library waits for nothing else.
    """
    found: list[Contestant] = []
    for name in how.rivals:
        if name not in names():
            known = ", ".join(names())
            typed = name if name.isprintable() else shown(name)
            raise UnknownNameError(f"--with {typed}: no such library; use {known}")
        strategy = registry.find("network", name)
        reason = strategy.why_not(whole, how.setting)
        if reason is not None:
            raise RefusedError(f"--with {name}: {reason}")
        found.append(Contestant(strategy, whole, how.setting))
    return found
