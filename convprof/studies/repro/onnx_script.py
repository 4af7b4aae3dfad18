"""Programs with a model of one node, computed by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import types
from convprof.problems.onnx_conv import all_attributes
from convprof.studies.repro.scripts import program

if TYPE_CHECKING:
    from convprof.studies.repro.call import ReproCall

_IMPORTS = ("numpy as np", "onnx", "onnxruntime", "onnx.numpy_helper")
_OPSET, _IR_VERSION = 13, 8


def operator(call: ReproCall) -> tuple[str, dict[str, object]]:
    """Return ONNX's operator of a convolution or a product, and its attributes."""
    p = call.problem
    if p.kind == "gemm":
        return "MatMul", {}
    return "Conv", all_attributes(p)


def onnxruntime(call: ReproCall) -> str:
    """Return a program that builds the model and runs it in place."""
    name, attributes = operator(call)
    body = f"""
helper = onnx.helper
element = helper.np_dtype_to_tensor_dtype(x.dtype)
y = aligned(np.zeros({_result(call)}, x.dtype))
graph = helper.make_graph(
    [helper.make_node("{name}", ["x", "w"], ["y"], **{attributes})],
    "repro",
    [helper.make_tensor_value_info("x", element, x.shape)],
    [helper.make_tensor_value_info("y", element, y.shape)],
    [onnx.numpy_helper.from_array(w, "w")],
)
opsets = [helper.make_opsetid("", {_OPSET})]
model = helper.make_model(graph, opset_imports=opsets, ir_version={_IR_VERSION})
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = THREADS
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
)
binding = session.io_binding()
binding.bind_input("x", "cpu", 0, x.dtype.type, x.shape, x.ctypes.data)
binding.bind_output("y", "cpu", 0, y.dtype.type, y.shape, y.ctypes.data)
calls = {{"{name}": lambda: session.run_with_iobinding(binding)}}
"""
    return program(call, _IMPORTS, ("x", "w"), body)


def _result(call: ReproCall) -> tuple[int, ...]:
    return tuple(call.problem.result("nchw", types(call.dtype)).shape)
