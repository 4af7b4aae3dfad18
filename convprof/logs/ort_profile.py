"""A profile of ONNX Runtime: an event per node and run, in whole microseconds.

A profile has no strides, pads and groups, so that a convolution is a name and a time here. Source:
``core/framework/sequential_executor.cc`` and ``core/common/profiler.cc`` of ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.logs.onednn_shapes import product
from convprof.logs.operation import Call, Operation, is_time, number, word

if TYPE_CHECKING:
    from convprof.logs.operation import Reading
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
_Tensor = tuple[str, list[int]]


def call_of(event: dict[str, Any], reading: Reading) -> Call | None:
    """Return the call of an event; None for what is no work, or part of another event."""
    name, duration = event.get("name"), number(event.get("dur"))
    if not isinstance(name, str) or duration is None:
        reading.foreign += 1
        return None
    seconds = duration * _MICRO
    if not is_time(seconds):
        reading.unread += 1
        return None
    if event.get("cat") == "Session":
        return _session(name, seconds, reading)
    return _node(name, seconds, event, reading)


def _session(name: str, seconds: float, reading: Reading) -> Call | None:
    if name in _CREATION or name.startswith(_MODEL):
        return Call(Operation(LIBRARY, "session", word(name)), seconds, "creation")
    reading.nested += 1  # a whole run: its nodes are counted
    return None


def _node(name: str, seconds: float, event: dict[str, Any], reading: Reading) -> Call | None:
    arguments = event.get("args")
    kind = arguments.get("op_name") if isinstance(arguments, dict) else None
    if not isinstance(arguments, dict) or not isinstance(kind, str) or not name.endswith(_END):
        reading.foreign += 1  # the fences of older versions, and the calls of the interface
        return None
    if kind in _CONTAINERS:
        reading.nested += 1
        return None
    return Call(_operation(kind, name.removesuffix(_END), arguments), seconds, "execution")


def _operation(kind: str, name: str, arguments: dict[str, Any]) -> Operation:
    tensors = _tensors(arguments.get("input_type_shape"))
    types = tensors[0][0] if tensors else ""
    problem = _product(kind, tensors, _tensors(arguments.get("output_type_shape")))
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
    found = []
    for item in value[:_MOST_TENSORS] if isinstance(value, list) else ():
        for dtype, shape in list(item.items())[:1] if isinstance(item, dict) else ():
            sizes = shape[:_MOST_DIMS] if isinstance(shape, list) else []
            if all(isinstance(size, int) for size in sizes):
                found.append((dtype, sizes))
    return found


def _product(kind: str, inputs: list[_Tensor], results: list[_Tensor]) -> Gemm | None:
    """Return the product of a ``MatMul``; a ``Gemm`` may be transposed, which a profile lacks.

    Constant weights that were packed are missing among the inputs: they are a matrix.
    """
    if kind != "MatMul" or not inputs or not results:
        return None
    a, result = inputs[0][1], results[0][1]
    if not a or not result or a[:-1] != result[:-1]:
        return None
    try:
        return product(a, inputs[1][1] if len(inputs) > 1 else [a[-1], result[-1]])
    except InputError:
        return None
