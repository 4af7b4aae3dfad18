"""The links of a chain: steps, conversions between them, and the results that are views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.dtypes import F32
from convprof.problems import LayoutConversion, Operation, TypeConversion
from convprof.problems.graph import INPUT
from convprof.problems.layouts import to_layout, to_logical
from convprof.problems.shapes import IMAGE_AXES
from convprof.problems.type_conversion import DEQUANTISE, QUANTISE
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.quantised import (
    ACTIVATION,
    WHOLE,
    changes_type,
    in_bytes,
    read,
    source_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems import Conv2d, Gemm
    from convprof.problems.graph import Network

    Array = np.ndarray[Any, Any]

TRANSPOSE, CONVERT = "transpose", "quantise"
"""The strategies of a conversion between layouts, and between types."""


class Tensor(NamedTuple):
    """A result in memory; without a layout, it has the order of its shape and is ``nchw`` here."""

    name: str
    layout: str
    dtype: str = ""
    """``u8`` in a network in int8; empty for the type of its input and its result."""


@dataclass(frozen=True, slots=True)
class Link:
    """A problem to compute, with its input and output tensors."""

    name: str
    """The layer's published name; ``NAME to nhwc`` for a conversion."""
    problem: Conv2d | Gemm | Operation | LayoutConversion | TypeConversion
    choice: LayerChoice
    reads: tuple[Tensor, ...]
    writes: Tensor
    step: Step | None
    """None for a conversion."""

    @property
    def layout(self) -> str:
        """The layout in which images are read; ``nchw`` where the layout does not matter."""
        return self.choice.layout

    @property
    def is_constant(self) -> bool:
        """Whether the result is the same in every run."""
        return self.problem.op is not None and self.problem.op.is_constant

    @property
    def changes_type(self) -> bool:
        """Whether it only converts between f32 and bytes."""
        return self.problem.kind == TypeConversion.kind


@dataclass(frozen=True, slots=True)
class View:
    """A tensor that is part of another one: the same elements from an offset on."""

    of: Tensor
    start: int


@dataclass(frozen=True, slots=True)
class Connections:
    """The links, views and tensors of a chain."""

    links: tuple[Link, ...]
    views: Mapping[Tensor, View]
    result: Tensor

    @property
    def conversions(self) -> list[Link]:
        """The links that only change a layout or a type."""
        return [link for link in self.links if link.step is None]


def connect(
    network: Network, steps: Sequence[Step], choices: Sequence[LayerChoice], layout: str
) -> Connections:
    """Return the links of the chosen steps; ``layout`` is the layout of input and result."""
    return _Connecting(network, layout).links(steps, choices)


