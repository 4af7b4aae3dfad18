"""The weights of an ONNX file, and an input: from a seed, or from a file of arrays or a picture."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import F32
from convprof.errors import InputError, ProblemError
from convprof.measure.operands import normal_input
from convprof.problems.checks import shown
from convprof.problems.network import RealOperands
from convprof.problems.shapes import IMAGE_AXES, shape_text
from convprof.problems.whole_inputs import check
from convprof.strategies import memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from convprof.networks.onnx import Imported
    from convprof.networks.onnx.named_tensors import NamedTensors
    from convprof.problems.shapes import Shape
    from convprof.problems.whole_inputs import WholeNumbers

    Array = np.ndarray[Any, Any]

_COPIES = 3
"""Of the weights in memory: as read, folded, and packed for the kernels."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the channels of ImageNet's pictures from 0 to 1, which nearly all published models expect."""
PICTURE_NOTE = "the picture is scaled to the input's size, from 0 to 1, less ImageNet's mean"
_REAL = "fiub"
_DAMAGED = (
    OSError, ValueError, EOFError, MemoryError, OverflowError, RuntimeError, zipfile.BadZipFile,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What reading a damaged, encrypted or unusually compressed file raises."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def operands_of(imported: Imported, seed: int, x: Array | None = None) -> RealOperands:
    """Return the file's weights, with an input (one from the seed without ``x``) and its result.

    TooLargeError if the weights do not fit the memory.
    """
    network = imported.network
    memory.require(_COPIES * F32.weights.bytes * imported.weight_elements, str(imported.path))
    x = normal_input(network, seed) if x is None else x
    return RealOperands.of(network, imported.weights(), x, imported.quantisation())


def inputs_from(
    path: str, inputs: NamedTensors, whole: Sequence[WholeNumbers] = ()
) -> tuple[Array, str | None]:
    """Return all inputs of a network as one array in f32, and a note as ``input_from``.

    Several inputs are in an archive, each under its name. InputError naming the file for what
    cannot be read, and for whole numbers outside their limits.
    """
    x, note = _joined(path, inputs)
    try:
        check(whole, x)
    except ProblemError as error:
        raise InputError(f"{path}: {error}") from None
    return x, note


def _joined(path: str, inputs: NamedTensors) -> tuple[Array, str | None]:
    if len(inputs.shapes) == 1:
        ((name, shape),) = inputs.shapes.items()
        return input_from(path, name, shape)
    if Path(path).suffix.lower() != ".npz":
        raise InputError(
            f"{path}: this network has several inputs; use a .npz file with an array for each: "
            f"{inputs.text}"
        )
    arrays = {
        name: input_from(path, name, shape, by_name=True)[0]
        for name, shape in inputs.shapes.items()
    }
    return inputs.join(arrays), None


def input_from(
    path: str, name: str, shape: Shape, *, by_name: bool = False
) -> tuple[Array, str | None]:
    """Return an input of that shape in f32, and a note on what was done to it, or None.

    ``path`` is a NumPy file, or an archive that has an array under the input's ``name`` or, unless
    ``by_name``, one array only; any other file is read as a picture. A missing minibatch of 1 is
    added. InputError naming the file for anything else.
    """
    try:
        suffix = Path(path).suffix.lower()
        if suffix == ".npy":
            with Path(path).open("rb") as file:
                return _array(file, shape), None
        if suffix == ".npz":
            return _archived(path, name, shape, by_name=by_name), None
    except InputError as error:
        raise error.at(path) from None
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or it is not a NumPy file"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    return _picture(path, shape), PICTURE_NOTE


def _array(file: IO[bytes], shape: Shape) -> Array:
    """Return the array in an open file; its type and shape are checked before it is read."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise InputError("it is written in a form that is not read: save it with numpy.save")
    stored, fortran, dtype = _HEADERS[version](file)
    if stored not in (shape, shape[1:] if shape[0] == 1 else shape):
        raise InputError(f"it has the shape {shape_text(stored)}; the input is {shape_text(shape)}")
    if dtype.kind not in _REAL:
        raise InputError(f"it has the type {dtype}; the input needs real numbers")
    count = int(np.prod(shape, dtype=np.int64))
    data = file.read(count * dtype.itemsize)
    array = np.frombuffer(data, dtype, count).reshape(stored, order="F" if fortran else "C")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("it has infinite numbers, or numbers that are not defined")
    return np.ascontiguousarray(array, np.float32).reshape(shape)


def _archived(path: str, name: str, shape: Shape, *, by_name: bool) -> Array:
    with zipfile.ZipFile(path) as archive:
        names = [each.removesuffix(".npy") for each in archive.namelist() if each.endswith(".npy")]
        only = names[0] if len(names) == 1 and not by_name else None
        chosen = name if name in names else only
        if chosen is None:
            listed = ", ".join(map(shown, names[:6])) or "none"
            raise InputError(f"it has the arrays {listed}; the input is {shown(name)}")
        with archive.open(f"{chosen}.npy") as file:
            return _array(file, shape)


def _picture(path: str, shape: Shape) -> Array:
    """Return a picture as (1, 3, h, w); InputError where the network does not take that."""
    if len(shape) != IMAGE_AXES or shape[:2] != (1, len(MEAN)):
        raise InputError(
            f"{path}: a picture is an input of 1x{len(MEAN)}xHxW, and this network takes "
            f"{shape_text(shape)}; use a .npy file"
        )
    try:
        from PIL import Image
    except ImportError:
        raise InputError("pictures need the package pillow: pip install pillow") from None
    from convprof.studies.show_features import picture

    h, w = shape[2:]
    rgb = picture.read(path, 2 * max(h, w)).rgb
    x = np.empty(shape, np.float32)
    for channel, (mean, deviation) in enumerate(zip(MEAN, DEVIATION, strict=True)):
        scaled = Image.fromarray(rgb[channel]).resize((w, h), Image.Resampling.BILINEAR)
        x[0, channel] = (np.asarray(scaled) - mean) / deviation
    return x
