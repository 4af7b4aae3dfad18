"""A digit through 32 and then 64 filters: what each answers to, and what pooling keeps.

The network is ``mnist-cnn``, with filters made by hand in place of trained ones.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import networks
from convprof.studies.explain import convolution
from convprof.studies.explain.digit import digit
from convprof.studies.explain.kernels import CONVOLUTION, Checked, check
from convprof.studies.explain.shape_filters import (
    POOLED,
    TAPS,
    answers,
    first_layer,
    pooled,
    second_layer,
    shapes,
    stimulus,
)

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.problems.graph import Network, Node
    from convprof.studies.explain.shape_filters import Filters

    Array = np.ndarray[Any, np.dtype[np.float64]]

NETWORK = "mnist-cnn"
MOVES = tuple(itertools.product((-1, 0, 1), repeat=2))
"""By how many pixels a shape is moved, to see which filter still answers most."""


@dataclass(frozen=True)
class Layer:
    """One layer of the network."""

    name: str
    output: tuple[int, ...]
    parameters: int
    counted: str
    """The shapes of weights and bias, ``64x32x5x5 + 64``; empty for a layer without."""


@dataclass(frozen=True)
class Answer:
    """The largest answer of one filter."""

    filter: str
    value: float
    row: int
    column: int
    share: float
    """Of the pixels with an answer above 0."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A convolution with ReLU, and the pooling after it."""

    problem: Conv2d
    filters: Filters
    maps: Array
    """(k, p, q), after ReLU."""
    pooled: Array
    """(k, p / 2, q / 2)."""
    checked: tuple[Checked, ...]

    def ranked(self) -> list[int]:
        """Return the filters, the one with the largest answer first."""
        return [int(k) for k in np.argsort(-self.maps.max(axis=(1, 2)), kind="stable")]

    def answer(self, k: int) -> Answer:
        """Return where a filter answers most."""
        plane = self.maps[k]
        row, column = (int(i) for i in np.unravel_index(plane.argmax(), plane.shape))
        share = float(np.count_nonzero(plane) / plane.size)
        return Answer(self.filters.names[k], float(plane[row, column]), row, column, share)


@dataclass(frozen=True, eq=False)
class Added:
    """One output of the second layer: what each channel adds."""

    answer: Answer
    channels: tuple[tuple[str, float], ...]
    """Filter of the first layer, and the sum of its 5x5 products."""
    bias: float

    @property
    def total(self) -> float:
        """The output before ReLU."""
        return sum(value for _, value in self.channels) + self.bias


@dataclass(frozen=True)
class Change:
    """How much maps change when the digit moves by one pixel to the right."""

    what: str
    shape: tuple[int, ...]
    share: float
    """``|moved - still| / |still|``, over all elements."""


@dataclass(frozen=True, eq=False)
class Corner:
    """A square of one map before and after pooling."""

    filter: str
    row: int
    column: int
    before: Array
    """(4, 4)."""
    after: Array
    """(2, 2)."""


@dataclass(frozen=True)
class Own:
    """How many filters answer most to their own shape, more than all others to it."""

    what: str
    own: int
    of: int


@dataclass(frozen=True, eq=False)
class ChannelsPage:
    """The page."""

    number: int
    image: Array
    """(28, 28), from 0 to 1."""
    layers: tuple[Layer, ...]
    parameters: int
    first: Stage
    second: Stage
    added: Added
    corner: Corner
    changes: tuple[Change, ...]
    own: tuple[Own, ...]


