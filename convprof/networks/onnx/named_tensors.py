"""Several tensors of a file as the one input, or the one result, of a network here."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.names import plain
from convprof.problems.shapes import shape_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class NamedTensors:
    """Tensors by their names in the file; a network has one, or all in a row per image."""

    shapes: Mapping[str, Shape]

    @functools.cached_property
    def images(self) -> int:
        """The minibatch: the first size, if all tensors have the same one; else 1."""
        firsts = {shape[0] if shape else 1 for shape in self.shapes.values()}
        return firsts.pop() if len(firsts) == 1 else 1

    @property
    def joined(self) -> Shape:
        """The shape of the only tensor; (n, elements) for several, one after the other."""
        if len(self.shapes) == 1:
            return next(iter(self.shapes.values()))
        return self.images, sum(map(self.elements, self.shapes))

    @property
    def text(self) -> str:
        """``a 1x3x8x8, b 1x10``."""
        return ", ".join(f"{plain(name)} {shape_text(each)}" for name, each in self.shapes.items())

    def elements(self, name: str) -> int:
        """Return how many numbers of an image a tensor has."""
        return math.prod(self.shapes[name]) // self.images

    def start(self, name: str) -> int:
        """Return the place of a tensor's first number in the row of an image."""
        return self._starts[name]

    @functools.cached_property
    def _starts(self) -> dict[str, int]:
        ends = itertools.accumulate(map(self.elements, self.shapes), initial=0)
        return dict(zip(self.shapes, ends, strict=False))

    def rows(self, joined: Array, name: str) -> Array:
        """Return the part (n, elements) of the joined tensor that is the tensor of a name."""
        start = self.start(name)
        return joined.reshape(self.images, -1)[:, start : start + self.elements(name)]

    def split(self, joined: Array) -> dict[str, Array]:
        """Return the tensors by name, in their own shapes: copies, unless there is one image."""
        return {name: self.rows(joined, name).reshape(shape) for name, shape in self.shapes.items()}

    def join(self, arrays: Mapping[str, Array]) -> Array:
        """Return the joined tensor of arrays of these shapes."""
        rows = [np.reshape(arrays[name], (self.images, -1)) for name in self.shapes]
        return np.concatenate(rows, axis=1).reshape(self.joined)
