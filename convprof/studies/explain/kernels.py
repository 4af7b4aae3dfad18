"""What the strategies compute of the numbers on a page: the check that closes each page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.tensors import relative_error
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Prepared

    Array = np.ndarray[Any, Any]

CONVOLUTION = ("direct", "microkernel")
"""The loops of the definition, and the generated kernel; for the gradients too."""
ATTENTION = ("naive", "fused")


@dataclass(frozen=True, eq=False)
class Checked:
    """The result of one strategy, and how far it is from the page's own numbers."""

    strategy: str
    output: Array
    """In NCHW for images."""
    difference: float
    """``max|strategy - page| / max|page|``; 0 for equality."""


def check(
    problem: Problem, operands: Sequence[Array], expected: Array, names: Sequence[str]
) -> tuple[Checked, ...]:
    """Compute the problem in f32 with each strategy that does not refuse, against the page."""
    setting = Setting()
    checked = []
    for name in names:
        strategy = registry.find(problem.kind, name)
        if strategy.why_not(problem, setting) is None:
            output = _computed(strategy.prepare(problem, setting), operands)
            checked.append(
                Checked(name, output, relative_error(output.reshape(expected.shape), expected))
            )
    return tuple(checked)


def _computed(prepared: Prepared, operands: Sequence[Array]) -> Array:
    copies = []
    for operand in operands:  # as measured operands: each begins on a page of memory
        copy = memory.zeros(operand.shape, np.dtype(np.float32))
        copy[...] = operand
        copies.append(copy)
    try:
        prepared.bind(*copies)
        prepared.run()
        return np.array(prepared.output(), np.float64)
    finally:
        prepared.close()
