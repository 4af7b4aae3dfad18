"""``compare mixers``: attention and convolutions on the same tokens and channels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.dtypes import of_kind
from convprof.measure import report
from convprof.measure.contestant import Contestant
from convprof.networks.mixers import mixers
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.compare.mixers.costs import Total
from convprof.studies.comparison import Comparison, figures
from convprof.studies.one_session import OneSession
from convprof.studies.roofline_session import RooflineSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.settings import Settings
    from convprof.networks.mixers import Grid, Mixer
    from convprof.problems import Problem
    from convprof.studies.run import Choice

OURS = "auto"
"""The strategy of the parts unless others are named: our best one, chosen for each part."""
KIND = "mixers"
"""Of the comparisons in the result document."""
LAYOUT = "nhwc"
"""Tokens one after the other, each with all its channels: attention has no other."""


@dataclass(frozen=True)
class MixerComparison(Comparison["Total"]):
    """The attention block ``a`` and another mixer ``b``, by the same strategy and threads."""

    grid: Grid

    @property
    def block(self) -> Total:
        """The attention block."""
        return self.a

    @property
    def other(self) -> Total:
        """The mixer that the block is compared with."""
        return self.b

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        (product,) = (part.problem for part in self.block.mixer.parts if part.quadratic)
        return {
            "kind": KIND,
            "problem": report.describe(product),
            "threads": self.block.threads,
            "grid": {**dataclasses.asdict(self.grid), "tokens": self.grid.tokens},
            "a": self.block.to_json(),
            "b": self.other.to_json(),
            **figures(self.ratio, self.doubt),
        }


@dataclass(frozen=True)
class _Row:
    """A mixer to be computed by a strategy on a number of threads."""

    mixer: Mixer
    strategy: str
    threads: int
    contestants: tuple[Contestant, ...]


class Mixers(OneSession):
    """All parts of all mixers of one grid, in one session. Iterate over ``events()``."""

    def __init__(
        self,
        grid: Grid,
        choice: Choice,
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
    ) -> None:
        self.grid = grid
        self._rows: list[_Row] = []
        self.without: list[str] = []
        """Why a strategy computes no such mixer, a line each."""
        for name in choice.strategies or (OURS,):
            for mixer in mixers(grid):
                self._add(mixer, name, choice)
        contestants = [contestant for row in self._rows for contestant in row.contestants]
        self.session = RooflineSession(contestants, settings, machine, watch)

    def _add(self, mixer: Mixer, name: str, choice: Choice) -> None:
        kinds = dict.fromkeys(part.problem.kind for part in mixer.parts)
        lacking = [kind for kind in kinds if name not in _names(kind)]
        if lacking:
            self.without.append(f"{mixer.name}: {name} computes no {' and no '.join(lacking)}")
            return
        for threads in choice.threads:
            added = [_contestant(part.problem, name, threads, choice) for part in mixer.parts]
            self._rows.append(_Row(mixer, name, threads, tuple(added)))

    def totals(self) -> list[Total]:
        """Return the mixers of which every part is timed, by threads and strategy."""
        complete = [total for row in self._rows if (total := self._total(row)) is not None]
        names = list(dict.fromkeys(row.strategy for row in self._rows))
        return sorted(complete, key=lambda total: (total.threads, names.index(total.strategy)))

    def _total(self, row: _Row) -> Total | None:
        participants = [
            participant
            for contestant in row.contestants
            for participant in self.session.participants
            if participant.contestant is contestant and participant.samples
        ]
        if len(participants) < len(row.contestants):
            return None
        common = set.intersection(*(set(participant.samples) for participant in participants))
        return Total(
            row.mixer,
            row.strategy,
            row.threads,
            tuple(self.session.measurement(participant) for participant in participants),
            {
                number: sum(participant.samples[number].seconds for participant in participants)
                for number in sorted(common)
            },
        )

    def comparisons(self) -> list[MixerComparison]:
        """Compare the attention block with each other mixer, where both are complete."""
        return comparisons(self.grid, self.totals())


def comparisons(grid: Grid, totals: Sequence[Total]) -> list[MixerComparison]:
    """Compare each block that has a quadratic part with the other mixers of its strategy."""
    mixer_comparisons = []
    for block in totals:
        for other in totals:
            same = (block.strategy, block.threads) == (other.strategy, other.threads)
            if not same or not block.mixer.quadratic_flops or other.mixer.quadratic_flops:
                continue
            ratio = stats.ratio_by_round(block.sums, other.sums)
            if ratio is not None:
                mixer_comparisons.append(MixerComparison(block, other, ratio, grid))
    return mixer_comparisons


def _contestant(problem: Problem, name: str, threads: int, choice: Choice) -> Contestant:
    """Return a strategy for a part; a short name of types means what it means for the part."""
    dtype = of_kind(choice.dtype, problem.kind)
    setting = Setting(LAYOUT, dtype, threads, choice.isa, choice.tune)
    return Contestant(registry.find(problem.kind, name), problem, setting, choice.cache)


def _names(kind: str) -> set[str]:
    return {strategy.name for strategy in registry.strategies(kind)}
