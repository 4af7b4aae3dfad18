"""`convprof network model.onnx` as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convprof import cli

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
helper = onnx.helper


@pytest.fixture
def model(tmp_path):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv1")],
        "graph",
        [info("x", 1, ("batch", 3, 8, 8))],
        [info("y", 1, None)],
        [onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")],
    )
    path = tmp_path / "small.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def run(capsys, *words):
    status = cli._status(["network", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_summary(model, capsys):
    status, out, err = run(capsys, model, "--summary", "--dim", "batch=2")
    assert status == 0
    assert out.startswith("small · input 2x3x8x8 · 1 layer")
    assert "conv1" in out
    assert err == "note: weights are not read: they are drawn from the seed\n"


def test_json_and_quiet(model, capsys):
    words = [model, "--summary", "--dim", "batch=1", "--quiet", "--json", "-"]
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert json.loads(out)["network"]["totals"]["macs"] == 4 * 36 * 27


def test_a_file_of_another_name(model, capsys):
    other = model.rename(model.with_name("network.bin"))
    assert run(capsys, other, "--summary", "--dim", "batch=1")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "set batch, e.g. --dim batch=1"),
        (["--mb", 2], "--mb is for the networks of --list; an ONNX file's open dimensions"),
        (["--image", 9], "--image is for the networks of --list"),
        (["--dim", "batch"], "--dim 'batch': write NAME=SIZE, such as --dim batch=1"),
        (["--dim", "=1"], "--dim '=1': write NAME=SIZE"),
        (["--dim", "batch=-1"], "--dim 'batch=-1': write NAME=SIZE"),
        (
            ["--dim", "batch=1,H=33"],
            "--dim 'batch=1,H=33': one --dim each: --dim batch=1 --dim H=33",
        ),
        (["--dim", f"batch={'9' * 20}"], "use a size between 1 and 2147483647"),
        (["--dim", f"batch={'9' * 5000}"], "use a size between 1 and 2147483647"),
        (["--dim", "batch=0"], "--dim 'batch=0': use a size between 1 and 2147483647"),
        (["--dim", "batch=1", "--dim", "batch=2"], "'batch' is set twice"),
        (["--dim", "N=1"], "open dimensions: batch"),
    ],
)
def test_bad_input(model, capsys, words, said):
    status, out, err = run(capsys, model, "--summary", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.onnx", "none.onnx: cannot read it: No such file"),
        ("nul\0.onnx", "this cannot be a file's name"),
        ("x" * 5000 + ".onnx", "cannot read it"),
    ],
)
def test_no_file(capsys, name, said):
    status, _, err = run(capsys, name, "--summary")
    assert status == 2
    assert said in err


def test_networks_have_no_dims(capsys):
    status, _, err = run(capsys, "resnet50", "--summary", "--dim", "batch=1")
    assert status == 2
    assert "--dim batch=1 is for ONNX files; resnet50 takes --image and --mb" in err
    assert run(capsys, "--list", "--dim", "batch=1")[0] == 2


def test_a_name_that_is_neither(capsys):
    status, _, err = run(capsys, "resnet51", "--summary")
    assert status == 2
    assert "unknown network 'resnet51'" in err


QUICK = ("-t", 1, "--tune", "off", "--budget", 1e-3)


def test_real_weights(model, tmp_path, capsys):
    x = tmp_path / "x.npy"
    np.save(x, np.full((3, 8, 8), 0.5))
    words = [model, "--dim", "batch=1", "--real-weights", "--input", x, *QUICK]
    status, out, err = run(capsys, *words, "--json", tmp_path / "out.json")
    assert (status, "weights are not read" in err) == (0, False)
    assert "error on the file's weights, max|y - y64| / max|y64|: chain 0.0e+00, Winograd" in out
    document = json.loads((tmp_path / "out.json").read_text())
    names = [each["name"] for each in document["networks"][0]["accuracy"]]
    assert names[:2] == ["chain", "Winograd in 1 layer"]
    assert names[2:] in ([], ["ONNX Runtime on the file"])


@pytest.fixture
def of_bytes(tmp_path):
    """Return a file of two convolutions in bytes: the second one's weights have a zero point."""
    info, node = helper.make_tensor_value_info, helper.make_node
    draw = np.random.default_rng(0)
    weights = {
        "s": np.float32(0.1), "z": np.uint8(128), "t": np.float32(0.4), "ws": np.float32(0.01),
        "w": draw.integers(-127, 127, (8, 3, 3, 3), dtype=np.int8), "wz": np.int8(0),
        "v": draw.integers(0, 255, (8, 8, 1, 1), dtype=np.uint8), "vz": np.uint8(99),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            node("QuantizeLinear", ["x", "s", "z"], ["a"]),
            node("QLinearConv", ["a", "s", "z", "w", "ws", "wz", "s", "z"], ["b"], name="first"),
            node("QLinearConv", ["b", "s", "z", "v", "ws", "vz", "t", "z"], ["c"], name="second"),
            node("DequantizeLinear", ["c", "t", "z"], ["y"]),
        ],
        "graph",
        [info("x", 1, (1, 3, 8, 8))],
        [info("y", 1, None)],
        [onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in weights.items()],
    )
    path = tmp_path / "bytes.onnx"
    opsets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


