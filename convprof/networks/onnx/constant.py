"""What is known before the network runs: the shapes of weights, the values of small constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.node import MOST_NUMBERS, text_of
from convprof.networks.onnx.package import onnx_package
from convprof.problems.checks import MAX_ELEMENTS, shown

if TYPE_CHECKING:
    import onnx

    from convprof.problems.shapes import Shape

MOST_FLOATS = 16
"""Real numbers of a constant that are read: factors, epsilons and bounds are single ones."""
MOST_AXES = 8
_MOST_CHANNELS = 2**16
"""Of a vector that is looked at; larger tensors are weights that no tool fills with one number."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input; ``values`` is None where it was not read."""

    shape: Shape
    values: np.ndarray[Any, Any] | None = None
    stored: str = ""
    """The element type in the file, ``FLOAT16``, of the tensor itself or what it is made from."""
    uniform: bool = False
    """Whether a tensor of the file is known to hold one number only, as untrained norms do."""

    @classmethod
    def of(cls, values: Any) -> Constant:
        """Return the constant with these values."""
        array = np.asarray(values)
        return cls(array.shape, array)

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def constant_from(tensor: onnx.TensorProto) -> Constant:
    """Return a tensor of the file, without its values unless they are few and in the file."""
    shape = tuple(tensor.dims)
    label = f"tensor {shown(text_of(tensor.name))}"
    if len(shape) > MOST_AXES or min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise InputError(f"{label}: impossible shape {shown(shape)}")
    package = onnx_package()
    try:
        dtype = np.dtype(package.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{label}: unknown element type {tensor.data_type}") from None
    most = {"i": MOST_NUMBERS, "u": MOST_NUMBERS, "b": MOST_NUMBERS, "f": MOST_FLOATS}
    stored = package.TensorProto.DataType.Name(tensor.data_type)
    outside = tensor.data_location == package.TensorProto.EXTERNAL
    if outside or math.prod(shape) > most.get(dtype.kind, 0):
        return Constant(shape, stored=stored, uniform=not outside and _is_uniform(tensor, shape))
    try:
        array = package.numpy_helper.to_array(tensor).reshape(shape)
        return Constant(shape, array, stored, uniform=_holds_one_number(array))
    except (ValueError, TypeError, RuntimeError):
        raise InputError(f"{label}: its data do not have the shape {shown(shape)}") from None


def _is_uniform(tensor: onnx.TensorProto, shape: Shape) -> bool:
    """Return whether a vector holds one number only; False if its data cannot be read."""
    if math.prod(shape) > min(_MOST_CHANNELS, max(shape)):
        return False
    try:
        return _holds_one_number(onnx_package().numpy_helper.to_array(tensor))
    except (ValueError, TypeError, RuntimeError):
        return False


def _holds_one_number(array: np.ndarray[Any, Any]) -> bool:
    return array.size > 0 and bool(np.all(array == array.flat[0]))
