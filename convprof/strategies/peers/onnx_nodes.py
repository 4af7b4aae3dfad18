"""Models of one node, and sessions of ONNX Runtime."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import find
from convprof.problems.tensors import TensorSpec
from convprof.strategies.peers import onnx_grouped
from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]

OPSET, IR_VERSION = 13, 8
"""The opset of the present Conv and MatMul; ONNX Runtime reads it since version 1.10."""
MICROSOFT = "com.microsoft"
"""ONNX Runtime's own operators."""
_OF_MICROSOFT = frozenset((onnx_grouped.OPERATOR,))
BF16_PRODUCTS = "mlas.enable_gemm_fastmath_arm64_bfloat16"
"""Whether products of f32 may be computed in bf16 on Arm; versions that lack it ignore it."""
ERRORS_ONLY = 3
"""The lowest severity that ONNX Runtime writes to stderr."""


def one_node(
    onnx: Any,
    operator: str,
    attributes: dict[str, Any],
    constants: dict[str, Array],
    ends: tuple[TensorSpec, TensorSpec],
) -> bytes:
    """Return the model of one operator. ``constants``: the operands after the input, by name.

    ``ends``: input and result.
    """
    helper = onnx.helper
    domain = MICROSOFT if operator in _OF_MICROSOFT else ""
    inputs, results = (
        [helper.make_tensor_value_info(name, _element(helper, spec), spec.shape)]
        for name, spec in zip("xy", ends, strict=True)
    )
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *constants], ["y"], domain=domain, **attributes)],
        "convprof",
        inputs,
        results,
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised


def _element(helper: Any, spec: TensorSpec) -> Any:
    return helper.np_dtype_to_tensor_dtype(spec.dtype.array_type)


def session(library: Any, model: bytes | str, threads: int, optimised: str = "") -> Any:
    """Return a session on exactly ``threads`` threads, including the calling thread.

    Its threads spin for about 40 ms after a call, which is the default: this makes successive calls
    fast. Between contestants the sampler waits until the threads sleep. ``optimised``: a file for
    the model that is executed.
    """
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry(BF16_PRODUCTS, "0")
    if optimised:
        options.optimized_model_filepath = optimised
    return library.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bound(
    session: Any, inputs: Mapping[str, Array], results: Mapping[str, Array]
) -> Callable[[], None]:
    """Return the call that runs a session on named arrays, in place."""
    binding = session.io_binding()
    for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, results)):
        for name, array in arrays.items():
            bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    return lambda: session.run_with_iobinding(binding)


_SIDE = 4
"""Rows and columns of the product, or channels and pixels of the image, of a trial."""


@functools.cache
def converts(operator: str, dtype: str) -> bool:
    """Whether ONNX Runtime computes Conv or MatMul of a float type in f32, between conversions.

    ONNX Runtime writes the model that is executed: a small one shows whether it has conversions.
    """
    of = find(dtype)
    if of.is_exact or of.has_fma:
        return False
    onnx, library = load("onnx"), load("onnxruntime")
    shape = (_SIDE, _SIDE) if operator == "MatMul" else (1, _SIDE, _SIDE, _SIDE)
    weights = np.zeros((_SIDE, _SIDE, *[1] * (len(shape) - 2)), of.array_type)
    ends = TensorSpec("x", shape, None, of), TensorSpec("y", shape, None, of)
    model = one_node(onnx, operator, {}, {"w": weights}, ends)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "executed.onnx")
        session(library, model, 1, path)
        executed = onnx.load(path)
    return any(node.op_type == "Cast" for node in executed.graph.node)
