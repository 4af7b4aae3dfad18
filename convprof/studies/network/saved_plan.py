"""The plan of a network as JSON: the choice of every step, stored and checked when it is read.

A file is data from a stranger. It holds names and numbers, no code: a strategy is looked up, and a
blocking is only compared with the strategy's own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.atomic_files import write_bytes_atomically
from convprof.dtypes import F32
from convprof.errors import ConvprofError, InputError, UnknownNameError
from convprof.json_checks import array, count, decoded, mapping, text
from convprof.problems.checks import shown
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice, taking
from convprof.strategies.networks.connections import read_layout
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained
from convprof.strategies.tuning.tunable import Tunable, stored
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.steps import Step
    from convprof.problems.graph import Network
    from convprof.problems.network import RealOperands
    from convprof.strategies.base import Strategy

FORMAT = 1
"""The version of the file's form."""
NAME = "plan"
MOST_BYTES = 64 << 20


def to_json(network: Network, chain: Chained, setting: Setting) -> dict[str, Any]:
    """Return a chain's choices in JSON types."""
    layers = [
        {
            "name": step.name,
            "problem": _problem(step),
            "strategy": choice.strategy,
            "layout": choice.layout,
            "blocking": None if choice.blocking is None else stored(choice.blocking),
        }
        for step, choice in zip(chain.recipe.steps, chain.choices, strict=True)
    ]
    return {
        "convprof_plan": FORMAT,
        "version": VERSION,
        "network": network.name,
        "chain": chain.name,
        "input": list(network.input),
        "threads": setting.threads,
        "layout": setting.layout,
        "fused": chain.recipe.fuse,
        "layers": layers,
    }


def write(path: str | Path, document: dict[str, Any]) -> None:
    """Write a plan completely or not at all; InputError where the file cannot be written."""
    try:
        write_bytes_atomically(str(path), f"{json.dumps(document, indent=1)}\n".encode())
    except ConvprofError as error:
        raise InputError(str(error)) from None


def read(
    path: str | Path, network: Network, real: RealOperands, check_threads: Callable[[int], None]
) -> tuple[Chained, Setting]:
    """Return the chain that a file describes and its setting; InputError for any other file.

    ``real``: the operands of the model. ``check_threads`` raises InputError for a number of threads
    that cannot run here.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        document = _plan(data)
        check_threads(count(document.get("threads")))
        return _chain(document, network, real)
    except InputError as error:
        raise error.at(str(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}") from None


def _plan(data: bytes) -> dict[str, Any]:
    document = mapping(decoded(data, MOST_BYTES))
    if document.get("convprof_plan") != FORMAT:
        raise InputError(
            f"this is not a plan of form {FORMAT}: compile the model and save its plan"
        )
    return document


def _chain(
    document: dict[str, Any], network: Network, real: RealOperands
) -> tuple[Chained, Setting]:
    layout = _layout(document.get("layout"))
    setting = Setting(layout, F32.name, count(document.get("threads")), tune="off")
    recipe = Recipe(network, fuse=document.get("fused") is True, real=real)
    layers = array(document.get("layers"))
    if len(layers) != len(recipe.steps):
        raise InputError(
            f"this plan has {len(layers)} layers, and the model has {len(recipe.steps)}: "
            "it belongs to another model"
        )
    choices = [
        _choice(mapping(layer), step, setting)
        for layer, step in zip(layers, recipe.steps, strict=True)
    ]
    return Chained(text(document.get("chain")), recipe, choices), setting


def _problem(step: Step) -> str:
    """Return what a step computes, without its name."""
    return replace(step.problem, name="").descriptor


def _layout(value: Any) -> str:
    layout = text(value)
    if layout not in LAYOUTS:
        raise UnknownNameError.of("layout", layout, LAYOUTS)
    return layout


def _choice(layer: dict[str, Any], step: Step, setting: Setting) -> LayerChoice:
    """Return the choice of a step; InputError where it is not one that a plan could have."""
    if layer.get("problem") != _problem(step):
        raise InputError(
            f"layer {step.name} is {_problem(step)} in the model, and "
            f"{shown(layer.get('problem'))} in the plan: the plan belongs to another model"
        )
    layout = _layout(layer.get("layout"))
    strategy = registry.find(step.problem.kind, text(layer.get("strategy")))
    there = replace(setting, layout=read_layout(step.problem, layout))
    reason = taking(strategy, step.problem, there)
    if isinstance(reason, str):
        raise InputError(f"layer {step.name}: {reason}")
    blocking = _blocking(layer.get("blocking"), strategy, step, there)
    return LayerChoice(strategy.name, layout, blocking)


def _blocking(value: Any, strategy: Strategy[Any], step: Step, setting: Setting) -> Any:
    if value is None:
        return None
    known = strategy.blockings(step.problem, setting) if isinstance(strategy, Tunable) else []
    for blocking in known:
        if stored(blocking) == value:
            return blocking
    raise InputError(
        f"layer {step.name}: {strategy.name} has no such blocking on this machine: "
        "compile the model here and save its plan"
    )
