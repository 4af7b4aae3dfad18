"""The weights of a file: their numbers are read or computed when they are asked for, in f32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.weight_operators import check_scale
from convprof.problems.checks import shown
from convprof.problems.graph import INPUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.problems.graph import Network
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]
    Constants = Mapping[str, Mapping[str, Constant]]
    """By node of the network and name in its op."""


class WeightReader:
    """Reads and computes constants, each once."""

    def __init__(self) -> None:
        self._arrays: dict[int, Array] = {}
        self._kept: list[Constant] = []
        """So that no other constant gets the identity of one that was read."""

    def array(self, constant: Constant) -> Array:
        """Return the numbers of a constant in its own shape and type."""
        pending = [constant]  # a stack, not recursion: a file may have a long chain
        while pending:
            now = pending[-1]
            missing = [each for each in _reads(now) if id(each) not in self._arrays]
            if missing:
                pending += missing
                continue
            pending.pop()
            if id(now) not in self._arrays:
                self._arrays[id(now)] = self._computed(now)
                self._kept.append(now)
        return self._arrays[id(constant)]

    def _computed(self, constant: Constant) -> Array:
        if constant.values is not None:
            return constant.values
        if constant.recipe is None:
            raise InputError("a weight has no numbers in the file")
        operands = (self._arrays[id(each)] for each in constant.recipe.reads)
        array = np.asarray(constant.recipe.compute(*operands))
        if array.size != constant.elements:
            raise InputError(f"a weight of {shown(constant.shape)} has {array.size} numbers")
        return array.reshape(constant.shape)


def _reads(constant: Constant) -> tuple[Constant, ...]:
    return () if constant.recipe is None or constant.values is not None else constant.recipe.reads


def sources(constants: Iterable[Constant]) -> list[Constant]:
    """Return the constants and all that they are computed of, each once."""
    pending = [*constants]
    seen: dict[int, Constant] = {}
    while pending:
        constant = pending.pop()
        if id(constant) not in seen:
            seen[id(constant)] = constant
            pending += _reads(constant)
    return [*seen.values()]


def elements(constants: Iterable[Constant]) -> int:
    """Return how many numbers are read and computed, with all that the constants are made of."""
    return sum(constant.elements for constant in sources(constants))


MOST_READ = 1 << 24
"""Numbers of a constant that decides what a file becomes, and of all that it is computed of."""


def numbers_within(constant: Constant) -> Array | None:
    """Return the numbers of a constant; None for many of them, another file's, and texts."""
    every = sources([constant])
    is_inside = all(each.has_numbers and not each.is_outside for each in every)
    if not is_inside or elements(every) > MOST_READ:
        return None
    return WeightReader().array(constant)


def read(network: Network, constants: Constants) -> dict[str, dict[str, Array]]:
    """Return the weights and buffers of a network by node and name, in f32 and the op's shapes.

    InputError for data that are missing, of another size, or not finite. Equal layers get the same
    array of a weight that they share.
    """
    reader = WeightReader()
    arrays: dict[tuple[str, str], Array] = {}
    for node in network.nodes:
        inputs = network.reads(node)
        for name, shape in {**node.op.weights(*inputs), **node.op.buffers(*inputs)}.items():
            array = _finite(reader.array(constants[node.name][name]), f"{node.name}: {name}")
            array = array.reshape(shape)
            tie = network.tied.get((node.name, name))
            if tie is not None:
                shared = tie.seen(arrays[tie.owner, tie.owned], shape)
                array = shared if np.array_equal(shared, array) else array
            arrays[node.name, name] = array
    weights: dict[str, dict[str, Array]] = {}
    for (node_name, name), array in arrays.items():
        weights.setdefault(node_name, {})[name] = array
    return weights


def _finite(array: Array, label: str) -> Array:
    """Return the numbers in f32; InputError for infinite ones and for what is not a number."""
    with np.errstate(over="ignore"):
        exact = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(exact).all():
        raise InputError(f"{label} has infinite numbers in f32, or numbers that are not defined")
    return exact


