"""Files of bytes for tests: written, and computed by ONNX Runtime and by a chain of convprof."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as runtime

from convprof.networks.onnx import load
from convprof.problems import NetworkProblem
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import recipe_for
from convprof.strategies.networks.strategy import Chained
from convprof.studies.network.file_operands import operands_of

SETTING = Setting("nhwc", "u8:s8:s32", tune="off")
MICROSOFT = "com.microsoft"
f32 = np.float32


def write(path, nodes, shape, weights, *, opset=17):
    """Write a model of nodes (operator, inputs, output, attributes), the input x, the output y."""
    helper = onnx.helper
    protos = []
    for kind, inputs, outputs, attributes in nodes:
        domain = MICROSOFT if kind.startswith(("QGemm", "QLinear")) else ""
        domain = "" if kind in ("QLinearConv", "QLinearMatMul") else domain
        names = ["" if name == "-" else name for name in inputs.split()]
        proto = helper.make_node(kind, names, outputs.split(), domain=domain, **attributes)
        protos.append(proto)
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        protos,
        "graph",
        [helper.make_tensor_value_info("x", real, shape)],
        [helper.make_tensor_value_info("y", real, None)],
        [onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def of_runtime(path, x):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(path.read_bytes(), options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def of_chain(path, x=None):
    """Return the recipe, the types by layer, the input, and the results of both programs."""
    imported = load(path, {})
    real = operands_of(imported, 3, x)
    whole = NetworkProblem(imported.network, real)
    recipe = recipe_for(whole, fuse=True)
    choices = layer_choices(recipe, ("auto",), SETTING, "nhwc")
    prepared = Chained("chain", recipe, choices).prepare(whole, SETTING)
    laid_out = real.x.transpose(0, 2, 3, 1) if real.x.ndim == 4 else real.x
    prepared.bind(np.ascontiguousarray(laid_out), real.weights)
    prepared.run()
    y = prepared.output()
    y = y.transpose(0, 3, 1, 2) if whole.gives_image else y
    dtypes = {s.name: each for s, each in zip(recipe.steps, recipe.dtypes(SETTING), strict=True)}
    return recipe, dtypes, y.copy(), of_runtime(path, real.x), real
