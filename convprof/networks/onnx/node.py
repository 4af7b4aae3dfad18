"""What an ONNX graph holds, in plain Python: nodes, activations, and constants known beforehand.

Attributes of a node are checked where they are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.type_names import EXACT
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import onnx

    from convprof.problems.shapes import Shape


MOST_NUMBERS = 4096
"""Numbers of an attribute or a small constant that are read."""


RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike")
)  # fmt: skip
"""Operators whose result no reference can verify."""
LOWEST = -float(np.finfo(np.float32).max)
"""Used for minus infinity: no number is below it, and its exponential is 0 as well."""
PATTERN_KIND = "convprof."
"""Begins the kind of a node that replaces several nodes of the file; ONNX has no such kind."""


class UnsupportedNodeError(InputError):
    """A valid node of a file that no operation here computes: it may become an opaque one."""


def text_of(value: str | bytes) -> str:
    """Return a text of the file; InputError where it is none: protobuf then gives its bytes."""
    if isinstance(value, bytes):
        raise InputError(f"the name {shown(value)} in it is not valid UTF-8")
    return value


@dataclass(frozen=True, eq=False)
class FileNode:
    """One node: what it computes, the values it reads ("" where one is left out) and gives."""

    kind: str
    """The operator's name: ``Conv``."""
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    """Its place in the file, from 1."""
    proto: onnx.NodeProto | None = None

    @property
    def label(self) -> str:
        """``Conv node 'conv1'``: printable, whatever the file says.

        Where several nodes are one operation here: ``Linear ending in Add node 'fc'``.
        """
        kind = text_of(self.proto.op_type) if self.proto is not None else self.kind
        whole = "" if kind == self.kind else f"{self.kind.removeprefix(PATTERN_KIND)} ending in "
        kind = kind if kind.isidentifier() else shown(kind)
        name = shown(self.name) if self.name else f"number {self.number}"
        return f"{whole}{kind[:60]} node {name}"

    def refused(self, reason: str) -> InputError:
        """Return the error that names the node."""
        return InputError(f"{self.label}: {reason}")

    def unsupported(self, reason: str) -> UnsupportedNodeError:
        """Return the error for a valid node that no operation here computes."""
        return UnsupportedNodeError(f"{self.label}: {reason}")

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def input(self, index: int) -> str:
        """Return the name of an input that the operator needs."""
        if not self.has(index):
            raise self.refused(f"input {index + 1} is missing")
        return self.inputs[index]

    def integer(self, key: str, default: int) -> int:
        """Return an attribute that is one whole number."""
        return int(self._read(key, default, int, "a whole number"))

    def real(self, key: str, default: float) -> float:
        """Return an attribute that is one number."""
        return float(self._read(key, default, (int, float), "a number"))

    def reals(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return an attribute that is a list of numbers."""
        value = self._read(key, default, tuple, "a list of numbers")
        if not all(isinstance(item, (int, float)) for item in value):
            raise self.refused(f"{key}={shown(value)} must be a list of numbers")
        return tuple(map(float, value))

    def text(self, key: str, default: str) -> str:
        """Return an attribute that is a text."""
        return str(self._read(key, default, str, "a text"))

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return an attribute that is a list of texts."""
        return tuple(map(str, self._read(key, default, tuple, "a list of texts")))

    def integers(
        self, key: str, default: tuple[int, ...] | None, length: int | None = None
    ) -> tuple[int, ...]:
        """Return an attribute of whole numbers, ``length`` of them if that is given."""
        value = self._read(key, default, tuple, "a list of whole numbers")
        if not all(isinstance(item, int) for item in value):
            raise self.refused(f"{key}={shown(value)} must be a list of whole numbers")
        if length is not None and len(value) != length:
            raise self.refused(f"{key}={shown(value)} must have {length} numbers (2-D)")
        return tuple(value)

    def _read(self, key: str, default: Any, kinds: Any, description: str) -> Any:
        value = self.attributes.get(key, default)
        if value is None:
            raise self.refused(f"{key} is missing")
        if not isinstance(value, kinds):
            raise self.refused(f"{key}={shown(value)} must be {description}")
        return value


@dataclass(frozen=True, slots=True)
class Value:
    """An activation: the node that computes it, its shape, and a factor not yet applied.

    Exporters scale queries and keys one by one; the factor moves on until a product takes it up.
    """

    name: str
    shape: Shape
    factor: float = 1.0
    origin: FileNode | None = None
    """The node of the file that has the factor."""


MOST_AXES = 8


@dataclass(frozen=True, eq=False)
class Recipe:
    """The function that reads or computes the numbers of a constant, and its operands."""

    compute: Callable[..., np.ndarray[Any, Any]]
    reads: tuple[Constant, ...] = ()


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input; ``values`` is None where it was not read."""

    shape: Shape
    values: np.ndarray[Any, Any] | None = None
    stored: str = ""
    """The element type in the file, ``FLOAT16``, of the tensor itself or what it is made from."""
    uniform: bool = False
    """Whether a tensor of the file is known to hold one number only, as untrained norms do."""
    recipe: Recipe | None = None
    """How ``WeightReader`` gets all numbers; None where ``values`` has them."""
    name: str = ""
    """The tensor's name in the file; empty if the numbers were computed from other tensors."""
    is_transposed: bool = False
    """Whether this is the transposed matrix of the named tensor."""
    is_outside: bool = False
    """Whether the numbers are in another file."""
    is_fixed: bool = False
    """Whether no training has changed the numbers: positions, masks, what is computed of these."""
    scale: Constant | None = None
    """The factors of the whole numbers that the file stores; None for weights of real numbers."""
    blocks: Blocks | None = None
    """What a matrix is made of, if each block of a row or column has a factor of its own."""

    @classmethod
    def of(cls, values: Any) -> Constant:
        """Return the constant with these values."""
        array = np.asarray(values)
        return cls(array.shape, array)

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def has_numbers(self) -> bool:
        """Whether it holds real or whole numbers or truth values: not texts or complex numbers."""
        return self.stored != "STRING" and not self.stored.startswith("COMPLEX")

    @property
    def is_learned(self) -> bool:
        """Whether training may have changed the numbers: no whole numbers, no truth values."""
        kind = self.stored if self.values is None else self.values.dtype.name.upper()
        return not self.is_fixed and kind not in EXACT

    def transposed(self) -> Constant:
        """Return the transposed matrix."""
        transpose = Recipe(np.transpose, (self,))
        turned = not self.is_transposed
        shape, blocks = self.shape[::-1], self.blocks and self.blocks.transposed()
        return Constant(
            shape, None, self.stored, self.uniform, transpose, self.name, turned,
            is_fixed=self.is_fixed, scale=self.scale, blocks=blocks,
        )  # fmt: skip

    def reshaped(self, shape: Shape) -> Constant:
        """Return the same numbers, in order, in another shape."""
        values = None if self.values is None else self.values.reshape(shape)
        recipe = Recipe(lambda array: array.reshape(shape), (self,)) if values is None else None
        return replace(self, shape=shape, values=values, recipe=recipe, blocks=None)

    def lowered(self) -> Constant:
        """Return the numbers in f32, with the lowest number for minus infinity.

        If they were learned, they are still the tensor of the file, which nodes may share.
        """
        numbers = self.mapped(_lowered)
        if not self.is_learned:
            return numbers
        return replace(numbers, name=self.name, is_transposed=self.is_transposed)

    def remade(self, shape: Shape, function: Callable[[Any], Any]) -> Constant:
        """Return the weight of a shape that a function makes of all numbers."""
        return Constant(shape, stored=self.stored, recipe=Recipe(function, (self,)))

    def mapped(self, function: Callable[[Any], np.ndarray[Any, Any]]) -> Constant:
        """Return the function of every number; training has changed it if it has changed these."""
        fixed = not self.is_learned
        if self.values is not None:
            return Constant(self.shape, function(self.values), self.stored, is_fixed=fixed)
        recipe = Recipe(function, (self,))
        return Constant(self.shape, stored=self.stored, recipe=recipe, is_fixed=fixed)


def _lowered(array: Any) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore"):  # a file in f64 may have the lowest number of f64
        return np.maximum(np.asarray(array, np.float32), LOWEST)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Whole numbers of a matrix, and a factor and a zero point for each block of an axis."""

    whole: Constant
    scales: Constant
    zeros: Constant | None
    axis: int
    size: int
    """Neighbours along the axis that share a factor."""

    def transposed(self) -> Blocks:
        """Return what the transposed matrix is made of."""
        zeros = self.zeros and self.zeros.transposed()
        return Blocks(
            self.whole.transposed(), self.scales.transposed(), zeros, 1 - self.axis, self.size
        )
