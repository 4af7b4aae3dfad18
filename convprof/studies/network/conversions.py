"""What it takes to move a network's results from one layout into the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof import stats
from convprof.measure.contestant import Contestant
from convprof.problems import Reorder
from convprof.strategies import registry
from convprof.strategies.base import LAYOUTS, Setting
from convprof.strategies.chain.links import TRANSPOSE, convertible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.measure.session import Entry
    from convprof.networks.graph import Network
    from convprof.networks.steps import Step


class Conversions:
    """The conversions of what a chain may convert, in both directions; equal ones once."""

    def __init__(self, network: Network, steps: Sequence[Step], setting: Setting) -> None:
        """``network`` is the one that the steps compute."""
        self._network = network
        strategy = registry.find(Reorder.kind, TRANSPOSE)
        self._names = sorted(convertible(network, steps))
        self._contestants: dict[tuple[Reorder, str], Contestant] = {}
        for name in self._names:
            for layout in LAYOUTS:
                there = replace(setting, layout=layout)
                problem = self._problem(name)
                self._contestants[problem, layout] = Contestant(strategy, problem, there)

    @property
    def contestants(self) -> list[Contestant]:
        """Those to be measured."""
        return list(self._contestants.values())

    def seconds(self, entries: Iterable[Entry]) -> Mapping[tuple[str, str], float]:
        """Return the median by name of the result and layout that it is converted from.

        Infinite for what was not measured: no plan has a conversion whose cost is unknown.
        """
        measured = {id(entry.contestant): entry.samples for entry in entries if entry.samples}
        found = {}
        for name in self._names:
            for layout in LAYOUTS:
                contestant = self._contestants.get((self._problem(name), layout))
                samples = measured.get(id(contestant), {})
                seconds = [sample.seconds for sample in samples.values()]
                found[name, layout] = stats.median(seconds) if seconds else float("inf")
        return found

    def _problem(self, name: str) -> Reorder:
        n, c, h, w = self._network.shapes[name]
        return Reorder(n=n, c=c, h=h, w=w)
