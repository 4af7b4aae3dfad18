"""The shapes of the inputs: fixed sizes, and the open dimensions that the user sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convprof.errors import InputError
from convprof.networks.onnx.node import MOST_AXES, text_of
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.source import FLOATS
from convprof.networks.onnx.type_names import EXACT
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


class _Axes(NamedTuple):
    """An input: what messages call it, and for each axis its usual name and its size or name."""

    label: str
    usual: tuple[str, ...]
    axes: list[int | str]

    @property
    def text(self) -> str:
        """``input 'x' is Nx3x8x8``."""
        shape = "x".join(_printable(a) if isinstance(a, str) else str(a) for a in self.axes)
        return f"{self.label} is {shape}"

    def opened(self) -> dict[str, str]:
        """Return the usual name of every open dimension by its name."""
        opened: dict[str, str] = {}
        for axis, usual in zip(self.axes, self.usual, strict=True):
            if isinstance(axis, str):
                opened.setdefault(axis, usual)
        return opened

    def shape(self, dims: Mapping[str, int]) -> Shape:
        """Return the sizes with the open dimensions set."""
        return tuple(
            size(f"dim {_printable(axis)}", dims[axis])
            if isinstance(axis, str)
            else size(f"{self.label}, axis {place}", axis)
            for place, axis in enumerate(self.axes)
        )


def input_shapes(source: Source, dims: Mapping[str, int]) -> dict[str, Shape]:
    """Return the shape of every input with its open dimensions set.

    Inputs share the dimensions of one name. An open dimension without a name is called by its axis.
    Raises InputError naming every open dimension that is not set, or all open dimensions when
    another one is set.
    """
    inputs = _checked_axes(source)
    text = ", ".join(each.text for each in inputs.values())
    opened = _opened(inputs)
    for name in dims:
        if name not in opened:
            known = ", ".join(_printable(each) for each in opened)
            there = f"open dimensions: {known}" if opened else "the file leaves none open"
            pair = f"{_printable(name)}={dims[name]}"
            raise InputError(f"{text}; {there}", field="dims", value=pair)
    missing = {name: usual for name, usual in opened.items() if name not in dims}
    if missing:
        raise InputError(
            f"{text}: set {' and '.join(map(_printable, missing))}",
            field="dims",
            examples=[
                f"{_printable(name)}={USUAL.get(usual, 1)}" for name, usual in missing.items()
            ],
        )
    return {name: each.shape(dims) for name, each in inputs.items()}


def usual_sizes(source: Source, mb: int) -> dict[str, int]:
    """Return a size for every open dimension: ``mb`` for the batch, else a usual one.

    Raises InputError for inputs whose dimensions cannot be set.
    """
    sizes = {**USUAL, BATCH: mb}
    opened = _opened(_checked_axes(source))
    return {name: sizes.get(usual, 1) for name, usual in opened.items()}


def _opened(inputs: Mapping[str, _Axes]) -> dict[str, str]:
    """Return the usual name of every open dimension of all inputs by its name."""
    opened: dict[str, str] = {}
    for each in inputs.values():
        for name, usual in each.opened().items():
            opened.setdefault(name, usual)
    return opened


def _checked_axes(source: Source) -> dict[str, _Axes]:
    """Return the axes of every input by its name in the file."""
    several = len(source.inputs) > 1
    return {
        text_of(value.name): _axes_of(source, value, is_one_of_several=several)
        for value in source.inputs
    }


def _axes_of(source: Source, value: onnx.ValueInfoProto, *, is_one_of_several: bool) -> _Axes:
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
    usual = axis_names(source, value.name, len(tensor.shape.dim))
    if onnx_package().TensorProto.DataType.Name(tensor.elem_type) in EXACT:
        usual = (
            BATCH,
            *(SEQUENCE if axis == 1 else name for axis, name in enumerate(usual[1:], 1)),
        )
    names = usual
    if is_one_of_several:  # whose sizes differ, but for the batch
        names = tuple(name if name == BATCH else f"{value.name}.{name}" for name in usual)
    return _Axes(label, usual, _axes(tensor.shape, names))


def _check_type(label: str, value: onnx.ValueInfoProto) -> None:
    if value.type.WhichOneof("value") != "tensor_type":
        raise InputError(f"{label} is not a tensor")
    types = onnx_package().TensorProto.DataType
    number = value.type.tensor_type.elem_type
    name = types.Name(number) if number in types.values() else str(number)
    if name not in (*FLOATS, *EXACT):
        raise InputError(
            f"{label} holds {name}; a network reads real numbers, {', '.join(EXACT)} here"
        )


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
SEQUENCE = "sequence"
USUAL = {BATCH: 1, "channels": 3, "height": 224, "width": 224, SEQUENCE: 128}
"""Sizes for an example that a network for images, or for tokens, can be run with."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_ASK_FOR_SHAPES = ("Shape", "Size")
_KEEP_AXES = (
    *("Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul"),
    *("Pad", "QuantizeLinear", "Relu", "Sub"),
)


def axis_names(source: Source, name: str, rank: int) -> tuple[str, ...]:
    """Return a name for each axis of an input.

    TensorFlow and Keras have images (n, h, w, c): their files transpose the input before the first
    convolution reads it. What shifts or scales the input may come before that.
    """
    if rank != len(CHANNELS_FIRST):
        return (BATCH, *(f"dim{axis}" for axis in range(1, rank)))
    same = {name}
    for node in source.nodes:
        if same.isdisjoint(node.inputs) or node.kind in _ASK_FOR_SHAPES:
            continue
        if node.kind == "Transpose" and node.integers("perm", ()) == _TO_CHANNELS_FIRST:
            return CHANNELS_LAST
        if node.kind not in _KEEP_AXES:
            break
        same.update(node.outputs)
    return CHANNELS_FIRST
