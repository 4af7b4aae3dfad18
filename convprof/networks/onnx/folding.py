"""Evaluate what does not depend on the input's values: shape arithmetic, scalars, expanded weights.

Only small tensors have values here; of weights, only the shapes are followed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError, ProblemError
from convprof.networks.onnx.arithmetic import EVALUATORS
from convprof.networks.onnx.node import (
    MOST_AXES,
    MOST_NUMBERS,
    Blocks,
    Constant,
    Recipe,
    UnsupportedNodeError,
)
from convprof.networks.onnx.weight_operators import check_known, check_size
from convprof.networks.onnx.weights import computed, inferred
from convprof.problems.checks import MAX_ELEMENTS, shown
from convprof.problems.ops import Reshape, Transpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.node import FileNode
    from convprof.problems.shapes import Shape

    Follower = Callable[[FileNode, Shape, tuple[Constant | None, ...]], Shape]


def evaluate(node: FileNode, inputs: tuple[Constant | None, ...], opset: int) -> list[Constant]:
    """Return what a node gives for constants (None where an input is left out).

    Raises InputError for an operator that is not known for constants, or impossible values.
    """
    results = _evaluated(node, inputs, opset)
    learned = any(each is not None and each.is_learned and each.elements > 1 for each in inputs)
    if node.kind in _FIXED or not (learned or node.kind in _WEIGHTS):
        results = [replace(each, is_fixed=True) for each in results]
    first = inputs[0] if inputs else None
    scale = None
    if node.kind == "DequantizeLinear" and len(inputs) > 1:
        scale = inputs[1]
        results = [replace(each, blocks=_blocks(node, inputs)) for each in results]
    elif node.kind in _REARRANGE and first is not None:
        scale = first.scale
    return results if scale is None else [replace(each, scale=scale) for each in results]


def _blocks(node: FileNode, inputs: tuple[Constant | None, ...]) -> Blocks | None:
    """Return what a matrix is made of that has factors for blocks; None for other weights."""
    whole, scales, *zeros = inputs
    size, axis = node.integer("block_size", 0), node.integer("axis", 1)
    if whole is None or scales is None or not size or len(whole.shape) != len(("k", "n")):
        return None
    return Blocks(whole, scales, zeros[0] if zeros else None, axis % 2, size)


def _evaluated(node: FileNode, inputs: tuple[Constant | None, ...], opset: int) -> list[Constant]:
    known = all(constant is None or constant.values is not None for constant in inputs)
    first = inputs[0] if inputs else None
    if node.kind in ("Expand", "Tile") and first is not None and _is_real(first):
        known = False  # a weight, which may become large
    try:
        if node.kind == "ConstantOfShape" and (weight := _filled(node, first)) is not None:
            return [weight]
        if known and node.kind in EVALUATORS and (few := _few(node, inputs, opset)):
            return few
        if known and node.kind == "DequantizeLinear" and first is not None and first.elements == 1:
            return [one_number(first, _recipe(node, inputs, opset))]
        if node.kind in FOLLOWERS:
            shape = _followed(node, inputs)
            return [Constant(shape, stored=_stored(inputs), recipe=_recipe(node, inputs, opset))]
        return _inferred(node, inputs, opset)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise node.refused(str(error)) from None
        raise node.refused("its constant inputs do not fit it") from None


def _few(node: FileNode, inputs: tuple[Constant | None, ...], opset: int) -> list[Constant] | None:
    """Return the results with their numbers; None where these are too many to be read."""
    try:
        values = _values(node, inputs, opset)
        return [Constant(*_kept(node, value), _stored(inputs)) for value in values]
    except UnsupportedNodeError:
        return None


def one_number(whole: Constant, recipe: Recipe) -> Constant:
    """Return one number that the file stores as a byte, such as the factor of a product."""
    value = recipe.compute(*(each.values for each in recipe.reads))
    return Constant(whole.shape, np.asarray(value).reshape(whole.shape), whole.stored)


def _filled(node: FileNode, shape: Constant | None) -> Constant | None:
    """Return the weight that ConstantOfShape makes where its numbers are too many to be read."""
    sizes = numbers(node, shape, "the shape")
    if min(sizes, default=1) < 0 or math.prod(sizes) <= MOST_NUMBERS:
        return None
    value = np.asarray(_fill_value(node))
    return Constant(_checked(node, sizes), recipe=Recipe(lambda: np.full(sizes, value)))


def _fill_value(node: FileNode) -> Any:
    value = node.attributes.get("value")
    if value is None:
        return np.float32(0)
    if not isinstance(value, Constant) or value.values is None or value.elements != 1:
        raise node.refused("value must be a tensor of one number")
    return value.values.reshape(-1)[0]


def _inferred(node: FileNode, inputs: tuple[Constant | None, ...], opset: int) -> list[Constant]:
    """Return what any other node computes of constants, its shapes by the onnx package."""
    check_known(node)
    if "" in node.outputs:
        raise node.refused("a result that is left out is not supported on weights")
    known = [(name, each) for name, each in zip(node.inputs, inputs, strict=True) if each]
    results = inferred(node, known, opset)
    check_size(node, inputs, results[0][0])
    return [
        Constant(_checked(node, shape), stored=stored, recipe=_recipe(node, inputs, opset, place))
        for place, (shape, stored) in enumerate(results)
    ]


def _recipe(
    node: FileNode, inputs: tuple[Constant | None, ...], opset: int, place: int = 0
) -> Recipe:
    """Return the recipe for one of a node's results, which the onnx package computes."""
    reads = {name: each for name, each in zip(node.inputs, inputs, strict=True) if each is not None}

    def compute(*arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return computed(node, tuple(reads), opset, arrays, place)

    return Recipe(compute, tuple(reads.values()))


def _stored(inputs: tuple[Constant | None, ...]) -> str:
    """Return the element type in the file of the largest input: of a weight, not of its scale."""
    known = [constant for constant in inputs if constant is not None]
    return max(known, key=lambda constant: constant.elements).stored if known else ""


def _is_real(constant: Constant) -> bool:
    return constant.values is None or constant.values.dtype.kind == "f"


def shape_of(node: FileNode, shape: Shape) -> Constant:
    """Return what Shape and Size give for a tensor of a shape."""
    if node.kind == "Size":
        return Constant.of(np.int64(math.prod(shape)))
    start, end = node.integer("start", 0), node.integer("end", len(shape))
    return Constant.of(np.array(shape[slice(start, end)], np.int64))


def _values(node: FileNode, inputs: tuple[Constant | None, ...], opset: int) -> Any:
    arrays = [None if constant is None else constant.values for constant in inputs]
    with np.errstate(all="ignore"):
        results = EVALUATORS[node.kind](node, arrays, opset)
    return results if isinstance(results, list) else [results]


def _kept(node: FileNode, value: Any) -> tuple[Shape, np.ndarray[Any, Any]]:
    array = np.asarray(value)
    if array.size > MOST_NUMBERS or array.ndim > MOST_AXES:
        raise node.unsupported(f"it computes more than {MOST_NUMBERS} numbers from constants")
    return array.shape, array


def _followed(node: FileNode, inputs: tuple[Constant | None, ...]) -> Shape:
    """Return the shape of what is computed from weights that were not read."""
    first = inputs[0] if inputs else None
    if first is None:
        raise node.refused("input 1 is missing")
    return _checked(node, FOLLOWERS[node.kind](node, first.shape, inputs))


def _checked(node: FileNode, shape: Shape) -> Shape:
    if len(shape) > MOST_AXES or min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise node.refused(f"its result, {shown(shape)}, is too large or impossible")
    return shape


def numbers(node: FileNode, constant: Constant | None, what: str) -> tuple[int, ...]:
    """Return a constant's values as whole numbers."""
    if constant is None or constant.values is None:
        raise node.refused(f"{what} must be known: a small constant within the file")
    if constant.values.dtype.kind not in "iu":
        raise node.refused(f"{what} must be whole numbers")
    return tuple(int(number) for number in constant.values.reshape(-1))


def axes_of(node: FileNode, inputs: tuple[Constant | None, ...]) -> tuple[int, ...]:
    """Return the axes that a node names: an input, or an attribute in older files."""
    axes = inputs[1] if len(inputs) > 1 else None
    return numbers(node, axes, "axes") if axes is not None else node.integers("axes", ())


def axis_in(node: FileNode, axis: int, rank: int) -> int:
    """Return an axis from 0; InputError without a valid one."""
    if not -rank <= axis < rank:
        raise node.refused(f"axis={axis}: the tensor has {rank} axes")
    return axis % rank


def squeezed(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    """Return what Squeeze gives: without any axis of size 1 if no axes are named."""
    gone = {axis_in(node, axis, len(shape)) for axis in axes_of(node, inputs)}
    gone = gone or {axis for axis, size in enumerate(shape) if size == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise node.refused(f"axes {sorted(gone)} of {shape} are not all of size 1")
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def unsqueezed(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    """Return what Unsqueeze gives: axes of size 1 at the places named, of the result."""
    requested = axes_of(node, inputs)
    rank = len(shape) + len(requested)
    new = {axis_in(node, axis, rank) for axis in requested}
    if len(new) != len(requested):
        raise node.refused(f"axes {shown(requested)} name one twice")
    sizes = iter(shape)
    return tuple(1 if axis in new else next(sizes) for axis in range(rank))


def target(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    """Return the shape that Reshape gives."""
    requested = numbers(node, inputs[1] if len(inputs) > 1 else None, "the new shape")
    if 0 in requested and node.integer("allowzero", 0):
        raise node.refused("allowzero=1 makes an empty tensor")
    if not requested and math.prod(shape) == 1:
        return ()
    try:
        return Reshape(requested).output(shape)
    except ProblemError as error:
        raise InputError(f"{node.label}: {error}") from None


def _transpose(node: FileNode, shape: Shape, _: tuple[Constant | None, ...]) -> Shape:
    return Transpose(node.integers("perm", tuple(reversed(range(len(shape)))))).output(shape)


def _expand(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    requested = numbers(node, inputs[1] if len(inputs) > 1 else None, "the new shape")
    return tuple(map(int, np.broadcast_shapes(shape, requested)))


def _tile(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    times = numbers(node, inputs[1] if len(inputs) > 1 else None, "the repeats")
    return tuple(size * count for size, count in zip(shape, times, strict=True))


def _concat(node: FileNode, shape: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    parts = [each.shape for each in inputs if each is not None]
    axis = axis_in(node, node.integer("axis", 0), len(shape))
    rests = {(*part[:axis], *part[axis + 1 :]) for part in parts}
    if len(rests) > 1 or any(len(part) != len(shape) for part in parts):
        raise node.refused(f"shapes {shown(parts)} do not fit together")
    return (*shape[:axis], sum(part[axis] for part in parts), *shape[axis + 1 :])


def _same(_: FileNode, shape: Shape, __: tuple[Constant | None, ...]) -> Shape:
    return shape


def _broadcast(_: FileNode, __: Shape, inputs: tuple[Constant | None, ...]) -> Shape:
    return np.broadcast_shapes(*(each.shape for each in inputs if each is not None))


_FIXED = frozenset(("Cos", "Sin"))
"""Operators that no weights are computed by: rotated positions (Su et al. 2021)."""
_WEIGHTS = ("ConstantOfShape", "DequantizeLinear")
"""Operators that make weights of whole numbers."""
_REARRANGE = frozenset(("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
"""Operators after which a weight has the same numbers."""
FOLLOWERS: dict[str, Follower] = {
    **dict.fromkeys(("Cast", "CastLike", "DequantizeLinear", "Identity"), _same),
    **dict.fromkeys(("Abs", "Exp", "Log", "Neg", "Reciprocal", "Sqrt"), _same),
    **dict.fromkeys(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum"), _broadcast),
    "Concat": _concat,
    "Expand": _expand,
    "Reshape": target,
    "Squeeze": squeezed,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": unsqueezed,
}
"""By operator, the shape of what is computed of weights: their numbers do not matter."""
