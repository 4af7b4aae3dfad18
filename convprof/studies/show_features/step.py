"""One problem of the sheet, computed by the chosen strategy, verified and timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import stats
from convprof.dtypes import F32, tolerance
from convprof.errors import RefusedError
from convprof.measure.operands import GATHERED_ELEMENTS, POINTS
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convprof.problems import Conv2d, Gemm
    from convprof.strategies.base import Prepared, Strategy

    Array = np.ndarray[Any, np.dtype[np.float32]]

FALLBACK = {"conv2d": "direct", "gemm": "naive"}
"""Computes whatever the chosen one refuses."""
GEMM = "auto"
"""Computes every product: names of convolution strategies are not all names of theirs."""
DTYPE = "f32"
BUDGET_S = 0.05
CANCELLED = 0.01
FEWEST_CALLS, MOST_CALLS = 6, 50
"""Six calls give a 95 % interval of the median, see ``stats``."""


@dataclass(frozen=True)
class Choice:
    """How the sheet is to be computed."""

    strategy: str = "auto"
    layout: str = "nchw"
    threads: int = 1

    def setting(self) -> Setting:
        """Return it as strategies take it."""
        return Setting(self.layout, DTYPE, self.threads)


@dataclass(frozen=True)
class Step:
    """A problem with its operands."""

    name: str
    """What is computed, in the table."""
    problem: Conv2d | Gemm
    first: Array
    """x in NCHW, or a."""
    second: Array
    """Weights (k, c, r, s), or b."""


@dataclass(frozen=True)
class Computed:
    """A step's result."""

    step: Step
    strategy: str
    threads: int
    layout: str | None
    refused: str | None
    """Why the chosen strategy did not compute it; None where it did."""
    output: Array
    """NCHW, or the product."""
    times_s: tuple[float, ...]
    """Of successive calls, after the first."""
    max_rel_error: float

    @property
    def time_s(self) -> float:
        """Median seconds of a call."""
        return stats.median(self.times_s)

    @property
    def wrong(self) -> bool:
        """Whether the result is off the float64 reference by more than rounding."""
        return not self.max_rel_error <= tolerance(F32, self.step.problem.terms)  # NaN is wrong

    @property
    def fallback(self) -> str:
        """``computed by direct: winograd needs ...``; empty where the choice computed it."""
        return f"computed by {self.strategy}: {self.refused}" if self.refused else ""


def check(steps: Iterable[Step], choice: Choice) -> None:
    """Raise RefusedError with the strategy's first reason if it refuses every step."""
    steps = list(steps)
    reasons = [_chosen(step, choice).why_not(step.problem, choice.setting()) for step in steps]
    if steps and None not in reasons:
        raise RefusedError(
            f"refuses every filter here: {reasons[0]}", field="strategy", value=choice.strategy
        )


def compute(step: Step, choice: Choice, now: Callable[[], float] = time.perf_counter) -> Computed:
    """Return a step computed as chosen, or by ``FALLBACK`` on one thread if that is refused.

    UnknownNameError for a strategy that does not exist, TooLargeError if the memory is not there.
    """
    strategy, setting = _chosen(step, choice), choice.setting()
    refused = strategy.why_not(step.problem, setting)
    if refused is not None:
        strategy, setting = _fallback(step), Setting(choice.layout)
    prepared = strategy.prepare(step.problem, setting)
    try:
        prepared.bind(*_operands(step, setting.layout))
        prepared.run()
        y = _arranged(step, np.array(prepared.output()), setting.layout, 3, 1)
        times = _times(prepared, now)
    finally:
        prepared.close()
    return Computed(
        step=step,
        strategy=strategy.name,
        threads=setting.threads,
        layout=setting.layout if step.problem.has_layout else None,
        refused=refused,
        output=y,
        times_s=times,
        max_rel_error=_error(step, y),
    )


def _chosen(step: Step, choice: Choice) -> Strategy[Any]:
    kind = step.problem.kind
    return registry.find(kind, choice.strategy if kind == "conv2d" else GEMM)


def _fallback(step: Step) -> Strategy[Any]:
    return registry.find(step.problem.kind, FALLBACK[step.problem.kind])


def _times(prepared: Prepared, now: Callable[[], float]) -> tuple[float, ...]:
    """Return the seconds of calls until they fill the budget; the first, above, warmed up."""
    times: list[float] = []
    while len(times) < FEWEST_CALLS or (len(times) < MOST_CALLS and sum(times) < BUDGET_S):
        start = now()
        prepared.run()
        times.append(now() - start)
    return tuple(times)


def _operands(step: Step, layout: str) -> tuple[Array, Array]:
    """Return copies as the strategy takes them; like drawn operands, they start on a page."""
    copies = []
    for array in (_arranged(step, step.first, layout, 1, 3), step.second):
        copy = memory.zeros(array.shape, array.dtype)
        copy[...] = array
        copies.append(copy)
    return copies[0], copies[1]


def _arranged(step: Step, array: Array, layout: str, source: int, target: int) -> Array:
    """Return an activation with its channels moved, if its layout is ``nhwc``."""
    if step.problem.has_layout and layout == "nhwc":
        return np.moveaxis(array, source, target)
    return array


def _error(step: Step, y: Array) -> float:
    """Return ``max|y - y64| / max|y64|`` at random points against the float64 reference.

    A filter whose weights sum to 0 leaves nothing but rounding of an even plane, so the divisor is
    at least ``CANCELLED`` of the largest sum of absolute products.
    """
    problem, size = step.problem, y.size
    most = max(1, min(POINTS, size, GATHERED_ELEMENTS * size // problem.macs))
    corners = np.array([0, size - 1])
    points = np.append(np.random.default_rng(0).integers(0, size, most), corners)
    y64 = problem.reference((step.first, step.second), points)
    sums = problem.reference((np.abs(step.first), np.abs(step.second)), points)
    scale = max(float(np.max(np.abs(y64))), CANCELLED * float(np.max(sums))) or 1.0
    return float(np.max(np.abs(y.reshape(-1)[points] - y64))) / scale
