"""The shape of the input: fixed sizes, and the open dimensions that the user sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.networks.onnx.node import MOST_AXES, text_of
from convprof.networks.onnx.package import onnx_package
from convprof.problems.checks import shown, size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from convprof.networks.onnx.source import Source
    from convprof.problems.shapes import Shape


_NO_NAMES = ("", "?", "-1", "None")
"""The name that some exporters give every open dimension: the sizes may differ."""
_OPEN = -1
"""The size that some exporters write for an open dimension."""
_FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")


def input_shape(source: Source, dims: Mapping[str, int]) -> Shape:
    """Return the input's shape with its open dimensions set.

    An open dimension without a name is called by its axis. Raises InputError naming every open
    dimension that is not set, or all open dimensions when another one is set.
    """
    label, usual, axes = _checked_axes(source)
    opened = list(dict.fromkeys(axis for axis in axes if isinstance(axis, str)))
    shape = "x".join(_printable(axis) if isinstance(axis, str) else str(axis) for axis in axes)
    for name in dims:
        if name not in opened:
            known = ", ".join(_printable(each) for each in opened)
            there = f"open dimensions: {known}" if opened else "the file leaves none open"
            pair = f"{_printable(name)}={dims[name]}"
            raise InputError(f"{label} is {shape}; {there}", field="dims", value=pair)
    missing = [name for name in opened if name not in dims]
    if missing:
        sizes = [USUAL.get(usual[axes.index(name)], 1) for name in missing]
        pairs = zip(missing, sizes, strict=True)
        raise InputError(
            f"{label} is {shape}: set {' and '.join(map(_printable, missing))}",
            field="dims",
            examples=[f"{_printable(name)}={example}" for name, example in pairs],
        )
    return tuple(
        size(f"dim {_printable(axis)}", dims[axis])
        if isinstance(axis, str)
        else size(f"{label}, axis {place}", axis)
        for place, axis in enumerate(axes)
    )


def usual_sizes(source: Source, mb: int) -> dict[str, int]:
    """Return a size for every open dimension of the input: ``mb`` for the batch, else a usual one.

    Raises InputError for an input whose dimensions cannot be set.
    """
    _, usual, axes = _checked_axes(source)
    sizes = {**USUAL, BATCH: mb}
    opened: dict[str, int] = {}
    for axis, name in zip(axes, usual, strict=True):
        if isinstance(axis, str):
            opened.setdefault(axis, sizes.get(name, 1))
    return opened


def _checked_axes(source: Source) -> tuple[str, tuple[str, ...], list[int | str]]:
    """Return how the input is called, the usual names of its axes, and their sizes or names."""
    value = source.input
    label = f"input {shown(value.name)}"
    _check_type(label, value)
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not 1 <= len(tensor.shape.dim) <= MOST_AXES:
        raise InputError(f"{label}: the file must give it between 1 and {MOST_AXES} dimensions")
    for place, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value < 1 and dim.dim_value != _OPEN:
            raise InputError(
                f"{label}, axis {place}: {dim.dim_value} is not a size; "
                "export it with a size of at least 1, or with a name, so that it can be set"
            )
    usual = axis_names(source, len(tensor.shape.dim))
    axes = _axes(tensor.shape, usual)
    return label, usual, axes


def _check_type(label: str, value: onnx.ValueInfoProto) -> None:
    if value.type.WhichOneof("value") != "tensor_type":
        raise InputError(f"{label} is not a tensor")
    types = onnx_package().TensorProto.DataType
    number = value.type.tensor_type.elem_type
    if number not in [types.Value(name) for name in _FLOATS]:
        name = types.Name(number) if number in types.values() else str(number)
        raise InputError(f"{label} holds {name}; a network reads real numbers here")


def _axes(shape: onnx.TensorShapeProto, usual: Sequence[str]) -> list[int | str]:
    """Return a size or a name for every axis; one without either gets its usual name."""
    taken = {text_of(dim.dim_param) for dim in shape.dim}
    axes: list[int | str] = []
    for place, dim in enumerate(shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            axes.append(dim.dim_value)
            continue
        unnamed = dim.dim_param in _NO_NAMES
        name = usual[place] if unnamed else text_of(dim.dim_param)
        while unnamed and name in taken:
            name += "_"
        taken.add(name)
        axes.append(name)
    return axes


def _printable(name: str) -> str:
    """Return a dimension's name as it can be typed, or quoted where it cannot be printed."""
    most = 40
    plain = name.isprintable() and len(name) <= most
    return name if plain else shown(name)


BATCH = "batch"
CHANNELS_FIRST = (BATCH, "channels", "height", "width")
CHANNELS_LAST = (BATCH, "height", "width", "channels")
USUAL = {BATCH: 1, "channels": 3, "height": 224, "width": 224}
"""Sizes for an example that a network for images can be run with."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_ASK_FOR_SHAPES = ("Shape", "Size")
_KEEP_AXES = (
    *("Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul"),
    *("Pad", "QuantizeLinear", "Relu", "Sub"),
)


def axis_names(source: Source, rank: int) -> tuple[str, ...]:
    """Return a name for each axis of the input.

    TensorFlow and Keras have images (n, h, w, c): their files transpose the input before the first
    convolution reads it. What shifts or scales the input may come before that.
    """
    if rank != len(CHANNELS_FIRST):
        return (BATCH, *(f"dim{axis}" for axis in range(1, rank)))
    same = {source.input.name}
    for node in source.nodes:
        if same.isdisjoint(node.inputs) or node.kind in _ASK_FOR_SHAPES:
            continue
        if node.kind == "Transpose" and node.integers("perm", ()) == _TO_CHANNELS_FIRST:
            return CHANNELS_LAST
        if node.kind not in _KEEP_AXES:
            break
        same.update(node.outputs)
    return CHANNELS_FIRST
