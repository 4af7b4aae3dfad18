"""What can be refused before anything is measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.errors import UnknownNameError
from convprof.strategies import memory, registry
from convprof.strategies.base import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.problems import Problem


def check_strategies(names: Iterable[str], problems: Sequence[Problem]) -> None:
    """Raise UnknownNameError for a name that no strategy for these kinds of problem has."""
    kinds = sorted({problem.kind for problem in problems})
    known = {strategy.name for kind in kinds for strategy in registry.strategies(kind)}
    for name in names:
        if name not in known:
            raise UnknownNameError.of(f"--strategy of {' or '.join(kinds)}", name, known)


def check_memory(problems: Iterable[Problem], dtype: str, layouts: int) -> None:
    """Raise TooLargeError for a problem whose operands and result alone do not fit.

    Counted are the first operand in each layout, the second, and the result.
    """
    item = DTYPES[dtype][1]
    for problem in problems:
        first, second = map(math.prod, problem.operand_shapes("nchw"))
        result = math.prod(problem.result_shape("nchw"))
        needed = (layouts * first + second + result) * item
        memory.require(needed, f"{problem.descriptor}: {dtype}")
