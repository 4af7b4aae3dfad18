"""``auto``: the strategy and blocking that suit the problem, the machine and the threads.

``--tune off`` trusts the model, ``quick`` (the default) times the few best candidates, ``full``
all of them. A choice by timing is stored for this machine.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof import choice_store
from convprof.codegen.target import target
from convprof.dtypes import ATTENTION_BYTES, COMMON, GROUPED, PRODUCTS, SHORT_FLOATS
from convprof.machine import facts
from convprof.strategies.base import Role, Setting
from convprof.strategies.planned import Planned
from convprof.strategies.tuning import on_paper, search_time
from convprof.strategies.tuning.candidate import Candidate
from convprof.strategies.tuning.search import EFFORTS, times
from convprof.strategies.tuning.tunable import Tunable, stored
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.problems import Problem
    from convprof.strategies.plan import Plan

CHOICES = "choices"
"""The folder of stored choices."""
FORMAT = 2
"""The version of a stored choice; since 2, ``blocking`` is the word instead of ``variant``."""
MEMBERS = {
    "conv2d": "microkernel or winograd",
    "gemm": "packed, prepacked or strassen",
    "attention": "fused or streamed",
    "conv2d-backward-data": "microkernel or winograd",
    "conv2d-backward-weights": "microkernel",
    "gemm-backward-data": "packed",
    "gemm-backward-weights": "packed",
}
"""By kind of problem, the strategies to choose from."""
FUSED = {"conv2d", "gemm"}
"""Kinds whose members all fuse epilogues."""
DTYPES = {
    "conv2d": PRODUCTS,
    "gemm": PRODUCTS,
    "attention": (*COMMON, *SHORT_FLOATS, *ATTENTION_BYTES),
}
"""The types of some kinds; all others have f32 and f64."""


class Auto(Planned[Any]):
    """The best of our own strategies for one kind of problem."""

    name = "auto"
    parallel = True
    generated = True
    role = Role.CHOOSER

    def __init__(self, kind: str) -> None:
        """Choose for one of the kinds of ``MEMBERS``."""
        self.kind = kind
        self.summary = f"{MEMBERS[kind]}, blocked for the problem by a timed search"
        self.fuses = kind in FUSED
        self.dtypes = DTYPES.get(kind, COMMON)
        self.grouped = GROUPED if kind == "gemm" else ()

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Refuse what every member refuses, with the first reason."""
        reason = super().why_not(problem, setting)
        if reason is not None or setting.dtype in COMMON:
            return reason
        reasons = [member.why_not(problem, setting) for member in self._members()]
        return None if None in reasons else f"{self.name}: {reasons[0]}"

    def _members(self) -> list[Tunable[Any, Any]]:
        from convprof.strategies import registry

        every = registry.strategies(self.kind)
        return [strategy for strategy in every if isinstance(strategy, Tunable)]

    def plan(self, problem: Problem, setting: Setting) -> Plan:
        """Choose; return the plan of the choice, with the reason."""
        start = time.perf_counter()
        choice, why, plan = self.choose(problem, setting)
        chosen_s = time.perf_counter() - start
        if plan is None:
            plan = choice.plan(problem, setting)
        return replace(plan, explanation=(f"{choice}: {why}",), chosen_s=chosen_s)

    def searches(self, problem: Problem, setting: Setting) -> frozenset[str]:
        """Return the key of the choice if it would be timed; nothing if it is stored."""
        if setting.tune == "off":
            return frozenset()
        members = self._taking(problem, setting)
        key = _key(problem, setting, _among(members, self._on_fewer(problem, setting)))
        known = not members or choice_store.load(CHOICES, key) is not None
        return frozenset() if known else frozenset({json.dumps(key, sort_keys=True)})

    def _taking(self, problem: Problem, setting: Setting) -> list[Tunable[Any, Any]]:
        """Return the strategies that pay, and compute as precisely as the setting says."""
        return [
            member
            for member in self._members()
            if member.added_error <= setting.max_error
            and member.why_not(problem, setting) is None
            and member.pays(problem, setting)
        ]

    def _ranked(self, problem: Problem, setting: Setting) -> list[tuple[float, Tunable[Any, Any]]]:
        """Return the strategies for the problem and the cycles of each, the fewest first."""
        members = self._taking(problem, setting)
        ranked = [(member.cycles(problem, setting), member) for member in members]
        return sorted(ranked, key=lambda each: each[0])

    def candidates(self, problem: Problem, setting: Setting) -> list[Candidate]:
        """Return every blocking of every strategy for the problem, most promising first."""
        members = self._ranked(problem, setting)
        by_member = [(member, member.blockings(problem, setting)) for _, member in members]
        depth = max(len(blockings) for _, blockings in by_member)
        return [
            Candidate(member, blockings[level])
            for level in range(depth)
            for member, blockings in by_member
            if level < len(blockings)
        ]

    def choose(self, problem: Problem, setting: Setting) -> tuple[Candidate, str, Plan | None]:
        """Return the choice, the reason for it, and its plan if the choice needed the plan."""
        if setting.tune == "off":
            candidate, plan = on_paper.choose(self._ranked(problem, setting), problem, setting)
            return candidate, "fewest cycles by the model, nothing was timed", plan
        return *self._timed(problem, setting), None

    def _on_fewer(self, problem: Problem, setting: Setting) -> list[Candidate]:
        """Return candidates on fewer threads than the setting's, if they may be as fast."""
        if setting.threads == 1 or not setting.alone:
            return []
        ranked = self._ranked(problem, setting)
        threads = on_paper.worth_timing(ranked, problem, setting) if ranked else None
        if threads is None:
            return []
        return [Candidate.first(member, problem, setting, threads) for _, member in ranked]

    def _timed(self, problem: Problem, setting: Setting) -> tuple[Candidate, str]:
        """Return the candidate that is or was the fastest, and the reason."""
        candidates, fewer = self.candidates(problem, setting), self._on_fewer(problem, setting)
        key = _key(problem, setting, _among((each.strategy for each in candidates), fewer))
        known = _known(choice_store.load(CHOICES, key), [*candidates, *fewer])
        if known is not None:
            return known, "fastest when it was timed before, remembered"
        effort = EFFORTS[setting.tune]
        tried = [*candidates[: effort.candidates], *fewer]
        with search_time.counted():
            prepared = [candidate.prepare(problem, setting) for candidate in tried]
            seconds, doubt, load = times(prepared, problem, setting, effort.rounds)
        order = sorted(range(len(tried)), key=seconds.__getitem__)
        best = tried[order[0]]
        choice = _as_json(best)
        if len(order) > 1 and doubt is not None:
            choice_store.use(CHOICES, key, choice)
        else:
            choice_store.save(CHOICES, key, choice, choice_store.Made(target().llvm_version, load))
        if len(order) == 1:
            return best, "the only candidate"
        margin = 100 * (seconds[order[1]] / seconds[order[0]] - 1)
        why = f"fastest of {len(tried)} timed, {margin:.0f} % ahead of {tried[order[1]]}"
        return best, why if doubt is None else f"{why}; not stored, in doubt: {doubt}"


