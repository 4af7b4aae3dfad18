"""Which of our strategies take part where the best one is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.dtypes import of_kind
from convprof.strategies import registry

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.strategies.base import Strategy

CHOOSER = "auto"
"""The strategy that chooses the best one for a problem."""


def takes(strategy: Strategy[Any], problem: Problem, dtype: str) -> bool:
    """Whether a strategy computes in a type, with the weights of the problem."""
    dtype = of_kind(dtype, problem.kind)
    return dtype in (strategy.grouped if problem.grouped_weights else strategy.dtypes)


def contenders(problem: Problem, dtype: str) -> list[Strategy[Any]]:
    """Return ``auto``, or where ``auto`` does not take the type, what it would choose from.

    Strategies whose kernels are generated are the fastest; other strategies follow if no kernel is
    generated for the type. If no strategy takes the type, all of our strategies: each says why.
    None then for weights in groups.
    """
    own = [s for s in registry.strategies(problem.kind) if not s.role.is_peer]
    taking = [s for s in own if takes(s, problem, dtype)]
    chooser = [s for s in taking if s.name == CHOOSER]
    listed = [s for s in taking if s.role.is_listed]
    generated = [s for s in listed if s.generated]
    every = [] if problem.grouped_weights else [s for s in own if s.role.is_listed]
    return chooser or generated or listed or every
