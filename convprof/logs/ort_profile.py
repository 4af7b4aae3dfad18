"""A profile of ONNX Runtime: an event per node and run, in whole microseconds.

A profile has no strides, pads and dilations: a model has. Without a model, the stride and the
padding of a convolution follow from its shapes if the convolution is dense and padded by half a
filter or not at all. Its FLOPs depend on neither. A profile does not say whether an operand of a
product is transposed; the sizes of the product are the same. Source:
``core/framework/sequential_executor.cc`` and ``core/common/profiler.cc`` of ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.logs.operation import Call, Operation, Span, is_time, number, word
from convprof.logs.products import product
from convprof.problems.conv2d import Conv2d

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.logs.model_nodes import ModelNode, ModelNodes
    from convprof.logs.operation import Reading
    from convprof.problems.base import Problem
    from convprof.problems.gemm import Gemm

LIBRARY = "ONNX Runtime"
_MICRO = 1e-6
_END = "_kernel_time"
_CONTAINERS = ("If", "Loop", "Scan")
"""Nodes whose bodies have events of their own."""
_CREATION = ("session_initialization",)
_MODEL = "model_loading"
_TYPES = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "s8",
          "uint8": "u8", "int32": "s32", "int64": "s64"}  # fmt: skip
_MOST_TENSORS = 64
_MOST_DIMS = 16
_IMAGE = 4
_Tensor = tuple[str, list[int]]


def call_of(
    event: dict[str, Any], reading: Reading, model: ModelNodes | None = None
) -> Call | None:
    """Return the call of an event; None if it is not work, or part of another event."""
    name, duration = event.get("name"), number(event.get("dur"))
    if not isinstance(name, str) or duration is None:
        reading.foreign += 1
        return None
    seconds = duration * _MICRO
    if not is_time(seconds):
        reading.unread += 1
        return None
    if event.get("cat") == "Session":
        return _session(name, seconds, event, reading)
    return _node(name, seconds, event, reading, model)


def _session(name: str, seconds: float, event: dict[str, Any], reading: Reading) -> Call | None:
    if name in _CREATION or name.startswith(_MODEL):
        operation = Operation(LIBRARY, "session", word(name))
        return Call(operation, seconds, "creation", _span(event, seconds))
    reading.nested += 1  # a whole run: its nodes are counted
    return None


def _node(
    name: str,
    seconds: float,
    event: dict[str, Any],
    reading: Reading,
    model: ModelNodes | None,
) -> Call | None:
    arguments = event.get("args")
    kind = arguments.get("op_name") if isinstance(arguments, dict) else None
    if not isinstance(arguments, dict) or not isinstance(kind, str) or not name.endswith(_END):
        reading.foreign += 1  # the fences of older versions, and the calls of the interface
        return None
    if kind in _CONTAINERS:
        reading.nested += 1
        return None
    short = name.removesuffix(_END)
    node = None if model is None else model.find(short)
    operation = _operation(kind, short, arguments, node)
    return Call(operation, seconds, "execution", _span(event, seconds))


def _span(event: dict[str, Any], seconds: float) -> Span | None:
    begin = number(event.get("ts"))
    if begin is None:
        return None
    thread = word(f"thread {event.get('tid')} of process {event.get('pid')}")
    return Span(begin * _MICRO, seconds, thread)


def _operation(
    kind: str, name: str, arguments: dict[str, Any], node: ModelNode | None
) -> Operation:
    tensors = _tensors(arguments.get("input_type_shape"))
    types = tensors[0][0] if tensors else ""
    problem = _problem(kind, tensors, _tensors(arguments.get("output_type_shape")), node)
    shapes = ":".join("x".join(map(str, shape)) for _, shape in tensors[:2])
    text = problem.descriptor if problem is not None else f"{name} {shapes}".strip()
    provider = str(arguments.get("provider", "")).removesuffix("ExecutionProvider")
    return Operation(
        LIBRARY,
        word(kind),
        word(text),
        word(_TYPES.get(types, types)),
        "",
        word(provider),
        problem,
        kind.startswith("Reorder"),
    )


def _tensors(value: Any) -> list[_Tensor]:
    """Return type and shape of each input; those that are neither are left out."""
    tensors = []
    for item in value[:_MOST_TENSORS] if isinstance(value, list) else ():
        for dtype, shape in list(item.items())[:1] if isinstance(item, dict) else ():
            sizes = shape[:_MOST_DIMS] if isinstance(shape, list) else []
            if all(isinstance(size, int) for size in sizes):
                tensors.append((dtype, sizes))
    return tensors


def _problem(
    kind: str, inputs: list[_Tensor], results: list[_Tensor], node: ModelNode | None
) -> Problem | None:
    reader = _READERS.get(kind)
    if reader is None or not inputs or not results:
        return None
    shapes, result = [shape for _, shape in inputs], results[0][1]
    try:
        if node is not None and node.is_convolution and reader is _convolution:
            return _of_model(node, shapes, result)
        return reader(shapes, result)
    except InputError:
        return None


def _of_model(node: ModelNode, inputs: list[list[int]], result: list[int]) -> Conv2d | None:
    """Return the convolution with the attributes of the model, if it gives the result's shape."""
    if len(inputs) < 2:  # noqa: PLR2004
        return None
    problem = node.convolution(*inputs[:2])
    fits = problem is not None and [problem.n, problem.k, problem.p, problem.q] == result
    return problem if fits else None


def _convolution(inputs: list[list[int]], result: list[int]) -> Conv2d | None:
    if len(inputs) < 2 or {len(shape) for shape in (*inputs[:2], result)} != {_IMAGE}:  # noqa: PLR2004
        return None
    (n, c, h, w), (k, per_group, r, s) = inputs[:2]
    if min(*inputs[0], *inputs[1], *result) < 1 or c % per_group or result[:2] != [n, k]:
        return None
    rows, columns = _axis(h, r, result[2]), _axis(w, s, result[3])
    if rows is None or columns is None:
        return None
    (down, top), (across, left) = rows, columns
    groups = c // per_group
    return Conv2d(
        n=n, c=c, h=h, w=w, k=k, r=r, s=s, stride=(down, across), pad=(top, left), groups=groups
    )


def _axis(size: int, taps: int, out: int) -> tuple[int, int] | None:
    """Return stride and padding of an axis that give its output size; None if none does."""
    stride = max(1, round(size / out))
    pads = ((taps - 1) // 2, 0)
    fits = (pad for pad in pads if (size + 2 * pad - taps) // stride + 1 == out)
    pad = next(fits, None)
    return None if pad is None else (stride, pad)


def _product(inputs: list[list[int]], result: list[int]) -> Gemm | None:
    """Return the product of A, with rows as the result has them, and of B in any orientation.

    Constant weights that were packed are missing among the inputs: they are a matrix.
    """
    a = inputs[0]
    if not a or not result or a[:-1] != result[:-1]:
        return None
    batch = inputs[1][:-2] if len(inputs) > 1 else []
    return product(a, [*batch, a[-1], result[-1]])


_READERS: dict[str, Callable[[list[list[int]], list[int]], Problem | None]] = {
    "Conv": _convolution,
    "FusedConv": _convolution,
    "MatMul": _product,
    "FusedMatMul": _product,
    "Gemm": _product,
    "FusedGemm": _product,
}