def channels(number: int) -> ChannelsPage:
    """Work the example of a digit."""
    network = networks.network(NETWORK)
    conv1, conv2 = (
        convolution(networks.find(f"{NETWORK}:{name}")[0], "channels")
        for name in ("conv1", "conv2")
    )
    image, filters1 = digit(number), first_layer()
    first = stage(conv1, filters1, image[None])
    filters2 = second_layer(conv1)
    second = stage(conv2, filters2, first.pooled)
    moved = np.roll(image, 1, axis=1)
    moved_first = stage(conv1, filters1, moved[None], compare=False)
    moved_second = stage(conv2, filters2, moved_first.pooled, compare=False)
    changes = (
        _change("the digit", image[None], moved[None]),
        _change("32 maps of conv1", first.maps, moved_first.maps),
        _change("after pooling", first.pooled, moved_first.pooled),
        _change("64 maps of conv2", second.maps, moved_second.maps),
        _change("after pooling", second.pooled, moved_second.pooled),
    )
    return ChannelsPage(
        number=number,
        image=image,
        layers=tuple(_layer(network, node) for node in network.nodes),
        parameters=sum(network.parameters(node) for node in network.nodes),
        first=first,
        second=second,
        added=added(first, second),
        corner=_corner(first),
        changes=changes,
        own=own(conv1),
    )


def stage(conv: Conv2d, filters: Filters, x: Array, *, compare: bool = True) -> Stage:
    """Return a convolution's maps, before and after pooling, compared with the strategies'."""
    maps = answers(conv, filters, x)
    checked: tuple[Checked, ...] = ()
    if compare:
        operands = x[None], filters.weights
        checked = check(conv, operands, conv.reference(operands), CONVOLUTION)
    return Stage(conv, filters, maps, pooled(maps), checked)


def _layer(network: Network, node: Node) -> Layer:
    weights = node.op.weights(*network.reads(node)).values()
    counted = " + ".join("x".join(map(str, shape)) for shape in weights)
    return Layer(node.name, network.shapes[node.name][1:], network.parameters(node), counted)


def added(first: Stage, second: Stage) -> Added:
    """Take the largest output of the second layer apart."""
    k = second.ranked()[0]
    answer = second.answer(k)
    reach = TAPS // 2
    x = np.pad(first.pooled, ((0, 0), (reach, reach), (reach, reach)))
    window = x[:, answer.row : answer.row + TAPS, answer.column : answer.column + TAPS]
    sums = np.einsum("crs,crs->c", window, second.filters.weights[k])
    parts = zip(first.filters.names, sums.tolist(), strict=True)
    return Added(answer, tuple(parts), float(second.filters.bias[k]))


def _corner(first: Stage) -> Corner:
    """Return the 4x4 pixels, in any map, whose 2x2 squares each have one clearly largest value."""
    k, h, w = first.maps.shape
    squares = first.maps.reshape(k, h // 4, 4, w // 4, 4).swapaxes(2, 3)
    quarters = squares.reshape(*squares.shape[:3], 2, 2, 2, 2).swapaxes(4, 5)
    ordered = np.sort(quarters.reshape(*quarters.shape[:5], 4), axis=-1)
    place = (ordered[..., 3] - ordered[..., 2]).min(axis=(3, 4)).argmax()
    map_, row, column = (int(at) for at in np.unravel_index(place, squares.shape[:3]))
    before = squares[map_, row, column]
    after = pooled(before[None])[0]
    return Corner(first.filters.names[map_], 4 * row, 4 * column, before, after)


def _change(what: str, still: Array, moved: Array) -> Change:
    share = float(np.linalg.norm(moved - still) / np.linalg.norm(still))
    return Change(what, still.shape, share)


@functools.cache
def own(conv1: Conv2d) -> tuple[Own, ...]:
    """Count the filters that answer most, of their layer, to the shape that they are made for."""
    first, second = first_layer(), second_layer(conv1)
    kinds = np.stack([stimulus(i) for i in range(len(first.names))])
    largest = np.einsum("irs,krs->ik", kinds, first.weights[:, 0]).argmax(axis=1)
    still, moved = 0, 0
    for i, shape in enumerate(shapes()):
        for right, down in MOVES:
            seen = pooled(answers(conv1, first, shape.image(right, down)[None]))[:, POOLED, POOLED]
            most = np.einsum("crs,kcrs->k", seen, second.weights) + second.bias
            if int(most.argmax()) == i:
                still += (right, down) == (0, 0)
                moved += (right, down) != (0, 0)
    count = len(shapes())
    return (
        Own("conv1", int(np.sum(largest == np.arange(len(largest)))), len(largest)),
        Own("conv2", still, count),
        Own("conv2 with the shape moved by one pixel", moved, count * (len(MOVES) - 1)),
    )
