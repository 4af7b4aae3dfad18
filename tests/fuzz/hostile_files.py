"""Hostile pictures, weights and ONNX files, and what reads them."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

from hostile_making import NUMBERS, mutated
from hypothesis import strategies as st

from convprof.dtypes import F32

if TYPE_CHECKING:
    from pathlib import Path


@functools.cache
def _pictures() -> list[bytes]:
    from PIL import Image

    picture = Image.new("RGB", (9, 5), "red")
    found = []
    for kind, mode in (
        *(("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "RGB")),
        *(("BMP", "RGB"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "F"), ("PPM", "RGB")),
    ):
        file = io.BytesIO()
        made = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
        made.save(file, kind)
        found.append(file.getvalue())
    return found


def pictures() -> st.SearchStrategy[bytes]:
    """Return pictures."""
    sizes = (
        b"\x00\x00\xff\xff",
        b"\x7f\xff\xff\xff",
        b"9999999999",
        b"IDAT",
        b"eXIf",
        b"P6 99999 9 255 ",
    )
    return mutated(_pictures(), sizes) | st.binary(max_size=40)


def read_picture(data: bytes, folder: Path) -> bool:
    """Read a picture."""
    from convprof.studies.show_features import picture

    path = folder / "picture"
    path.write_bytes(data)
    found = picture.read(str(path), 64)
    assert found.rgb.shape[0] == 3
    assert max(found.rgb.shape[1:]) <= 64
    return True


def weights() -> st.SearchStrategy[bytes]:
    """Return .npy files."""
    import numpy as np

    seeds = []
    for array in (
        np.ones((2, 3, 5, 5), np.float32),
        np.ones((1, 3, 3, 3), np.float64),
        np.asfortranarray(np.ones((2, 3, 3, 3), np.float16)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        seeds.append(file.getvalue())
    tokens = (b"'<f8'", b"'|O'", b"99999999", b"True", b"(", b"((((", b"'descr'", b"**9**9**9")
    return mutated(seeds, tokens) | st.binary(max_size=40)


def read_weights(data: bytes, folder: Path) -> bool:
    """Read the filters of a first layer."""
    from convprof.studies.show_features import first_layer

    path = folder / "w.npy"
    path.write_bytes(data)
    first_layer.read(str(path)).problem(64, 64)
    return True


@functools.cache
def _models() -> list[bytes]:
    return [_larger(), _image(), _padded(), _text()]


def _model(
    nodes: list[Any],
    shape: list[Any],
    tensors: dict[str, Any],
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
) -> bytes:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape) for x in inputs],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    data: bytes = made.SerializeToString()
    return data


def _ones(*shape: int) -> Any:
    import numpy as np

    return np.ones(shape, np.float32)


def _image() -> bytes:
    from onnx.helper import make_node as node

    image = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], group=1),
        node("BatchNormalization", ["a", "s", "s", "s", "v"], ["b"], epsilon=1e-5),
        node("Relu", ["b"], ["c"]),
        node("MaxPool", ["c"], ["d"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Concat", ["d", "d"], ["h"], axis=1),
        node("GlobalAveragePool", ["h"], ["m"]),
        node("Flatten", ["m"], ["n"], axis=1),
        node("Gemm", ["n", "u"], ["y"], transB=1, alpha=1.0),
    ]
    tensors = {"w": _ones(4, 3, 3, 3), "s": _ones(4), "v": _ones(4), "u": _ones(5, 8)}
    return _model(image, ["N", 3, 16, 16], tensors)


def _padded() -> bytes:
    import numpy as np
    from onnx.helper import make_node as node

    padded = [
        node("Pad", ["x", "p"], ["e"], mode="constant"),
        node("Slice", ["e", "i", "j", "k"], ["f"]),
        node("Conv", ["f", "w"], ["y"], pads=[0, 0, 0, 0]),
    ]
    numbers = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "i": np.array([0]),
        "j": np.array([3]),
        "k": np.array([1]),
        "w": _ones(4, 3, 3, 3),
    }
    return _model(padded, ["N", 3, 8, 8], numbers)


def _text() -> bytes:
    import numpy as np
    from onnx.helper import make_node as node

    text = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["a"]),
        node("Softmax", ["a"], ["b"], axis=-1),
        node("MatMul", ["b", "x"], ["c"]),
        node("Add", ["c", "x"], ["d"]),
        node("LayerNormalization", ["d", "g"], ["e"], axis=-1),
        node("Reshape", ["e", "r"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    tensors = {"g": _ones(8), "r": np.array([1, 4, 8]), "w": _ones(8, 3)}
    return _model(text, ["N", 4, 8], tensors)


def _larger() -> bytes:
    import numpy as np
    from onnx.helper import make_node as node

    larger = [
        node("Add", ["x", "z"], ["a"]),
        node("Resize", ["a", "", "i"], ["b"], mode="linear"),
        node("ConvTranspose", ["b", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], group=1),
        node("InstanceNormalization", ["c", "s", "s"], ["d"]),
        node("Elu", ["d"], ["e"], alpha=0.5),
        node("LogSoftmax", ["e"], ["y"], axis=1),
        node("PRelu", ["z", "o"], ["v"]),
    ]
    factors = {"i": np.array([1, 1, 1.5, 2], np.float32), "w": _ones(3, 4, 3, 4), "s": _ones(4)}
    return _model(larger, ["N", 3, 5, 4], {**factors, "o": _ones(1)}, ("x", "z"), ("y", "v", "a"))


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Draw a model with fields changed as only a program would, or bytes as only a disk would."""
    import onnx

    data = draw(st.sampled_from(_models()))
    if draw(st.integers(0, 3)) == 0:
        return draw(mutated([data]))
    model = onnx.load_model_from_string(data)
    for _ in range(draw(st.integers(1, 4))):
        _change(draw, model)
    changed: bytes = model.SerializeToString()
    return changed