# What a node of the file computes of constants, by the onnx package's reference evaluator.


def inferred(
    node: FileNode, inputs: Sequence[tuple[str, Constant]], opset: int
) -> list[tuple[Shape, str]]:
    """Return shape and element type of every result of a node that reads constants.

    InputError where the package cannot infer them.
    """
    package = onnx_package()
    types = package.TensorProto.DataType
    infos, small = [], []
    for name, constant in inputs:
        if constant.values is None:
            real = types.Value(constant.stored or "FLOAT")
            infos.append(package.helper.make_tensor_value_info(name, real, constant.shape))
        else:
            small.append(package.numpy_helper.from_array(constant.values, name))
    model = _alone(node, opset, infos, small)
    try:
        graph = package.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except (package.shape_inference.InferenceError, RuntimeError, TypeError, ValueError):
        raise node.refused("the onnx package cannot infer its result") from None
    results = []
    for output in graph.output:
        tensor = output.type.tensor_type
        if not all(dim.HasField("dim_value") for dim in tensor.shape.dim) or not tensor.elem_type:
            raise node.refused("the size of its result must be known beforehand")
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        results.append((shape, types.Name(tensor.elem_type)))
    return results


def _alone(node: FileNode, opset: int, infos: Sequence[Any], small: Sequence[Any]) -> Any:
    """Return a model of one node of the file."""
    package = onnx_package()
    helper = package.helper
    proto = package.NodeProto()
    proto.CopyFrom(node.proto)
    proto.ClearField("domain")
    results = [helper.make_empty_tensor_value_info(name) for name in node.outputs if name]
    graph = helper.make_graph([proto], INPUT, infos, results, small)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def computed(
    node: FileNode, inputs: Sequence[str], opset: int, arrays: Sequence[Array], place: int = 0
) -> Array:
    """Return one result of a node of the file; InputError where the package refuses the node."""
    if node.kind == "DequantizeLinear":  # which the package's evaluator has for new files only
        for each in arrays[1:]:
            check_scale(node, np.shape(arrays[0]), np.shape(each))
        axis, block = node.integer("axis", 1), node.integer("block_size", 0)
        try:
            return dequantized(*arrays, axis=axis, block=block)
        except (IndexError, ValueError):
            raise node.refused("its scale or zero point does not fit the weights") from None
    if node.kind == "Gather":  # older versions of the package refuse a result of one number
        try:
            return np.asarray(np.take(arrays[0], arrays[1], axis=node.integer("axis", 0)))
        except (IndexError, TypeError, ValueError):
            raise node.refused("its positions are outside of its weights") from None
    package = onnx_package()
    helper = package.helper
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in zip(inputs, arrays, strict=True)
    ]
    model = _alone(node, opset, infos, ())
    try:
        evaluator = package.reference.ReferenceEvaluator(model)
        with np.errstate(all="ignore"):
            array: Array = evaluator.run(None, dict(zip(inputs, arrays, strict=True)))[place]
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise node.refused(f"its weights cannot be computed: {shown(reason)}") from None
    return array


def dequantized(
    x: Array, scale: Array, zero: Array | None = None, *, axis: int = 1, block: int = 0
) -> Array:
    """Return (x - zero) x scale in f32: of the whole tensor, of each slice of an axis, or blocks.

    IndexError and ValueError where scale and zero point fit none of these.
    """
    shape = np.shape(x)
    factors, zeros = (
        np.asarray(_spread(np.asarray(each, np.float32), shape, axis, block))
        for each in (scale, np.zeros_like(scale) if zero is None else zero)
    )
    result: Array = (x.astype(np.float32) - zeros) * factors
    return result


def _spread(numbers: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """Return the numbers of a scale in a form that NumPy repeats to the shape."""
    if numbers.size == 1:
        return numbers.reshape(())
    if block:
        return np.repeat(numbers, block, axis)[tuple(map(slice, shape))]
    sizes = [1] * len(shape)
    sizes[axis] = shape[axis]
    return numbers.reshape(sizes)
