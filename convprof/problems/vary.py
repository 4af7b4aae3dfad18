"""Families of problems: a problem with one of its sizes varied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.problems.passes import BackwardData, BackwardWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import Problem


@dataclass(frozen=True, slots=True)
class Variable:
    """A size that can be varied."""

    meaning: str
    """What becomes of it: `m = n = k`."""
    changes: Callable[[Any, int], dict[str, Any]]
    """The fields that a problem has for a value."""


def _channels(problem: Any, x: int) -> dict[str, Any]:
    """Vary both numbers of channels; a depthwise convolution stays one."""
    return {"c": x, "k": x, "groups": x if problem.is_depthwise else problem.groups}


def _filter(problem: Any, x: int) -> dict[str, Any]:
    """Vary the filter, padded so that a stride of 1 keeps the image's size."""
    down, across = (dilation * (x - 1) for dilation in problem.dilation)
    pad = (down // 2, across // 2, down - down // 2, across - across // 2)
    return {"r": x, "s": x, "pad": pad}


VARIABLES: dict[str, dict[str, Variable]] = {
    "gemm": {
        "size": Variable("m = n = k", lambda _, x: {"m": x, "n": x, "k": x}),
        "batch": Variable("products", lambda _, x: {"batch": x}),
    },
    "conv2d": {
        "channels": Variable("c = k", _channels),
        "image": Variable("h = w, pixels", lambda _, x: {"h": x, "w": x}),
        "filter": Variable("r = s, padded", _filter),
        "batch": Variable("images", lambda _, x: {"n": x}),
    },
}
"""By kind of problem and name."""


def vary(problem: Problem, over: str, x: int) -> Problem:
    """Return the problem with one of its VARIABLES set; ProblemError if there is no such problem.

    It loses its name, which belongs to the shape it had.
    """
    if isinstance(problem, BackwardData | BackwardWeights):
        forward: Any = vary(problem.forward, over, x)
        return replace(problem, forward=forward)
    changes = VARIABLES[problem.kind][over].changes(problem, x)
    known: Any = problem  # of a kind that has variables, and so a name to replace
    varied: Problem = replace(known, name="", **changes)
    return varied
