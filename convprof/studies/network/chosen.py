"""The chains that follow from a plan's routes, and the network as written beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.strategies.chain.links import connect, read_layout
from convprof.strategies.chain.route import AUTO, ways
from convprof.strategies.chain.strategy import Chained
from convprof.studies.network.how import recipe_for
from convprof.studies.network.planned import AS_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.steps import Way
    from convprof.strategies.chain.strategy import Recipe
    from convprof.studies.network.assign import Route
    from convprof.studies.network.how import How


@dataclass(frozen=True, slots=True)
class Chosen:
    """A chain that was planned."""

    name: str
    """``optimal``, ``greedy``, ``all nchw``, ``all nhwc``, ``as written``."""
    strategy: Chained
    predicted_s: float | None
    """None for the network as written, whose layers are others than those measured, and with a
    conversion that was not."""
    conversions: tuple[str, ...]
    also: tuple[str, ...] = ()
    """Other names, of routes that turned out to be the same."""


def chains(recipe: Recipe, routes: Mapping[str, Route], how: How) -> list[Chosen]:
    """Return a chain per different route, in their order, and the network as written."""
    names: dict[tuple[Way, ...], list[str]] = {}
    for name, route in routes.items():
        names.setdefault(_told_apart(recipe, route), []).append(name)
    found = [
        _chosen(name, recipe, routes[name].ways, how, _known(routes[name]), also=tuple(also))
        for name, *also in names.values()
    ]
    plain = recipe_for(recipe.network, fuse=False)
    written = ways(plain.steps, (AUTO,), how.setting, how.layout)
    return [*found, _chosen(AS_WRITTEN, plain, written, how)]


def _known(route: Route) -> float | None:
    """Return the seconds; None with a conversion of which nobody knows what it takes."""
    return route.seconds if math.isfinite(route.seconds) else None


def _told_apart(recipe: Recipe, route: Route) -> tuple[Way, ...]:
    """Return the ways of a route; what has no layout is the same in both."""
    return tuple(
        replace(way, layout=read_layout(step.problem, way.layout))
        for step, way in zip(recipe.steps, route.ways, strict=True)
    )


def _chosen(
    name: str,
    recipe: Recipe,
    chosen: Sequence[Way],
    how: How,
    seconds: float | None = None,
    *,
    also: tuple[str, ...] = (),
) -> Chosen:
    links = connect(recipe.inner, recipe.steps, chosen, how.layout)
    conversions = tuple(link.name for link in links.conversions)
    return Chosen(name, Chained(name, recipe, chosen), seconds, conversions, also)
