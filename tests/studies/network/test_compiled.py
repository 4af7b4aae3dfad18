"""A compiled network computes what ONNX Runtime computes of the file, with the file's weights."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")

from onnx.reference import ReferenceEvaluator
from onnx_models import MODELS, Graph, two_inputs

import convprof
from convprof import errors
from convprof.networks.onnx import load
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained
from convprof.studies.network import saved_plan
from convprof.studies.network.plan import Plan


def store_plan(path, plan, outputs=(), threads=2):
    """Write a plan that was not measured: auto in every layer."""
    network, setting = load(path, {}, outputs).network, Setting("nchw", threads=threads, tune="off")
    recipe = Recipe(network, fuse=True)
    choices = layer_choices(recipe, ("auto",), setting, "nhwc")
    saved_plan.write(plan, saved_plan.to_json(network, Chained("auto", recipe, choices), setting))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the paths of a model and of a plan that was not measured, by the model's name."""
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for name, build in MODELS.items():
        path, plan = folder / f"{name}.onnx", folder / f"{name}.plan.json"
        path.write_bytes(build())
        store_plan(path, plan)
        paths[name] = path, plan
    return paths


@pytest.fixture(scope="module")
def compiled(files):
    """Return the compiled models by name; one is planned by measuring."""
    return {name: convprof.load(*paths) for name, paths in files.items()}


def inputs(model, seed=3):
    (shape,) = model.inputs.values()
    return {"x": np.random.default_rng(seed).standard_normal(shape, np.float32)}


@pytest.mark.parametrize("name", MODELS)
def test_same_results_as_the_runtime(files, compiled, name):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    model = compiled[name]
    session = runtime.InferenceSession(files[name][0].read_bytes())
    for seed in (3, 4):
        feeds = inputs(model, seed)
        (expected,) = session.run(None, feeds)
        results = model.run(feeds)
        assert {key: array.shape for key, array in results.items()} == model.outputs
        np.testing.assert_allclose(results["y"], expected, rtol=1e-4, atol=1e-5)
    assert 0 < model.max_rel_error < 1e-5


def test_an_array_without_its_name_is_refused_in_one_sentence(compiled):
    with pytest.raises(errors.ProblemError, match=r"mapping of names to arrays: \{'x': array\}"):
        compiled["vit"].run(np.zeros(3, np.float32))


def test_a_result_is_not_overwritten(compiled):
    model = compiled["vit"]
    first = model.run(inputs(model, 1))["y"]
    kept = first.copy()
    assert not np.array_equal(model.run(inputs(model, 2))["y"], kept)
    np.testing.assert_array_equal(first, kept)


def test_several_threads_and_several_models(compiled):
    expected = {
        (name, seed): model.run(inputs(model, seed))["y"]
        for name, model in compiled.items()
        for seed in (1, 2)
    }
    wrong = []

    def work(name, seed):
        for _ in range(20):
            y = compiled[name].run(inputs(compiled[name], seed))["y"]
            if not np.array_equal(y, expected[name, seed]):
                wrong.append((name, seed))

    threads = [threading.Thread(target=work, args=key) for key in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "the inputs are none; this network has 'x'"),
        ({"z": 1, 3: 2, None: 3}, "the inputs are '3', 'None', 'z'; this network has 'x'"),
        ({"z": np.zeros(1)}, "the inputs are 'z'; this network has 'x'"),
        ({"x": np.zeros((3, 8, 8))}, r"x has shape \(3, 8, 8\); this network needs \(1, 3, 8, 8\)"),
        ({"x": np.zeros((1, 3, 8, 8), complex)}, "x has the type complex128"),
    ],
)
def test_inputs_that_misfit(compiled, feeds, reason):
    with pytest.raises(errors.ProblemError, match=reason):
        compiled["vit"].run(feeds)


def test_numbers_of_other_types(compiled):
    model = compiled["vit"]
    whole = np.arange(192).reshape(1, 3, 8, 8) % 7
    expected = model.run({"x": whole.astype(np.float32)})["y"]
    for dtype in (np.uint8, np.int64, np.float64):
        np.testing.assert_array_equal(model.run({"x": whole.astype(dtype)})["y"], expected)


def test_a_measured_plan_is_stored_and_read(tmp_path):
    path = tmp_path / "small.onnx"
    g = Graph((1, 4, 6, 6))
    path.write_bytes(g.model(g.add("Relu", g.conv("x", 4, 8, 3, bias=True))))
    model = convprof.compile(path, threads=1, tune="off", budget_s=1e-4)
    model.save(tmp_path / "plan.json")
    again = convprof.load(path, tmp_path / "plan.json")
    assert again.setting.threads == 1
    again.save(tmp_path / "again.json")
    assert (tmp_path / "plan.json").read_text() == (tmp_path / "again.json").read_text()
    feeds = inputs(model)
    np.testing.assert_array_equal(model.run(feeds)["y"], again.run(feeds)["y"])


