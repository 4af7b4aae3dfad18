"""The buffers and the cost of the stages that compute an epilogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import F32
from convprof.problems.epilogue import BIAS, RESIDUAL

if TYPE_CHECKING:
    from convprof.problems import Trainable
    from convprof.problems.epilogue import Epilogue


SUFFIX = "+passes"
"""Ends the name of a strategy that computes epilogues in passes of their own."""


def flops(problem: Trainable) -> int:
    """Return the floating-point operations of the epilogue."""
    return problem.epilogue.steps * problem.result("nhwc", F32).elements


def buffers(epilogue: Epilogue, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the buffers of a stage of tiles: ``a, b, c`` (and ``d``), then the epilogue's.

    A place that no kernel reads has the name of any existing buffer.
    """
    if not epilogue:
        return names
    a, b, c, *d = names
    bias = BIAS if epilogue.bias else a
    return a, b, c, d[0] if d else a, bias, RESIDUAL if epilogue.add else a
