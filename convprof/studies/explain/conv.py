"""One output of a convolution by hand, what each option changes, how the output size follows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ProblemError
from convprof.problems import Conv2d
from convprof.problems.axis import Axis
from convprof.studies.explain.example import direct_sums, drawn, padded
from convprof.studies.explain.frameworks import spellings
from convprof.studies.explain.kernels import CONVOLUTION, Checked, check
from convprof.studies.explain.shrink import Limits, difference, shrink

if TYPE_CHECKING:
    from convprof.studies.explain.frameworks import Spelling

    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Booleans = np.ndarray[Any, np.dtype[np.bool_]]

DEFAULT = "mb1ic2ih4oc2kh3ph1"
LIMITS = Limits(outputs=4, channels=2, filters=2)
GREATEST_WEIGHT = 2
PICTURE_SIDE = 6
"""Rows and columns of the images in which the pictures mark what an output reads."""


@dataclass(frozen=True, eq=False)
class ByHand:
    """One output element: the window under the filter, the filter, and their products."""

    filter: int
    pixel: tuple[int, int]
    """Output row and column."""
    channels: tuple[int, ...]
    """The input channels of the filter's group."""
    window: Integers
    """(cg, r, s)."""
    border: Booleans
    """(r, s): which elements of the window are zeros of the padding."""
    weights: Integers
    """(cg, r, s)."""

    @property
    def products(self) -> Integers:
        """Window times filter, element by element."""
        return self.window * self.weights

    @property
    def sums(self) -> list[int]:
        """The sum of the products of each channel."""
        return [int(plane.sum()) for plane in self.products]

    @property
    def total(self) -> int:
        """The output."""
        return sum(self.sums)


@dataclass(frozen=True, eq=False)
class Reads:
    """Which elements of a padded image two neighbouring outputs read."""

    label: str
    problem: Conv2d
    border: Booleans
    """Which elements are padding."""
    first: Booleans
    second: Booleans
    """The output to the right of the first."""


@dataclass(frozen=True)
class Size:
    """How the output size of one axis follows."""

    label: str
    axis: Axis
    begin: int
    end: int

    @property
    def out(self) -> int:
        """Outputs."""
        return self.axis.out(self.begin, self.end)

    @property
    def unread(self) -> int:
        """Elements at the end of the padded input that no output reads."""
        padded = self.axis.size + self.begin + self.end
        return padded - (self.out - 1) * self.axis.stride - self.axis.span


@dataclass(frozen=True, eq=False)
class ConvPage:
    """The page: the numbers are of the problem ``shown``, ``named`` is what the user named."""

    named: Conv2d
    shown: Conv2d
    reduction: str
    """What was cut to make ``shown``; empty for nothing."""
    x: Integers
    """(c, h, w)."""
    weights: Integers
    """(k, c / groups, r, s)."""
    y: Integers
    """(k, p, q): all outputs, summed tap by tap."""
    by_hand: ByHand
    reads: tuple[Reads, ...]
    groups: tuple[Conv2d, ...]
    """The same convolution in one group, in two, and depthwise."""
    sizes: tuple[Size, ...]
    same: tuple[Size, Size]
    """Stride 2: the padding that PyTorch's users write, and TensorFlow's SAME."""
    spellings: tuple[Spelling, ...]
    checked: tuple[Checked, ...]


def conv(named: Conv2d, seed: int) -> ConvPage:
    """Work the example: integers drawn from the seed; sums compared with the strategies'."""
    p = shrink(named, LIMITS)
    random = np.random.default_rng(seed)
    x, weights = drawn(p, random, GREATEST_WEIGHT)
    y = direct_sums(p, padded(p, x), weights)
    return ConvPage(
        named=named,
        shown=p,
        reduction=difference(named, p),
        x=x,
        weights=weights,
        y=y,
        by_hand=by_hand(p, x, weights),
        reads=tuple(pictures()),
        groups=tuple(Conv2d(c=4, h=1, w=1, k=4, r=1, s=1, groups=count) for count in (1, 2, 4)),
        sizes=tuple(sizes(named)),
        same=same_against_symmetric(),
        spellings=spellings(named),
        checked=check(p, (x[None], weights), y[None], CONVOLUTION),
    )


