"""Libraries that run the same network from the same weights, in the same session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import RefusedError, UnknownNameError
from convprof.measure.contestant import Contestant
from convprof.problems.checks import shown
from convprof.strategies import registry

if TYPE_CHECKING:
    from convprof.problems import NetworkProblem
    from convprof.studies.network.options import Options


def names() -> list[str]:
    """Return the libraries that can run a whole network, the most used first."""
    strategies = registry.strategies("network")
    return [
        strategy.name for strategy in sorted(strategies, key=lambda each: not each.role.is_compared)
    ]


def libraries(whole: NetworkProblem, options: Options) -> list[Contestant]:
    """Return the named libraries, as contestants.

    UnknownNameError for an unknown name; RefusedError for a library that does not run this network
    on this machine: without it nothing is measured.
    """
    contestants: list[Contestant] = []
    for name in options.libraries:
        if name not in names():
            known = ", ".join(names())
            typed = name if name.isprintable() else shown(name)
            raise UnknownNameError(f"no such library; use {known}", field="library", value=typed)
        strategy = registry.find("network", name)
        reason = strategy.why_not(whole, options.setting)
        if reason is not None:
            raise RefusedError(reason, field="library", value=name)
        contestants.append(Contestant(strategy, whole, options.setting))
    return contestants
