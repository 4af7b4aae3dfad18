"""PyTorch modules, and functions of a user's script that return them."""

from __future__ import annotations

import sys
import tempfile

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("onnx", reason="needs the onnx package")

import convprof  # noqa: E402
from convprof import cli, errors  # noqa: E402
from convprof.networks.onnx.from_torch import from_module, from_script  # noqa: E402

SCRIPT = """
import torch
from torch import nn

if __name__ == "__main__":
    raise SystemExit("this must not run")

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))

def pair():
    torch.manual_seed(0)
    return Block(), torch.zeros(2, 3, 8, 8)

def alone():
    return nn.Conv2d(3, 4, 7, stride=4)

def number():
    return 3

def broken():
    raise ValueError("first line\\nsecond line")

def quits():
    raise SystemExit(3)

value = 3
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(SCRIPT)
    return str(path)


def test_the_weights_of_a_module(script):
    imported = from_script(script, "pair")
    assert (imported.network.name, imported.network.input) == ("pair", (2, 3, 8, 8))
    sys.path.insert(0, script.removesuffix("/my_model.py"))
    module, _ = sys.modules["my_model"].pair()
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(x)).numpy()
    y = imported.network.reference(x, imported.weights())
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_a_module_alone_has_the_usual_input(script):
    assert from_script(script, "alone").network.output == (1, 4, 55, 55)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("number", r"number\(\) returned 'int'; it must return a module"),
        ("broken", "the script raised ValueError: first line second line"),
        ("quits", "the script raised SystemExit: 3"),
        ("nothing", "it has no function nothing"),
        ("value", "it has no function value"),
    ],
)
def test_what_is_refused(script, function, said):
    with pytest.raises(errors.InputError, match=said) as error:
        from_script(script, function)
    assert "\n" not in str(error.value)


def test_no_script(tmp_path):
    with pytest.raises(errors.InputError, match="there is no such Python script"):
        from_script(str(tmp_path / "none.py"), "pair")
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    with pytest.raises(errors.InputError, match="the script raised SyntaxError"):
        from_script(str(broken), "f")


def test_a_module_stays_in_training_mode():
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout())
    imported = from_module(module, torch.zeros(2, 4))
    assert module.training
    assert [node.op.kind for node in imported.network.nodes] == ["linear"]
    with pytest.raises(errors.InputError, match="'list' is not a module of PyTorch"):
        from_module([], torch.zeros(2))


def test_every_part_of_a_module_keeps_its_mode():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout())
    module[1].eval()
    from_module(module, torch.zeros(2, 4))
    assert [part.training for part in module.modules()] == [True, True, False]


class Two(torch.nn.Module):
    def forward(self, a, b):
        return {"sum": a + b, "others": (a * 2, None, torch.relu(b))}


def test_several_inputs_and_results():
    a, b = torch.randn(2, 4), torch.randn(2, 4)
    imported = from_module(Two(), (a, b))
    assert list(imported.inputs.shapes) == ["x0", "x1"]
    x = imported.inputs.join({"x0": a.numpy(), "x1": b.numpy()})
    y = imported.outputs.split(imported.network.reference(x, {}))
    for name, expected in {"y0": a + b, "y1": a * 2, "y2": torch.relu(b)}.items():
        np.testing.assert_allclose(y[name], expected.numpy(), rtol=1e-6)
    assert list(from_module(Two(), (a, b), "two", ["y2"]).outputs.shapes) == ["y2"]


class Counting(torch.nn.Module):
    def __init__(self, more):
        super().__init__()
        self.more, self.calls = more, 0

    def forward(self, x):
        self.calls += 1
        return torch.relu(x), self.more


@pytest.mark.parametrize("more", [3.0, "text", 2, None])
def test_results_that_are_no_tensors_have_no_name(monkeypatch, more):
    named = []

    def export(*_, output_names, **__):
        named.append(output_names)
        raise RuntimeError("no file")

    monkeypatch.setattr(torch.onnx, "export", export)
    module = Counting(more)
    with pytest.raises(errors.InputError, match="no file"):
        from_module(module, torch.zeros(2, 4))
    assert named == [["y"], ["y"]]
    assert module.calls == 1


def test_the_result_has_a_name_of_its_own():
    assert [*from_module(torch.nn.Linear(4, 4), torch.zeros(2, 4)).outputs.shapes] == ["y"]


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Return the folder in which exports make theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_files_are_deleted_with_their_networks(folders):
    class Tangent(torch.nn.Module):  # opaque in both files
        def forward(self, x):
            return x.tan()

    module = torch.nn.Sequential(torch.nn.Linear(4, 4), Tangent())
    first = from_module(module, torch.zeros(5, 2, 4))
    assert [first.path] == list(folders.glob("*/*.onnx"))
    second = from_module(torch.nn.Linear(4, 4), torch.zeros(2, 4))
    assert first.path.exists()
    assert second.path.exists()
    assert second.weights()
    del first, second
    assert not list(folders.glob("convprof-*"))


def test_files_of_failed_exports_are_deleted(folders):
    with pytest.raises(errors.InputError, match="PyTorch cannot export it"):
        from_module(torch.nn.Linear(4, 4), torch.zeros(2, 5))
    assert not list(folders.glob("convprof-*"))


def test_a_script_that_changes_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["first", "second"])
    script = tmp_path / "own.py"
    script.write_text("import sys\nsys.path.insert(0, 'own')\ndef broken(): raise ValueError\n")
    with pytest.raises(errors.InputError):
        from_script(str(script), "broken")
    assert sys.path == ["own", "first", "second"]


def test_exporters_that_fail(monkeypatch):
    tried = []

    def export(*_, dynamo, **__):
        tried.append(dynamo)
        raise RuntimeError("no\nsuch operator")

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(errors.InputError, match="PyTorch cannot export it: RuntimeError: no such"):
        from_module(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    assert tried == [False, True]


def test_a_compiled_module():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Sigmoid())
    model = convprof.from_torch(module, torch.zeros(2, 4), tune="off", budget_s=1e-4)
    x = np.random.default_rng(0).standard_normal((2, 4), np.float32)
    (y,) = model.run({"x": x}).values()
    np.testing.assert_allclose(y, module(torch.from_numpy(x)).detach().numpy(), rtol=1e-5)


def test_the_command(script, capsys):
    assert cli._status(["network", f"{script}:pair", "--summary"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("pair · input 2x3x8x8 · 5 layers")
    assert "weights are not read" in err
    assert cli._status(["network", f"{script}:pair", "--summary", "--dim", "n=1"]) == 2
    assert "--dim is for ONNX files; a script's example input" in capsys.readouterr().err
    assert cli._status(["network", f"{script}:number", "--summary"]) == 2
    assert "Traceback" not in capsys.readouterr().err
