"""The gradients of a convolution by hand, against finite differences and the strategies.

The loss is ``L = sum((y - t)^2) / 2`` with a target ``t``, so that ``dL/dy = y - t``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.gradients import BackwardData, BackwardWeights
from convprof.studies.explain.conv import outside
from convprof.studies.explain.example import direct_sums, drawn, padded
from convprof.studies.explain.kernels import CONVOLUTION, Checked, check
from convprof.studies.explain.shrink import Limits, difference, shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import Conv2d

    Array = np.ndarray[Any, Any]
    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Booleans = np.ndarray[Any, np.dtype[np.bool_]]

DEFAULT = "mb1ic1ih4oc2kh3ph1"
LIMITS = Limits(outputs=4, channels=2, filters=2)
GREATEST_WEIGHT = 2
GREATEST_MISS = 3
"""Of the outputs from their target."""
STEPS = (0.5, 1e-2, 1e-5, 1e-8)
"""Of the finite differences; with the first, every number here is exact in float64."""


@dataclass(frozen=True, eq=False)
class Part:
    """One filter's part of the gradient of an input element, or one tap's gradient."""

    filter: int
    factors: Integers
    """(p, q): what multiplied the element on the way to each output; 0 where nothing did."""
    used: Booleans
    """(p, q): which outputs the element takes part in."""
    dy: Integers
    """(p, q)."""

    @property
    def products(self) -> Integers:
        """Factors times gradients."""
        return self.factors * self.dy

    @property
    def total(self) -> int:
        """Their sum."""
        return int(self.products.sum())


@dataclass(frozen=True)
class Step:
    """How far finite differences of one step are from the gradients, relative to the largest."""

    step: float
    one_sided: float
    """(L(v + step) - L(v)) / step."""
    central: float
    """(L(v + step) - L(v - step)) / (2 * step)."""


@dataclass(frozen=True, eq=False)
class Gradient:
    """One of both gradients, whole."""

    name: str
    """``dx`` or ``dw``."""
    values: Integers
    checked: tuple[Checked, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class BackwardPage:
    """The page: the numbers are of the problem ``shown``, ``named`` is what the user named."""

    named: Conv2d
    shown: Conv2d
    reduction: str
    x: Integers
    """(c, h, w)."""
    weights: Integers
    """(k, c / groups, r, s)."""
    y: Integers
    """(k, p, q)."""
    target: Integers
    """(k, p, q)."""
    dy: Integers
    """(k, p, q): y - target."""
    element: tuple[int, int, int]
    """Channel, row and column of the input element that is worked by hand."""
    parts: tuple[Part, ...]
    """Of that element: one for each filter that reads its channel."""
    tap: tuple[int, int, int, int]
    """Filter, channel, row and column of the weight that is worked by hand."""
    weight: Part
    border: Booleans
    """(p, q): where the tap reads a zero of the padding."""
    dx: Gradient
    dw: Gradient


def backward(named: Conv2d, seed: int) -> BackwardPage:
    """Work the example: integers drawn from the seed."""
    p = shrink(named, LIMITS)
    random = np.random.default_rng(seed)
    x, weights = drawn(p, random, GREATEST_WEIGHT)
    y = direct_sums(p, padded(p, x), weights)
    dy = random.integers(-GREATEST_MISS, GREATEST_MISS, (p.k, p.p, p.q), endpoint=True)
    target = y - dy
    element = (0, (p.h - 1) // 2, (p.w - 1) // 2)
    tap = (0, 0, 0, 0)
    return BackwardPage(
        named=named,
        shown=p,
        reduction=difference(named, p),
        x=x,
        weights=weights,
        y=y,
        target=target,
        dy=dy,
        element=element,
        parts=parts(p, weights, dy, element),
        tap=tap,
        weight=weight(p, x, dy, tap),
        border=outside(p)[read_by(p, tap[2], tap[3])],
        dx=_dx(p, x, weights, target, dy),
        dw=_dw(p, x, weights, target, dy),
    )


def parts(
    p: Conv2d, weights: Integers, dy: Integers, element: tuple[int, int, int]
) -> tuple[Part, ...]:
    """Return how an input element takes part in the outputs of each filter of its group."""
    c, i, j = element
    group = c // p.cg
    rows = _taps(i + p.pads[0], p.p, p.stride[0], p.dilation[0], p.r)
    columns = _taps(j + p.pads[1], p.q, p.stride[1], p.dilation[1], p.s)
    used = np.logical_and.outer(rows >= 0, columns >= 0)
    return tuple(
        Part(k, np.where(used, weights[k, c % p.cg][np.ix_(rows, columns)], 0), used, dy[k])
        for k in range(group * p.kg, (group + 1) * p.kg)
    )


def _taps(at: int, out: int, stride: int, dilation: int, taps: int) -> Integers:
    """Return which tap of each output reads position ``at`` of a padded axis; -1 for none."""
    distance = at - stride * np.arange(out)
    tap, rest = np.divmod(distance, dilation)
    return np.where((rest == 0) & (tap >= 0) & (tap < taps), tap, -1)


def read_by(p: Conv2d, r: int, s: int) -> tuple[Integers, Integers]:
    """Return the index of what one tap reads of a padded plane, (p, q)."""
    rows = r * p.dilation[0] + p.stride[0] * np.arange(p.p)
    columns = s * p.dilation[1] + p.stride[1] * np.arange(p.q)
    return rows[:, None], columns


def weight(p: Conv2d, x: Integers, dy: Integers, tap: tuple[int, int, int, int]) -> Part:
    """Return how a weight takes part in the outputs of its filter."""
    k, c, r, s = tap
    plane = padded(p, x)[k // p.kg * p.cg + c]
    return Part(k, plane[read_by(p, r, s)], np.ones((p.p, p.q), bool), dy[k])


def _dx(p: Conv2d, x: Integers, weights: Integers, target: Integers, dy: Integers) -> Gradient:
    values = np.array([sum(part.total for part in parts(p, weights, dy, _three(element)))
                       for element in np.ndindex(x.shape)]).reshape(x.shape)  # fmt: skip
    operands = dy[None], weights
    return Gradient(
        "dx",
        values,
        check(BackwardData(p), operands, values[None], CONVOLUTION),
        steps(lambda at: loss(p, at, weights, target), x, values),
    )


def _three(element: Sequence[int]) -> tuple[int, int, int]:
    c, i, j = element
    return c, i, j


def _dw(p: Conv2d, x: Integers, weights: Integers, target: Integers, dy: Integers) -> Gradient:
    values = np.array([weight(p, x, dy, (k, c, r, s)).total
                       for k, c, r, s in np.ndindex(weights.shape)])  # fmt: skip
    values = values.reshape(weights.shape)
    operands = x[None], dy[None]
    return Gradient(
        "dw",
        values,
        check(BackwardWeights(p), operands, values, CONVOLUTION),
        steps(lambda at: loss(p, x, at, target), weights, values),
    )


def loss(p: Conv2d, x: Array, weights: Array, target: Integers) -> float:
    """Return ``sum((y - target)^2) / 2`` in float64."""
    return float(np.sum((p.reference((x[None], weights))[0] - target) ** 2) / 2)


def steps(of: Callable[[Array], float], at: Integers, gradient: Integers) -> tuple[Step, ...]:
    """Compare a gradient at a point with finite differences, element by element."""
    largest = float(np.max(np.abs(gradient))) or 1.0
    here = of(at)
    compared = []
    for step in STEPS:
        one_sided, central = np.zeros(at.shape), np.zeros(at.shape)
        for index in np.ndindex(at.shape):
            move = np.zeros(at.shape)
            move[index] = step
            above, below = of(at + move), of(at - move)
            one_sided[index], central[index] = (above - here) / step, (above - below) / (2 * step)
        errors = (float(np.max(np.abs(each - gradient))) / largest for each in (one_sided, central))
        compared.append(Step(step, *errors))
    return tuple(compared)