def _among(members: Iterable[Tunable[Any, Any]], fewer: Sequence[Candidate]) -> set[str]:
    """Return the names of the strategies and numbers of threads of a choice."""
    return {member.name for member in members} | {f"on {each.threads} threads" for each in fewer}


def _key(problem: Problem, setting: Setting, among: Iterable[str]) -> dict[str, Any]:
    """Return everything that a choice depends on."""
    return {
        "format": FORMAT,
        "among": sorted(set(among)),
        "version": VERSION,
        "machine": facts().identity_key(),
        "llvm": target().llvm_version,
        "problem": {"kind": problem.kind, **problem.dims()},
        "layout": setting.layout,
        "dtype": setting.dtype,
        "threads": setting.threads,
        "isa": setting.isa,
        "tune": setting.tune,
    }


def _as_json(candidate: Candidate) -> dict[str, Any]:
    """Return a choice in JSON types."""
    blocking = {"strategy": candidate.strategy.name, "blocking": stored(candidate.blocking)}
    return blocking if candidate.threads is None else {**blocking, "threads": candidate.threads}


def _known(choice: dict[str, Any] | None, candidates: list[Candidate]) -> Candidate | None:
    """Return the candidate of a stored choice; None without a stored choice."""
    return next((each for each in candidates if _as_json(each) == choice), None)
