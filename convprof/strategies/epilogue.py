"""The buffers and the cost of the stages that compute an epilogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.dtypes import F32
from convprof.problems.epilogue import BIAS, RESIDUAL
from convprof.problems.requantisation import SCALE

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import Trainable
    from convprof.problems.epilogue import Epilogue


BIASES, LIMITS = "biases", "requantisation_limits"
"""Buffers of requantisation: the bias with the source's zero point, and the words of rounding."""
SUFFIX = "+passes"
"""Ends the name of a strategy that computes epilogues in passes of their own."""


def flops(problem: Trainable) -> int:
    """Return the floating-point operations of the epilogue."""
    return problem.epilogue.steps * problem.result("nhwc", F32).elements


def ends(epilogue: Epilogue, types: Types) -> bool:
    """Whether anything follows the sums of a kernel."""
    return bool(epilogue) or types.requantises


def buffers(epilogue: Epilogue, names: tuple[str, ...], types: Types) -> tuple[str, ...]:
    """Return the buffers of a stage of tiles: ``a, b, c`` (and ``d``), then those that end sums.

    A place that no kernel reads has the name of any existing buffer.
    """
    if not ends(epilogue, types):
        return names
    a, b, c, *d = names
    fourth, residual = d[0] if d else a, RESIDUAL if epilogue.add else a
    if types.requantises:
        return a, b, c, fourth, BIASES, residual, SCALE, LIMITS
    return a, b, c, fourth, BIAS if epilogue.bias else a, residual


def offsets(
    epilogue: Epilogue, types: Types, column: Any, c: Any, bias: Any = None
) -> tuple[Any, ...]:
    """Return the offsets of the pointers of tiles after the fourth; none if nothing ends sums.

    ``column``: the first channel; ``c``: the start in the result; ``bias``: where the bias of the
    column is, if not at the column.
    """
    if not ends(epilogue, types):
        return ()
    start = column if bias is None else bias
    return (start, c, column, 0 * column) if types.requantises else (start, c)
