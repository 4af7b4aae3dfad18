"""Operators on small constants, in NumPy: what exporters use to compute shapes and scalars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convprof.networks.onnx.node import MOST_NUMBERS, Constant
from convprof.networks.onnx.package import onnx_package

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.node import FileNode

Arrays: TypeAlias = "list[Any]"

if TYPE_CHECKING:
    Evaluator = Callable[[FileNode, Arrays, int], Any]


def _plain(function: Callable[..., Any], count: int) -> Evaluator:
    """Return an operator that is a NumPy function of a number of arrays, without attributes."""

    def evaluator(node: FileNode, arrays: Arrays, _: int) -> Any:
        if len(arrays) != count:
            raise node.refused(f"it has {len(arrays)} inputs, must have {count}")
        _check_count(node, *np.broadcast_shapes(*(np.shape(array) for array in arrays)))
        return function(*arrays)

    return evaluator


def _all(function: Callable[..., Any]) -> Evaluator:
    """Return an operator that folds any number of arrays, two at a time."""

    def evaluator(node: FileNode, arrays: Arrays, _: int) -> Any:
        _check_count(node, *np.broadcast_shapes(*(np.shape(array) for array in arrays)))
        total = arrays[0]
        for array in arrays[1:]:
            total = function(total, array)
        return total

    return evaluator


def _divide(a: Any, b: Any) -> Any:
    if np.asarray(a).dtype.kind == "f":
        return np.divide(a, b)
    if not np.all(b):
        raise ZeroDivisionError
    return np.fix(np.true_divide(a, b)).astype(np.asarray(a).dtype)


def _cast(node: FileNode, arrays: Arrays, _: int) -> Any:
    to = onnx_package().helper.tensor_dtype_to_np_dtype(node.integer("to", 0))
    return np.asarray(arrays[0]).astype(to)


def _gather(node: FileNode, arrays: Arrays, _: int) -> Any:
    data, indices = arrays
    axis = node.integer("axis", 0)
    _check_count(node, indices.size, data.size // max(1, data.shape[axis]))
    return np.take(data, indices, axis=axis)


def _concat(node: FileNode, arrays: Arrays, _: int) -> Any:
    _check_count(node, sum(array.size for array in arrays))
    return np.concatenate(arrays, axis=node.integer("axis", 0))


def _slice(node: FileNode, arrays: Arrays, opset: int) -> Any:
    inputs_since = 10
    data, *rest = arrays
    if opset < inputs_since:
        attributes = (node.attributes.get(key) for key in ("starts", "ends", "axes"))
        rest = [None if value is None else np.array(value) for value in attributes]
    starts, ends, axes, steps = (*rest, None, None)[:4]
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones_like(starts) if steps is None else steps
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(cut)]


def _axes(node: FileNode, arrays: Arrays) -> tuple[int, ...]:
    if len(arrays) > 1 and arrays[1] is not None:
        return tuple(int(axis) for axis in arrays[1].reshape(-1))
    return node.integers("axes", ())


def _unsqueeze(node: FileNode, arrays: Arrays, _: int) -> Any:
    return np.expand_dims(arrays[0], _axes(node, arrays))


def _squeeze(node: FileNode, arrays: Arrays, _: int) -> Any:
    return np.squeeze(arrays[0], _axes(node, arrays) or None)


def _reshape(_: FileNode, arrays: Arrays, __: int) -> Any:
    data, shape = arrays
    requested = [data.shape[axis] if size == 0 else int(size) for axis, size in enumerate(shape)]
    return data.reshape(requested)


def _constant_of_shape(node: FileNode, arrays: Arrays, _: int) -> Any:
    shape = tuple(int(size) for size in arrays[0].reshape(-1))
    _check_count(node, *shape)
    value = node.attributes.get("value", Constant.of(np.float32(0)))
    if not isinstance(value, Constant) or value.values is None or value.elements != 1:
        raise node.refused("value must be a tensor of one number")
    return np.full(shape, value.values.reshape(-1)[0])


def _expand(node: FileNode, arrays: Arrays, _: int) -> Any:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(int(size) for size in arrays[1]))
    _check_count(node, *shape)
    return np.broadcast_to(arrays[0], shape).copy()


def _tile(node: FileNode, arrays: Arrays, _: int) -> Any:
    data, times = arrays
    _check_count(node, *(int(count) for count in times), data.size)
    return np.tile(data, times)


def _cast_like(_: FileNode, arrays: Arrays, __: int) -> Any:
    data, like = arrays
    return np.asarray(data).astype(like.dtype)


def _range(node: FileNode, arrays: Arrays, _: int) -> Any:
    start, limit, delta = (array.reshape(-1)[0] for array in arrays)
    _check_count(node, max(0, int((limit - start) / delta)) if delta else MOST_NUMBERS + 1)
    return np.arange(start, limit, delta)


def _transpose(node: FileNode, arrays: Arrays, _: int) -> Any:
    rank = np.ndim(arrays[0])
    return np.transpose(arrays[0], node.integers("perm", tuple(reversed(range(rank)))))


def _product(node: FileNode, arrays: Arrays, _: int) -> Any:
    return np.prod(
        arrays[0],
        axis=_axes(node, arrays) or None,
        keepdims=bool(node.integer("keepdims", 1)),
        dtype=arrays[0].dtype,
    )


def _check_count(node: FileNode, *shape: int) -> None:
    """Refuse a result before it is allocated."""
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_NUMBERS:
        raise node.unsupported(
            f"it does not compute 0 to {MOST_NUMBERS} numbers from its constants"
        )


EVALUATORS: dict[str, Evaluator] = {
    "Abs": _plain(np.abs, 1),
    "Add": _plain(np.add, 2),
    "And": _plain(np.logical_and, 2),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Ceil": _plain(np.ceil, 1),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _plain(_divide, 2),
    "Equal": _plain(np.equal, 2),
    "Exp": _plain(np.exp, 1),
    "Expand": _expand,
    "Floor": _plain(np.floor, 1),
    "Gather": _gather,
    "Greater": _plain(np.greater, 2),
    "Identity": _plain(np.asarray, 1),
    "Less": _plain(np.less, 2),
    "Log": _plain(np.log, 1),
    "Max": _all(np.maximum),
    "Min": _all(np.minimum),
    "Mod": _plain(np.mod, 2),
    "Mul": _plain(np.multiply, 2),
    "Neg": _plain(np.negative, 1),
    "Not": _plain(np.logical_not, 1),
    "Pow": _plain(np.power, 2),
    "Range": _range,
    "Reciprocal": _plain(np.reciprocal, 1),
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _plain(np.sqrt, 1),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract, 2),
    "Sum": _all(np.add),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _plain(np.where, 3),
}
