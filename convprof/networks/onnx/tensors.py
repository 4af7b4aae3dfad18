"""Tensors of a file: the shape and few numbers at once, all numbers only when weights are read.

Data outside the file are read from the model's folder alone, and sizes are checked first.
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import units
from convprof.errors import InputError
from convprof.networks.onnx.node import MOST_AXES, MOST_NUMBERS, Constant, Recipe, text_of
from convprof.networks.onnx.package import onnx_package
from convprof.problems.checks import MAX_ELEMENTS, shown

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

MOST_FLOATS = 16
"""Real numbers of a constant that are read at once: factors, epsilons and bounds are single."""
_MOST_CHANNELS = 2**16
"""Of a vector that is looked at; larger tensors are weights that no tool fills with one number."""


def constant_from(tensor: onnx.TensorProto, folder: Path | None) -> Constant:
    """Return a tensor of the file, without its values unless they are few and in the file.

    ``folder`` is the model's folder, which may have the data of the tensor in another file.
    """
    shape = tuple(tensor.dims)
    name = text_of(tensor.name)
    label = f"tensor {shown(name)}"
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
        uniform = not outside and _is_uniform(tensor, shape)
        recipe = Recipe(_Reading(tensor, shape, label, folder))
        return Constant(
            shape, stored=stored, uniform=uniform, recipe=recipe, name=name, is_outside=outside
        )
    array = _decoded(tensor, shape, label)
    return Constant(shape, array, stored, uniform=_holds_one_number(array), name=name)


@dataclass(frozen=True, eq=False, slots=True)
class _Reading:
    """Reads all numbers of a tensor when it is called."""

    tensor: onnx.TensorProto
    shape: Shape
    label: str
    folder: Path | None

    def __call__(self) -> Array:
        """Return the numbers; InputError where the data are missing or of another size."""
        tensor = self.tensor
        if tensor.data_location == onnx_package().TensorProto.EXTERNAL:
            tensor = self._inside()
        return _decoded(tensor, self.shape, self.label)

    def _inside(self) -> onnx.TensorProto:
        """Return the tensor with its data, which another file has."""
        dtype = np.dtype(onnx_package().helper.tensor_dtype_to_np_dtype(self.tensor.data_type))
        needed = math.prod(self.shape) * dtype.itemsize
        tensor = type(self.tensor)(data_type=self.tensor.data_type, dims=self.tensor.dims)
        try:
            tensor.raw_data = _outside(self.tensor, needed, self.folder)
        except InputError as error:
            raise error.at(self.label) from None
        return tensor


def _decoded(tensor: onnx.TensorProto, shape: Shape, label: str) -> Array:
    try:
        array: Array = onnx_package().numpy_helper.to_array(tensor).reshape(shape)
    except (ValueError, TypeError, RuntimeError):
        raise InputError(f"{label}: its data do not have the shape {shown(shape)}") from None
    return array


def _outside(tensor: onnx.TensorProto, needed: int, folder: Path | None) -> bytes:
    """Return the data of a tensor from the file that it names."""
    entries = {item.key: item.value for item in tensor.external_data}
    offset = _whole(entries.get("offset", "0"))
    length = _whole(entries.get("length", str(needed)))
    if length != needed:
        raise InputError(f"it has {length} bytes outside the file, and its shape needs {needed}")
    path = _within(entries.get("location", ""), folder)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if offset + length > size:
                raise InputError(
                    f"its data end at byte {offset + length} of {path.name}, "
                    f"which has {units.size(size)}"
                )
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"its data in {shown(path.name)} cannot be read: {reason}") from None


def _whole(text: str) -> int:
    longest = 19  # digits of 64 bits
    if not text.isascii() or not text.isdigit() or len(text) > longest:
        raise InputError(f"the position of its data, {shown(text)}, is not a whole number")
    return int(text)


def _within(location: str, folder: Path | None) -> Path:
    """Return the path of a file in the model's folder or below; links out of it are refused."""
    if folder is None or not location:
        raise InputError("its data are in another file, and the model does not say where")
    try:
        whole = folder.resolve()
        path = (whole / location).resolve()
        if not path.is_relative_to(whole):
            raise InputError(f"its data are in {shown(location)}, outside the model's folder")
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"its data are in {shown(location)}, which is not a regular file")
    except OSError:
        raise InputError(f"its data are in {shown(location)}, which is missing") from None
    except (RuntimeError, ValueError):  # a circle of links, a null byte
        raise InputError(f"its data are in {shown(location)}: not a name of a file") from None
    return path


def _is_uniform(tensor: onnx.TensorProto, shape: Shape) -> bool:
    """Return whether a vector holds one number only; False if its data cannot be read."""
    if math.prod(shape) > min(_MOST_CHANNELS, max(shape, default=1)):
        return False
    try:
        return _holds_one_number(onnx_package().numpy_helper.to_array(tensor))
    except (ValueError, TypeError, RuntimeError):
        return False


def _holds_one_number(array: Array) -> bool:
    return array.size > 0 and bool(np.all(array == array.flat[0]))