def test_several_inputs_and_results(tmp_path):
    """An image in each layout that a layer may have, a vector, and results of other shapes."""
    path, plan = tmp_path / "two.onnx", tmp_path / "plan.json"
    path.write_bytes(two_inputs())
    store_plan(path, plan, threads=1)
    model = convprof.load(path, plan)
    assert model.inputs == {"image": (1, 4, 6, 6), "side": (1, 8)}
    random = np.random.default_rng(2)
    feeds = {name: random.standard_normal(shape) for name, shape in model.inputs.items()}
    exact = {name: array.astype(np.float32) for name, array in feeds.items()}
    expected = ReferenceEvaluator(str(path)).run(None, exact)
    results = model.run(feeds)
    assert list(results) == list(model.outputs) == ["sum", "features"]
    for y, theirs in zip(results.values(), expected, strict=True):
        np.testing.assert_allclose(y, theirs, rtol=1e-4, atol=1e-5)
    again = model.run({name: -array for name, array in feeds.items()})
    assert not np.shares_memory(again["sum"], results["sum"])
    with pytest.raises(errors.ProblemError, match="the inputs are 'side'; this network has 'image"):
        model.run({"side": feeds["side"]})
    store_plan(path, plan, ["features"], 1)
    one = convprof.load(path, plan, output="features")
    assert (list(one.inputs), list(one.outputs)) == (["image"], ["features"])
    np.testing.assert_allclose(one.run({"image": exact["image"]})["features"], expected[1], 1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(convprof_plan=2), "this is not a plan of form 1"),
        (lambda d: d.update(threads=0), "an integer is below 1"),
        (lambda d: d.update(threads=1000), r"threads=1000: this machine has"),
        (lambda d: d.update(layout="chwn"), "unknown layout 'chwn'"),
        (lambda d: d.update(layers={}), "a list is missing"),
        (lambda d: d["layers"].pop(), "belongs to another model"),
        (lambda d: d["layers"][0].update(problem="conv"), "layer n0 is .*the plan belongs to"),
        (lambda d: d["layers"][0].update(strategy="tild"), "did you mean tiled"),
        (lambda d: d["layers"][0].update(strategy="winograd"), "layer n0: winograd"),
        (lambda d: d["layers"][0].update(blocking={"rows": 1}), "auto has no such blocking"),
        (lambda d: d["layers"][0].update(layout=3), "a text is missing"),
    ],
)
def test_plans_that_are_refused(files, tmp_path, change, reason):
    path, plan = files["resnet"]
    document = json.loads(plan.read_text())
    change(document)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    with pytest.raises(errors.InputError, match=rf"other\.json: .*({reason})"):
        convprof.load(path, other)


def test_a_plan_of_another_model(files):
    with pytest.raises(errors.InputError, match="it belongs to another model"):
        convprof.load(files["vit"][0], files["resnet"][1])


def test_files_that_cannot_be_read_or_written(files, compiled, tmp_path):
    with pytest.raises(errors.InputError, match=r"none\.json: cannot be read: No such file"):
        convprof.load(files["vit"][0], tmp_path / "none.json")
    with pytest.raises(errors.InputError, match=r"cannot be written: Is a directory"):
        compiled["vit"].save(tmp_path)


def test_a_plan_is_stored_completely_or_not_at_all(compiled, tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    path.write_text("the plan of yesterday")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(errors.InputError, match=r"plan\.json: cannot be written: No space left"):
        compiled["vit"].save(path)
    assert path.read_text() == "the plan of yesterday"
    assert [path] == list(tmp_path.iterdir())


def test_arguments_that_make_no_sense(files):
    path, _ = files["vit"]
    with pytest.raises(errors.InputError, match="threads=0"):
        convprof.compile(path, threads=0)
    with pytest.raises(errors.UnknownNameError, match="unknown tune 'fast'"):
        convprof.compile(path, tune="fast")


def test_the_memory_of_a_plan_is_given_back(files, monkeypatch):
    released = []
    monkeypatch.setattr(Plan, "release", lambda self: released.append(self.fastest()))
    monkeypatch.setattr(Plan, "events", lambda _: iter(()))
    with pytest.raises(errors.RefusedError, match="no plan: nothing was measured"):
        convprof.compile(files["vit"][0])
    assert released == [None]


def test_compile_computes_no_chain_for_the_errors_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("convprof.studies.network.plan.accuracies", None)
    path = tmp_path / "small.onnx"
    g = Graph((1, 4, 6, 6))
    path.write_bytes(g.model(g.add("Relu", g.conv("x", 4, 8))))
    assert convprof.compile(path, tune="off", budget_s=1e-4).max_rel_error < 1e-5
