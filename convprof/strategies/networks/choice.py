"""The choice of a strategy and a layout per step of a network; layouts that differ are converted.

If several strategies are named, the first that does not refuse a step computes it. ``auto``
computes kinds of steps for which no named strategy exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof.errors import RefusedError
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import registry
from convprof.strategies.networks.quantised import WHOLE, in_bytes, is_quantised
from convprof.strategies.planned import Planned
from convprof.strategies.tuning.auto import Auto
from convprof.strategies.tuning.tunable import Tunable
from convprof.strategies.unfused_epilogue import UnfusedEpilogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.steps import Step
    from convprof.problems import Conv2d, Gemm, Operation, Problem
    from convprof.strategies.base import Prepared, Setting, Strategy
    from convprof.strategies.networks.recipe import Recipe
    from convprof.strategies.plan import Plan

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The choice for one step of a network."""

    strategy: str
    layout: str
    blocking: Any = None
    """One of the strategy's blockings; None: the strategy chooses."""
    dtype: str = ""
    """Element types of the step; empty: the chain's, which are f32 in a network in int8."""
    plan: Plan | None = field(default=None, compare=False, repr=False)
    """The plan of this step, if it was made before."""

    def setting(self, chain: Setting) -> Setting:
        """Return the setting of the step in a chain of a setting."""
        own = WHOLE if is_quantised(chain) else chain.dtype
        return replace(chain, layout=self.layout, dtype=self.dtype or own, alone=False)


def prepared_by(problem: Problem, choice: LayerChoice, setting: Setting) -> Prepared:
    """Return a problem prepared as chosen, in a chain of a setting."""
    strategy, own = registry.find(problem.kind, choice.strategy), choice.setting(setting)
    plan = plan_of(problem, choice, setting)
    if plan is None or not isinstance(strategy, Planned):
        return strategy.prepare(problem, own)
    return strategy.prepared(problem, own, plan)


def plan_of(problem: Problem, choice: LayerChoice, setting: Setting) -> Plan | None:
    """Return the plan of a problem as chosen, in a chain of a setting; None for a library."""
    strategy, own = registry.find(problem.kind, choice.strategy), choice.setting(setting)
    if choice.plan is not None or not isinstance(strategy, Planned):
        return choice.plan
    if choice.blocking is None or not isinstance(strategy, Tunable):
        return strategy.plan(problem, own)
    return strategy.plan_blocked(problem, own, choice.blocking)


def searches(problem: Problem, choice: LayerChoice, setting: Setting) -> frozenset[str]:
    """Return the keys of the timed searches that preparing a problem as chosen would make."""
    if choice.blocking is not None:
        return frozenset()
    strategy = registry.find(problem.kind, choice.strategy)
    return strategy.searches(problem, choice.setting(setting))


def spelled(problem: Problem, name: str) -> str:
    """Return the name of the only strategy behind ``auto`` if there is one; else the given name.

    A library computes opaque operations, and nothing else.
    """
    others = [
        strategy.name
        for strategy in registry.strategies(problem.kind)
        if strategy.name != AUTO and strategy.role.is_peer == problem.is_opaque
    ]
    return others[0] if name == AUTO and len(others) == 1 else name


def strategy_for(
    problem: Conv2d | Gemm | Operation, names: Sequence[str], setting: Setting
) -> Strategy[Any]:
    """Return the first of the named strategies that computes a step.

    A strategy that cannot fuse the step's epilogue computes it in separate passes. RefusedError,
    with every reason, if all of them refuse.
    """
    known = registry.named(problem.kind, names)
    reasons = []
    for strategy in known or [registry.find(problem.kind, AUTO)]:
        chosen = taking(strategy, problem, setting)
        if isinstance(chosen, str):
            reasons.append(chosen)
        else:
            return chosen
    title = f"layer {problem.name} ({problem.descriptor})"
    ways_out = [] if AUTO in names else [f"add a strategy: {','.join((*names, AUTO))}"]
    alone = replace(setting, threads=1)
    if setting.threads > 1 and any(_takes(each, problem, alone) for each in known):
        ways_out.insert(0, "use 1 thread")
    parts = [*reasons, " or ".join(ways_out)] if ways_out else reasons
    raise RefusedError(f"{title}: {'; '.join(parts)}")


def _takes(strategy: Strategy[Any], problem: Conv2d | Gemm | Operation, setting: Setting) -> bool:
    return not isinstance(taking(strategy, problem, setting), str)


def taking(
    strategy: Strategy[Any], problem: Conv2d | Gemm | Operation, setting: Setting
) -> Strategy[Any] | str:
    """Return the strategy, with separate passes for an epilogue if needed; or its refusal."""
    reason = strategy.why_not(problem, setting)
    if reason is None:
        return strategy
    epilogue = getattr(problem, "epilogue", NO_EPILOGUE)
    if not epilogue or strategy.fuses or isinstance(strategy, UnfusedEpilogue):
        return reason
    unfused = UnfusedEpilogue(strategy)
    return unfused.why_not(problem, setting) or unfused


def layer_choices(
    recipe: Recipe, names: Sequence[str], setting: Setting, layout: str
) -> list[LayerChoice]:
    """Return for every step the first strategy that computes it, in one layout where possible.

    An operation that supports one layout only may have to read the other layout. RefusedError for a
    step that every strategy refuses.
    """
    return [
        _choice(step, names, replace(setting, layout=layout), dtype)
        for step, dtype in zip(recipe.steps, recipe.dtypes(setting), strict=True)
    ]


def _choice(step: Step, names: Sequence[str], setting: Setting, dtype: str) -> LayerChoice:
    layout = setting.layout
    problem, setting = in_bytes(step.problem, dtype), replace(setting, dtype=dtype or setting.dtype)
    try:
        chosen = strategy_for(problem, names, replace(setting, layout=layout))
    except RefusedError:
        if step.problem.kind != "operation":
            raise
        layout = "nchw" if layout == "nhwc" else "nhwc"
        chosen = strategy_for(problem, names, replace(setting, layout=layout))
    return LayerChoice(chosen.name, layout, dtype=dtype)


def settled(
    problem: Conv2d | Gemm | Operation, choice: LayerChoice, setting: Setting
) -> LayerChoice:
    """Return the strategy, the blocking and the plan of ``auto``; any other choice unchanged."""
    auto = registry.find(problem.kind, AUTO)
    if choice.strategy != AUTO or not isinstance(auto, Auto):
        return choice
    chosen, _, plan = auto.choose(problem, choice.setting(setting))
    return replace(choice, strategy=chosen.strategy.name, blocking=chosen.blocking, plan=plan)


def candidates(
    problem: Conv2d | Gemm | Operation, setting: Setting, most: int
) -> list[LayerChoice]:
    """Return at most ``most`` of our own choices for a step in the setting's layout.

    These are the most promising blockings of the strategies that ``auto`` chooses from; ``auto``
    itself where it has no choice.
    """
    auto = registry.find(problem.kind, AUTO)
    if auto.why_not(problem, setting) is not None:
        return []
    if not isinstance(auto, Auto):
        return [LayerChoice(AUTO, setting.layout)]
    return [
        LayerChoice(each.strategy.name, setting.layout, each.blocking)
        for each in auto.candidates(problem, setting)[:most]
    ]
