"""A node that convprof has no operation for, as a model of its own that another program runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ConvprofError
from convprof.networks.onnx.node import PATTERN_KIND, RANDOM, Constant, Value
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.tensors import MOST_FLOATS
from convprof.networks.onnx.type_names import EXACT, REAL
from convprof.problems.checks import shown
from convprof.problems.ops import Opaque

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, UnsupportedNodeError
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

IR_VERSION = 8
RESULT = "y"
NOTE = "has no strategy here: opaque, computed by ONNX Runtime and left out of all conclusions"


_LEARNED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), (1, 2, 3)),
    **dict.fromkeys(("BatchNormalization", "GroupNormalization", "LayerNormalization"), (1, 2)),
    **dict.fromkeys(("MatMul", "PRelu"), (1,)),
}
"""By operator, the inputs that are weights even if they have few numbers, but more than one."""


def opaque(net: Importer, node: FileNode, refusal: UnsupportedNodeError) -> list[Value | None]:
    """Return the results of a node in order, None for those that nothing reads.

    Raises ``refusal`` where the node cannot be a model of its own: a result is not f32 or has an
    unknown size, or the onnx package refuses the node.
    """
    proto = node.proto
    if proto is None or node.kind in RANDOM or node.kind.startswith(PATTERN_KIND):
        raise refusal
    if proto.op_type != node.kind:  # a pattern that ends in this node
        raise refusal
    used = [place for place, name in enumerate(node.outputs) if name and net.used(name)]
    inputs = _Inputs(net, node, refusal)
    results: list[Value | None] = [None] * (max(used, default=-1) + 1)
    for place in used:
        model = _model(inputs, proto, place, net.opset)
        result = _inferred(model, refusal)
        op = Opaque(
            operator=node.kind,
            reads=tuple(value.shape for value in inputs.activations),
            result=result,
            weight_shapes=tuple(weight.shape for weight in inputs.weights),
            model=model.SerializeToString(),
            multiply_adds=_multiply_adds(node, inputs.shapes, result),
            evaluate=_evaluator(model, refusal),
        )
        part = str(place) if len(used) > 1 else ""
        results[place] = net.emit(node, op, *inputs.activations, part=part, weights=inputs.weights)
    net.note(f"{node.kind} {NOTE}")
    return results


class _Inputs:
    """The inputs of a node: activations, weights, and small constants that stay in the model."""

    def __init__(self, net: Importer, node: FileNode, refusal: UnsupportedNodeError) -> None:
        self.names: list[str] = []
        self.activations: list[Value] = []
        self.types: list[str] = []
        """Of the activations, in the file: whole numbers are cast before the node."""
        self.weights: list[Constant] = []
        self.small: list[onnx.TensorProto] = []
        self.shapes = [net.values[name].shape if name else () for name in node.inputs]
        """By place of the input."""
        learned = _LEARNED.get(node.kind, ())
        for place, name in enumerate(node.inputs):
            known = self._named(net, name, refusal, is_learned=place in learned) if name else ""
            self.names.append(known)
        if not self.activations:
            raise refusal

    def _named(
        self, net: Importer, name: str, refusal: UnsupportedNodeError, *, is_learned: bool
    ) -> str:
        value = net.values[name]
        if isinstance(value, Value):
            self.activations.append(value)
            self.types.append(net.types.of(name))
            return f"x{len(self.activations) - 1}"
        numbers = value.values
        is_real = numbers is None or numbers.dtype.kind == "f"
        few = value.elements <= (1 if is_learned else MOST_FLOATS)
        if numbers is not None and (few or not is_real):
            name = f"c{len(self.small)}"
            exact = numbers.astype(np.float32) if is_real else numbers
            self.small.append(onnx_package().numpy_helper.from_array(exact, name))
            return name
        if numbers is None and not value.stored.endswith(("FLOAT", "FLOAT16", "DOUBLE")):
            raise refusal
        self.weights.append(value)
        return f"w{len(self.weights) - 1}"


def _model(inputs: _Inputs, proto: onnx.NodeProto, place: int, opset: int) -> onnx.ModelProto:
    """Return the model of one node and one of its outputs."""
    helper, real = onnx_package().helper, onnx_package().TensorProto.FLOAT
    node = type(proto)()
    node.CopyFrom(proto)
    node.ClearField("domain")
    node.ClearField("metadata_props")
    node.name = node.doc_string = ""
    types = onnx_package().TensorProto.DataType
    exact = {f"x{at}": name for at, name in enumerate(inputs.types) if name != REAL}
    casts = [
        helper.make_node("Cast", [name], [f"{name} exact"], to=types.Value(to))
        for name, to in exact.items()
    ]
    node.input[:] = [f"{name} exact" if name in exact else name for name in inputs.names]
    node.output[:] = [
        RESULT if at == place else name and f"unused{at}" for at, name in enumerate(proto.output)
    ]
    shapes = {f"x{at}": value.shape for at, value in enumerate(inputs.activations)}
    shapes |= {f"w{at}": weight.shape for at, weight in enumerate(inputs.weights)}
    infos = [helper.make_tensor_value_info(name, real, shape) for name, shape in shapes.items()]
    result = helper.make_empty_tensor_value_info(RESULT)
    graph = helper.make_graph([*casts, node], "opaque", infos, [result], inputs.small)
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
    )
    return model


def _inferred(model: onnx.ModelProto, refusal: UnsupportedNodeError) -> Shape:
    """Return the shape of the result, and note its type in the model; whole numbers are cast."""
    package = onnx_package()
    try:
        inferred = package.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except (package.shape_inference.InferenceError, RuntimeError, TypeError, ValueError):
        raise refusal from None
    (output,) = inferred.graph.output
    tensor = output.type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    types = package.TensorProto.DataType
    if types.Name(tensor.elem_type) not in (REAL, *EXACT) or min(shape, default=0) < 1:
        raise refusal
    if tensor.elem_type != types.Value(REAL):
        node = model.graph.node[-1]
        node.output[:] = [f"{name} exact" if name == RESULT else name for name in node.output]
        cast = package.helper.make_node("Cast", [f"{RESULT} exact"], [RESULT], to=types.Value(REAL))
        model.graph.node.append(cast)
        output.type.tensor_type.elem_type = types.Value(REAL)
    model.graph.output[0].CopyFrom(output)
    return shape


def _evaluator(model: onnx.ModelProto, refusal: UnsupportedNodeError) -> Callable[..., Array]:
    """Return the function that evaluates a model in float64; ``refusal`` if the package cannot."""
    package = onnx_package()
    exact = package.ModelProto.FromString(model.SerializeToString())
    for tensor in exact.graph.initializer:
        array = package.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:  # the evaluator refuses operands of two types
            array = array.astype(np.float64)
        tensor.CopyFrom(package.numpy_helper.from_array(array, tensor.name))
    names = [info.name for info in model.graph.input]
    try:
        evaluator = package.reference.ReferenceEvaluator(exact)
    except (RuntimeError, TypeError, ValueError):
        raise refusal from None

    def evaluate(*operands: Array) -> Array:
        feeds = dict(zip(names, operands, strict=True))
        try:
            with np.errstate(all="ignore"):
                return np.asarray(evaluator.run(None, feeds)[0], np.float64)
        except Exception as error:  # the package's operators raise what they like
            kinds = (each.op_type for each in model.graph.node if each.op_type != "Cast")
            kind = next(kinds, "Cast")
            reason = " ".join(str(error).split())[:100]
            text = f"the onnx package cannot evaluate {kind}: {shown(reason)}"
            raise ConvprofError(text) from error

    return evaluate


def _multiply_adds(node: FileNode, shapes: Sequence[Shape], result: Shape) -> int:
    """Return the MACs of a convolution, a product or a recurrent layer; 0 for others."""
    sizes = [math.prod(shape) for shape in shapes]
    if node.kind in ("GRU", "LSTM", "RNN"):
        # Every step multiplies with both matrices (directions, gates x hidden, inputs or hidden).
        return math.prod(shapes[0][:2]) * sum(sizes[1:3])
    if node.kind in ("Conv", "ConvTranspose"):
        moved = result if node.kind == "Conv" else shapes[0]
        return math.prod(moved) * math.prod(shapes[1][1:])
    if node.kind in ("Gemm", "MatMul"):
        return math.prod(result) * shapes[0][0 if node.integer("transA", 0) else -1]
    return 0