def test_a_file_of_bytes(of_bytes, tmp_path, capsys):
    words = [of_bytes, "--dtype", "int8", "--fuse", "--real-weights", *QUICK]
    status, out, err = run(capsys, *words, "--json", tmp_path / "out.json")
    assert status == 0
    assert "note: 3 x rounding to bytes: f32 here, or the file's bytes in int8" in err
    reason = "the weights have a zero point, and are not signed bytes without it"
    assert f"In f32 because {reason}: second." in out
    (network,) = json.loads((tmp_path / "out.json").read_text())["networks"]
    assert network["widened"] == ["second"]
    assert network["reasons"] == [{"name": "second", "reason": reason}]
    assert cli._status(["show", str(tmp_path / "out.json")]) == 0
    assert f"In f32 because {reason}: second." in capsys.readouterr().out
    errors = {each["name"]: each["max_rel_error"] for each in network["accuracy"]}
    assert errors["chain"] < 0.05
    assert errors.get("chain against ONNX Runtime on the file", 0) < 0.05


def test_a_plan_on_real_weights(model, capsys):
    words = [model, "--dim", "batch=1", "--real-weights", "--plan", *QUICK]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "error on the file's weights, max|y - y64| / max|y64|: optimal " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "x.npy"], "--input x.npy needs --real-weights"),
        (["--real-weights", "--input", "none.npy"], "none.npy: cannot be read: No such file"),
        (["--real-weights", "--summary"], "--summary measures nothing: leave out --real-weights"),
        (["--real-weights", "--pass", "training"], "--real-weights is for running the whole"),
    ],
)
def test_real_weights_that_make_no_sense(model, capsys, words, said):
    status, out, err = run(capsys, model, "--dim", "batch=1", *words)
    assert (status, out) == (2, "")
    assert said in err


def test_a_network_of_the_list_has_no_weights(capsys):
    status, _, err = run(capsys, "lenet5", "--real-weights")
    assert status == 2
    assert "--real-weights is for ONNX files; lenet5 has no weights" in err


def test_one_of_several_outputs(tmp_path, capsys):
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Tanh", ["a"], ["b"])]
    outputs = [info(name, 1, None) for name in "ab"]
    graph = helper.make_graph(nodes, "graph", [info("x", 1, (2, 3))], outputs)
    path = tmp_path / "two.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    status, out, err = run(capsys, path, "--summary")
    assert (status, "2 outputs, one after the other in one row: a 2x3, b 2x3" in err) == (0, True)
    assert "outputs  " in out
    assert "1 layer" in run(capsys, path, "--summary", "--output", "a")[1]
    assert "--output q is for ONNX files" in run(capsys, "lenet5", "--output", "q")[2]
