"""``auto``: the strategy and blocking that suit the problem, the machine and the threads.

``--tune off`` trusts the model, ``quick`` (the default) times the few best candidates, ``full``
all of them. What was found by timing is remembered for this machine.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from convprof import choice_store
from convprof.machine import facts
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.tuning.search import EFFORTS, times
from convprof.strategies.tuning.tunable import Tunable, Variant
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem

Candidate = tuple[Tunable, Variant]

CHOICES = "choices"
"""The folder of remembered choices."""


class Auto(Strategy):
    """The best of our own strategies."""

    name: ClassVar[str] = "auto"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True
    listed: ClassVar[bool] = False

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Choose, then allocate and compile the choice."""
        start = time.perf_counter()
        candidates = self.candidates(problem, setting)
        (strategy, variant), why = self._choose(candidates, problem, setting)
        chosen = time.perf_counter() - start
        prepared = strategy.prepare_variant(problem, setting, variant)
        prepared.compile_s += chosen
        prepared.explanation = (f"{_spelled((strategy, variant))}: {why}",)
        return prepared

    def candidates(self, problem: Problem, setting: Setting) -> list[Candidate]:
        """Return every blocking of every strategy that takes the problem, most promising first."""
        from convprof.strategies import registry

        members = [
            strategy
            for strategy in registry.strategies(self.kind)
            if isinstance(strategy, Tunable) and strategy.why_not(problem, setting) is None
        ]
        members.sort(key=lambda member: member.cycles(problem, setting))
        variants = [(member, member.variants(problem, setting)) for member in members]
        depth = max(len(found) for _, found in variants)
        return [
            (member, found[level])
            for level in range(depth)
            for member, found in variants
            if level < len(found)
        ]

    def _choose(
        self, candidates: list[Candidate], problem: Problem, setting: Setting
    ) -> tuple[Candidate, str]:
        """Return the choice and the reason for it."""
        if setting.tune == "off":
            return candidates[0], "fewest cycles by the model, nothing was timed"
        key = _key(problem, setting, [strategy.name for strategy, _ in candidates])
        known = _known(choice_store.load(CHOICES, key), candidates)
        if known is not None:
            return known, "fastest when it was timed before, remembered"
        effort = EFFORTS[setting.tune]
        tried = candidates[: effort.candidates]
        prepared = [
            strategy.prepare_variant(problem, setting, variant) for strategy, variant in tried
        ]
        found = times(prepared, problem, setting, effort.rounds)
        order = sorted(range(len(tried)), key=found.__getitem__)
        best = tried[order[0]]
        choice_store.save(CHOICES, key, {"strategy": best[0].name, "variant": best[1]})
        if len(order) == 1:
            return best, "the only candidate"
        margin = 100 * (found[order[1]] / found[order[0]] - 1)
        second = _spelled(tried[order[1]])
        return best, f"fastest of {len(tried)} timed, {margin:.0f} % ahead of {second}"


class AutoConv2d(Auto):
    """The best of our own convolutions."""

    kind: ClassVar[str] = "conv2d"
    summary: ClassVar[str] = "microkernel or winograd, blocked for the problem by a timed search"
    fuses: ClassVar[bool] = True


class AutoGemm(Auto):
    """The best of our own products."""

    kind: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "packed or prepacked, blocked for the problem by a timed search"
    fuses: ClassVar[bool] = True


class AutoAttention(Auto):
    """The best of our own attention."""

    kind: ClassVar[str] = "attention"
    summary: ClassVar[str] = "fused, blocked for the problem by a timed search"


class AutoConv2dData(Auto):
    """The best of our own gradients of a convolution's input."""

    kind: ClassVar[str] = "conv2d-backward-data"
    summary: ClassVar[str] = "microkernel or winograd, blocked for the problem by a timed search"


class AutoConv2dWeights(Auto):
    """The best of our own gradients of a convolution's weights."""

    kind: ClassVar[str] = "conv2d-backward-weights"
    summary: ClassVar[str] = "microkernel, blocked for the problem by a timed search"


class AutoGemmData(Auto):
    """The best of our own gradients of a product's first operand."""

    kind: ClassVar[str] = "gemm-backward-data"
    summary: ClassVar[str] = "packed, blocked for the problem by a timed search"


class AutoGemmWeights(Auto):
    """The best of our own gradients of a product's second operand."""

    kind: ClassVar[str] = "gemm-backward-weights"
    summary: ClassVar[str] = "packed, blocked for the problem by a timed search"


def _key(problem: Problem, setting: Setting, names: Sequence[str]) -> dict[str, Any]:
    """Return all that a choice depends on; ``names`` are the strategies of the candidates."""
    return {
        "among": sorted(set(names)),
        "version": VERSION,
        "machine": facts().identity_key(),
        "problem": {"kind": problem.kind, **problem.dims()},
        "layout": setting.layout,
        "dtype": setting.dtype,
        "threads": setting.threads,
        "isa": setting.isa,
        "tune": setting.tune,
    }


def _known(choice: dict[str, Any] | None, candidates: list[Candidate]) -> Candidate | None:
    """Return the candidate that a remembered choice names; None if there is none like it."""
    if choice is None:
        return None
    for strategy, variant in candidates:
        if choice.get("strategy") == strategy.name and choice.get("variant") == variant:
            return strategy, variant
    return None


def _spelled(candidate: Candidate) -> str:
    strategy, variant = candidate
    chosen = {name: value for name, value in variant.items() if name != "unroll" or value}
    return f"{strategy.name} ({', '.join(f'{name} {value}' for name, value in chosen.items())})"