class _Connecting:
    """Visits the steps in order, and records the layouts in which each result exists."""

    def __init__(self, network: Network, layout: str) -> None:
        self._network = network
        self._layout = layout
        self._there = {self._stored(INPUT, layout)}
        self._links: list[Link] = []
        self._views: dict[Tensor, View] = {}

    def links(self, steps: Sequence[Step], choices: Sequence[LayerChoice]) -> Connections:
        """Return the links of every step, and a last conversion if the result needs one."""
        for step, choice in zip(steps, choices, strict=True):
            self._add(step, choice)
        last = self._network.nodes[-1].name
        layout = self._layout if last in self._network.images else "nchw"
        result = self._in(Tensor(last, layout))
        return Connections(tuple(self._links), self._views, result)

    def _stored(self, name: str, layout: str, dtype: str = "") -> Tensor:
        return Tensor(name, layout if name in self._network.images else "nchw", dtype)

    def _add(self, step: Step, choice: LayerChoice) -> None:
        layout = read_layout(step.problem, choice.layout)
        start = view_start(step.problem, layout, choice.dtype)
        dtype, dtypes = written(choice.dtype), read(step, choice.dtype)
        if start is not None:
            dtype = self._type_of(step.reads[0])
            dtypes = [dtype]
        axes = self._network.shapes
        reads = tuple(
            self._in(
                Tensor(name, layout if len(axes[name]) == IMAGE_AXES else "nchw", own),
                source_of(choice.dtype),
            )
            for name, own in zip(step.reads, dtypes, strict=True)
        )
        writes = self._stored(step.writes, layout, dtype)
        self._there.add(writes)
        if start is not None:
            self._views[writes] = View(reads[0], start)
            return
        taken, problem = replace(choice, layout=layout), in_bytes(step.problem, choice.dtype)
        self._links.append(Link(step.name, problem, taken, reads, writes, step))

    def _type_of(self, name: str) -> str:
        """Return the type in which a result exists: its own where it has both."""
        return min(tensor.dtype for tensor in self._there if tensor.name == name)

    def _in(self, tensor: Tensor, stored: str = "") -> Tensor:
        """Return a result in a layout and a type, converted if it exists in others only.

        ``stored``: the type of its elements, if that is neither bytes nor the chain's type.
        """
        if tensor in self._there:
            return tensor
        name, layout, dtype = tensor
        other = replace_layout(tensor)
        if other not in self._there:
            retyped = Tensor(name, layout, "" if dtype else ACTIVATION)
            if retyped in self._there or not self._has(name, dtype):
                return self._retyped(self._in(retyped), tensor)
        n, c, h, w = self._network.shapes[name]
        problem = LayoutConversion(n=n, c=c, h=h, w=w)
        title = f"{name} to {layout}"
        choice = LayerChoice(TRANSPOSE, other.layout, dtype=dtype or stored)
        return self._converted(Link(title, problem, choice, (other,), tensor, None))

    def _has(self, name: str, dtype: str) -> bool:
        return any((each.name, each.dtype) == (name, dtype) for each in self._there)

    def _retyped(self, source: Tensor, target: Tensor) -> Tensor:
        """Return a result in the other type."""
        problem = TypeConversion(shape=self._network.shapes[source.name])
        title = f"{source.name} to {target.dtype or WHOLE}"
        choice = LayerChoice(CONVERT, source.layout, dtype=QUANTISE if target.dtype else DEQUANTISE)
        return self._converted(Link(title, problem, choice, (source,), target, None))

    def _converted(self, link: Link) -> Tensor:
        self._links.append(link)
        self._there.add(link.writes)
        return link.writes


def is_of_type(name: str) -> bool:
    """Whether the name of a conversion is one between f32 and bytes; others change a layout."""
    return name.endswith((f" to {ACTIVATION}", f" to {WHOLE}"))


def replace_layout(tensor: Tensor) -> Tensor:
    """Return the same result in the other layout."""
    return tensor._replace(layout="nhwc" if tensor.layout == "nchw" else "nchw")


def read_layout(problem: Conv2d | Gemm | Operation, layout: str) -> str:
    """Return the layout in which a step reads images: ``nchw`` where the layout does not matter."""
    return layout if problem.has_layout else "nchw"


def convertible(network: Network, steps: Iterable[Step]) -> frozenset[str]:
    """Return the names of the results that a chain may convert, because a reader has a layout.

    These are the images that a step reads, the network's result if it is an image, and every other
    result of four axes that a step with a layout reads. Such a result is written in the order of
    its shape (``nchw``) and may be needed in ``nhwc``.
    """
    names = {network.nodes[-1].name} & network.images
    for step in steps:
        laid_out = read_layout(step.problem, "nhwc") == "nhwc"
        names |= {
            name
            for name in step.reads
            if name in network.images or (laid_out and len(network.shapes[name]) == IMAGE_AXES)
        }
    return frozenset(names)


def view_start(problem: Conv2d | Gemm | Operation, layout: str, dtype: str) -> int | None:
    """Return the start of the result in the only input, if the result is a view; else None.

    ``dtype``: the types of the step that computes it.
    """
    if changes_type(dtype):
        return None
    spec, result = problem.operands(layout, F32)[0], problem.result(layout, F32)
    operand = np.empty(spec.shape, np.uint8)
    logical = problem.view(to_logical(operand, spec.layout))
    if logical is None:
        return None
    # NumPy makes a copy where it cannot make a view.
    view = to_layout(logical, result.layout)
    if not view.flags.c_contiguous or not np.may_share_memory(view, operand):
        return None
    return int(view.ctypes.data - operand.ctypes.data)
