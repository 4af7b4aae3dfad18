"""Files made with the onnx package's helpers, and what they become."""

from __future__ import annotations

import numpy as np
import pytest

OPSET = 17
_NEWEST = 23
"""The newest operator set that tests use; larger ones are there to be refused."""
_READS = {22: (1, 21), 23: (1, 23)}
"""By operator set, the first release of ONNX Runtime that computes it; unlisted: all that run."""


@pytest.fixture
def save(tmp_path):
    """Write a model; return its path. ``weights`` by name: an array, or a shape to draw."""
    onnx = pytest.importorskip("onnx", reason="needs the onnx package")
    helper = onnx.helper

    newest = onnx.defs.onnx_opset_version()

    def write(
        nodes,
        shape=(1, 3, 8, 8),
        weights=None,
        *,
        opset=OPSET,
        dtype=1,
        inputs=("x",),
        outputs=("y",),
        name="model",
        change=None,
    ):
        if newest < opset <= _NEWEST:
            pytest.skip(f"this onnx package reads operator sets up to {newest}")
        drawn = {
            key: np.ones(value, np.float32) if isinstance(value, tuple) else np.asarray(value)
            for key, value in (weights or {}).items()
        }
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(each, dtype, shape) for each in inputs],
            [helper.make_tensor_value_info(each, dtype, None) for each in outputs],
            [onnx.numpy_helper.from_array(array, key) for key, array in drawn.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        if change is not None:
            change(model)
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture
def imported(save):
    """Return what a model of these nodes becomes."""
    from convprof.networks.onnx import load

    def make(nodes, *args, dims=None, **kwargs):
        return load(save(nodes, *args, **kwargs), dims or {})

    return make


@pytest.fixture
def ops(imported):
    """Return the operations of the network that a model of these nodes becomes."""

    def make(*args, **kwargs):
        return [node.op for node in imported(*args, **kwargs).network.nodes]

    return make


@pytest.fixture
def node():
    """Return a node of a file: operator, inputs, outputs (one text each), attributes."""
    onnx = pytest.importorskip("onnx", reason="needs the onnx package")

    def make(kind, inputs, outputs="y", **attributes):
        return onnx.helper.make_node(kind, inputs.split(), outputs.split(), **attributes)

    return make


@pytest.fixture
def parsed(node):
    """Return the node of ``Kind inputs output key=1,2``; names of several outputs have commas."""

    def make(line):
        kind, *words = line.split()
        attributes = {}
        for word in [each for each in words if "=" in each]:
            key, _, text = word.partition("=")
            numbers = [int(each) for each in text.split(",")] if text[-1].isdigit() else text
            single = key in ("axis", "keepdims", "to", "transB")
            attributes[key] = numbers[0] if single else numbers
        *inputs, outputs = [each for each in words if "=" not in each]
        given = [name for each in inputs for name in each.split(",")]
        return node(kind, " ".join(given), outputs.replace(",", " "), **attributes)

    return make


@pytest.fixture
def same_as_runtime(save):
    """Compare the float64 reference of what a file becomes with ONNX Runtime on that file.

    A shape in ``weights`` is drawn. Returns the network.
    """
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    from convprof.networks.onnx import load

    def compare(nodes, shape, weights=None, *, positive=False, **kwargs):
        draw = np.random.default_rng(1)
        weights = {
            name: draw.standard_normal(each, np.float32) if isinstance(each, tuple) else each
            for name, each in (weights or {}).items()
        }
        path = save(
            nodes, shape, weights, change=lambda made: setattr(made, "ir_version", 8), **kwargs
        )
        imported = load(path, {})
        network = imported.network
        x = np.random.default_rng(0).standard_normal(shape, np.float32)
        x = np.abs(x) + np.float32(0.1) if positive else x
        release = tuple(int(part) for part in runtime.__version__.split(".")[:2])
        opset = kwargs.get("opset", OPSET)
        if release < _READS.get(opset, release):
            pytest.skip(f"ONNX Runtime {runtime.__version__} does not read operator set {opset}")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        session = runtime.InferenceSession(path.read_bytes(), options)
        (expected,) = session.run(None, {"x": x})
        made = network.reference(x.astype(np.float64), imported.weights())
        assert expected.shape == made.shape == network.output
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
        return network

    return compare