LARGE = NUMBERS.filter(lambda number: abs(number) < 2**63)
KINDS = (
    *("Conv", "Relu", "Add", "MatMul", "Gemm", "Concat", "Split", "Reshape", "Gather", "Cast"),
    *("Constant", "ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Identity", "Shape"),
    *("Slice", "Pad", "Sum", "Softmax", "Transpose", "Unsqueeze", "Clip", "If", "Nosuch", "Div"),
    *("ConvTranspose", "InstanceNormalization", "Elu", "LogSoftmax", "ArgMax", "GRU", "Einsum"),
)


def _change(draw: st.DrawFn, model: Any) -> None:
    graph = model.graph
    what = draw(st.sampled_from(["attribute", "kind", "edge", "tensor", "data", "shape", "opset"]))
    node = draw(st.sampled_from(list(graph.node)))
    tensor = draw(st.sampled_from(list(graph.initializer)))
    if what == "attribute" and node.attribute:
        attribute = draw(st.sampled_from(list(node.attribute)))
        attribute.i = draw(LARGE)
        attribute.f = draw(st.floats(width=32))
        del attribute.ints[:]
        attribute.ints.extend(draw(st.lists(LARGE, max_size=6)))
        if draw(st.booleans()):
            attribute.type = draw(st.integers(0, 14))
    elif what == "kind":
        node.op_type = draw(st.sampled_from(KINDS))
    elif what == "edge" and node.input:
        names = [each for other in graph.node for each in (*other.input, *other.output)]
        node.input[draw(st.integers(0, len(node.input) - 1))] = draw(st.sampled_from([*names, ""]))
    elif what == "tensor":
        tensor.dims[:] = draw(st.lists(LARGE, max_size=5))
    elif what == "data":
        tensor.data_type = draw(st.integers(0, 23))
        tensor.raw_data = draw(st.binary(max_size=80))
    elif what == "shape":
        shape = graph.input[0].type.tensor_type.shape
        dim = draw(st.sampled_from(list(shape.dim)[1:]))
        dim.dim_value = draw(LARGE)
    elif what == "opset":
        model.opset_import[0].version = draw(LARGE)


MOST_WEIGHTS = 1 << 20


def read_model(data: bytes, folder: Path) -> bool:
    """Read the nodes of a model; import it, count it, and read its weights if they are small."""
    from convprof.networks.onnx import load
    from convprof.networks.onnx.model_nodes import model_nodes

    path = folder / "m.onnx"
    path.write_bytes(data)
    for node in model_nodes(path):
        problem = node.problem()
        assert problem is None or problem.macs > 0
    imported = load(path, {"N": 1})
    assert imported.network.macs >= 0
    assert imported.network.bytes_min(F32) > 0
    if imported.weight_elements < MOST_WEIGHTS:
        imported.weights()
    return True