def by_hand(p: Conv2d, x: Integers, weights: Integers) -> ByHand:
    """Return the first filter's output at the pixel nearest the middle."""
    pixel = ((p.p - 1) // 2, (p.q - 1) // 2)
    rows, columns = window(p, pixel)
    image, border = padded(p, x), outside(p)
    return ByHand(
        filter=0,
        pixel=pixel,
        channels=tuple(range(p.cg)),
        window=image[: p.cg, rows[:, None], columns],
        border=border[np.ix_(rows, columns)],
        weights=weights[0],
    )


def window(p: Conv2d, pixel: tuple[int, int]) -> tuple[Integers, Integers]:
    """Return the rows and the columns of the padded image that one output pixel reads."""
    rows = pixel[0] * p.stride[0] + p.dilation[0] * np.arange(p.r)
    columns = pixel[1] * p.stride[1] + p.dilation[1] * np.arange(p.s)
    return rows, columns


def outside(p: Conv2d) -> Booleans:
    """Return which elements of the padded image are padding."""
    top, left, bottom, right = p.pads
    plane = np.zeros((p.h, p.w), bool)
    return np.pad(plane, ((top, bottom), (left, right)), constant_values=True)


def pictures() -> list[Reads]:
    """Return a 3x3 filter on a small image: plain, and with one option each."""
    plain = Conv2d(c=1, h=PICTURE_SIDE, w=PICTURE_SIDE, k=1, r=3, s=3)
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("plain", {}),
        ("stride 2", {"stride": (2, 2)}),
        ("padding 1", {"pad": (1, 1)}),
        ("dilation 2", {"dilation": (2, 2)}),
    )
    return [_reads(label, dataclasses.replace(plain, **change)) for label, change in changes]


def _reads(label: str, p: Conv2d) -> Reads:
    border = outside(p)
    first, second = np.zeros_like(border), np.zeros_like(border)
    for marks, pixel in ((first, (0, 0)), (second, (0, 1))):
        marks[np.ix_(*window(p, pixel))] = True
    return Reads(label, p, border, first, second)


def sizes(p: Conv2d) -> list[Size]:
    """Return the height of the output, and its width where it differs, with one change each."""
    rows = Size("height", Axis(p.h, p.r, p.stride[0], p.dilation[0]), p.pads[0], p.pads[2])
    columns = Size("width", Axis(p.w, p.s, p.stride[1], p.dilation[1]), p.pads[1], p.pads[3])
    different = dataclasses.replace(columns, label=rows.label) != rows
    shown = [rows, columns] if different else [dataclasses.replace(rows, label="as named")]
    for label, change in _changes(p):
        try:
            other = dataclasses.replace(p, **change)
        except ProblemError:  # the filter does not fit the image any more
            continue
        axis = Axis(other.h, other.r, other.stride[0], other.dilation[0])
        # Of the padding as asked for: Conv2d keeps one padding of several that mean the same.
        shown.append(Size(label, axis, other.pads[0], other.pads[2]))
    return shown


def _changes(p: Conv2d) -> list[tuple[str, dict[str, Any]]]:
    stride = 1 if p.stride != (1, 1) else 2
    dilation = 1 if p.dilation != (1, 1) else 2
    padding = (0, 0) if any(p.pads) else (1, 1)
    return [
        (f"stride {stride}", {"stride": (stride, stride)}),
        (f"padding {padding[0]}", {"pad": padding}),
        (f"dilation {dilation}", {"dilation": (dilation, dilation)}),
    ]


def same_against_symmetric() -> tuple[Size, Size]:
    """Return 3 taps at stride 2 on an even size: one zero on each side, and TensorFlow's SAME."""
    axis = Axis(PICTURE_SIDE, 3, 2, 1)
    return Size("padding=1", axis, 1, 1), Size('padding="same"', axis, *axis.same())
