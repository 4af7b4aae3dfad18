"""Plans of tiny networks, measured for real but in next to no time."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from convprof.errors import RefusedError, TooLargeError, UnknownNameError
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Linear
from convprof.results import plain
from convprof.stats import Ratio
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained
from convprof.studies.network import plan as plan_module
from convprof.studies.network.assign import Route
from convprof.studies.network.options import Options
from convprof.studies.network.plan import Plan, as_written, chains
from convprof.studies.network.planned import Standing

OPTIONS = Options((), tune="off", fuse=True)
NAMES = {"optimal", "greedy", "all nchw", "all nhwc", "as written"}


def planned(network, settings, options=OPTIONS):
    plan = Plan(NetworkProblem(network), options, settings, None)
    for _ in plan.events():
        pass
    return plan


def test_the_layers_follow_the_fastest_measured_chain(residual, settings, monkeypatch):
    plan = planned(residual, settings)
    layouts = {c.name: {choice.layout for choice in c.strategy.choices} for c in plan.chosen}
    other = next(name for name in layouts if name not in {"optimal", "as written"})

    def standings(faster):
        low = 0.5 if faster else 0.9
        ratio = Ratio(low, low - 0.01, low + 0.01 if faster else 1.1, 25)
        m = next(s.measurement for s in plan._standings() if s.name == other)
        m = replace(m, doubt=None)
        return [Standing("optimal", (), False, 1e-3, 0, m, None),
                Standing(other, (), False, 1e-3, 0, m, ratio)]  # fmt: skip

    for faster, name in ((True, other), (False, "optimal")):
        found = standings(faster)
        with monkeypatch.context() as patched:
            patched.setattr(plan, "_standings", lambda found=found: found)
            result = plan.result()
        assert (result.chosen, result.fastest.name) == (name, name)
        assert {layer.choice.layout for layer in result.layers} == layouts[name]
        assert result.to_json()["chosen"] == name


def names_of(found):
    return {name for s in found.standings for name in (s.name, *s.also)}


def test_a_plan_from_layers_to_chains(residual, settings, monkeypatch):
    built = []
    monkeypatch.setattr(
        plan_module, "as_written", lambda *args: built.append(args) or as_written(*args)
    )
    found = planned(residual, settings).result()
    assert len(built) == 1
    assert [layer.step.name for layer in found.layers] == [
        "stem", "conv0", "conv1", "pool", "flatten", "fc",
    ]  # fmt: skip
    assert names_of(found) == NAMES
    assert found.excluded == []
    assert {s.measurement.max_rel_error < 1e-5 for s in found.standings} == {True}
    ranks = [s.measurement.rank for s in found.standings]
    assert ranks == sorted(ranks)
    assert found.optimal.ratio is None
    others = [s for s in found.standings if s is not found.optimal]
    assert all(s.ratio.rounds == 6 for s in others)
    known = [s.predicted_s for s in found.standings if s.predicted_s is not None]
    assert min(known) == found.optimal.predicted_s
    text = json.dumps(plain(found.to_json()), allow_nan=False)
    assert json.loads(text)["kind"] == "plan"


def test_a_plan_in_bytes(residual, settings):
    options = replace(OPTIONS, dtype="u8:s8:s32")
    found = planned(residual, settings, options).result()
    assert names_of(found) == NAMES - {"as written"}
    assert found.excluded == []
    assert all(s.measurement.max_rel_error < 0.03 for s in found.standings)
    dtypes = [layer.choice.dtype for layer in found.layers]
    assert dtypes == recipe_types(residual, options)
    assert "u8:s8:u8" in dtypes
    assert "input to u8" in found.planned_conversions
    assert not [name for name in found.planned_layouts if name.endswith("u8")]


def recipe_types(network, options):
    return Recipe(network, fuse=True).dtypes(options.setting)


def test_the_layers_say_how_they_are_computed(residual, settings):
    layers = {layer.step.name: layer for layer in planned(residual, settings).result().layers}
    conv = layers["conv0"]
    assert conv.strategy == conv.choice.strategy
    assert conv.blocking
    assert conv.layout == conv.choice.layout
    assert set(conv.fastest) == {"nchw", "nhwc"}
    assert conv.seconds == conv.fastest[conv.layout][1]
    assert (layers["fc"].layout, layers["fc"].fastest) == (None, {})
    assert layers["pool"].strategy == "vectors"
    assert layers["flatten"].seconds == 0


def test_what_was_measured_survives_the_release_of_its_memory(residual, settings):
    plan = planned(residual, settings)
    probes = [m for m in plan.measurements() if m.strategy.startswith("probe ")]
    assert probes
    assert all(m.phases["conv0"] > 0 for m in probes)
    assert all(not hasattr(participant, "prepared") for participant in plan.alone.participants)


def test_a_network_without_images(features, settings):
    found = planned(features, settings).result()
    assert [layer.fastest for layer in found.layers] == [{}, {}]
    assert found.conversions == []
    assert names_of(found) == NAMES
    # Nothing has a layout: all routes are the same.
    assert {s.name for s in found.standings} == {"optimal", "as written"}


def test_a_single_node(settings):
    net = Builder()
    net.add("fc", Linear(5))
    found = planned(Network("one", (2, 4), tuple(net.nodes)), settings).result()
    assert [layer.step.name for layer in found.layers] == ["fc"]


def test_routes_that_are_the_same_are_run_once(residual):
    recipe = Recipe(residual, fuse=True)
    choices = tuple(LayerChoice("auto", "nhwc") for _ in recipe.steps)
    other_layout = (
        *choices[:-1],
        LayerChoice("auto", "nchw"),
    )  # of the linear layer, which has no layout
    other = tuple(replace(choice, layout="nchw") for choice in choices)
    routes = {
        "a": Route(choices, 1.0),
        "b": Route(other_layout, 1.5),
        "c": Route(other, float("inf")),
    }
    found = chains(recipe, routes, OPTIONS, as_written(recipe, OPTIONS))
    assert [(item.name, item.also, item.predicted_s) for item in found] == [
        ("a", ("b",), 1.0), ("c", (), None), ("as written", (), None),
    ]  # fmt: skip
    assert found[0].conversions == ()
    assert len(found[1].conversions) == 1  # of the input; the result has no layout


def interrupted(network, settings, after):
    plan = Plan(NetworkProblem(network), OPTIONS, settings, None)
    list(itertools.islice(plan.events(), after))
    return plan.result()


def test_interrupted_before_the_plan(residual, settings):
    for after in (0, 2, 40):
        found = interrupted(residual, settings, after)
        assert (found.layers, found.standings, found.optimal) == ([], [], None)


def test_interrupted_while_the_chains_run(residual, settings):
    plan = Plan(NetworkProblem(residual), OPTIONS, settings, None)
    events = plan.events()
    while plan.together is None:
        next(events)
    assert plan.result().layers
    assert plan.result().standings == []
    while not plan.result().standings:
        next(events)
    assert len(plan.result().standings) == 1
    events.close()
    assert plan.result().to_json()["chains"]


def refusing(monkeypatch, refused):
    prepare = Chained.prepare

    def checked(self, problem, setting):
        if refused(self.name):
            raise TooLargeError(f"{self.name} needs 3 TiB")
        return prepare(self, problem, setting)

    monkeypatch.setattr(Chained, "prepare", checked)


def test_a_probe_that_does_not_fit_leaves_the_others(residual, settings, monkeypatch):
    refusing(monkeypatch, lambda name: name == "probe nchw 1")
    found = planned(residual, settings, replace(OPTIONS, tune="quick")).result()
    assert [m.reason for m in found.excluded] == ["probe nchw 1 needs 3 TiB"]
    assert found.layers
    assert names_of(found) == NAMES


def test_no_probe_fits(residual, settings, monkeypatch):
    refusing(monkeypatch, lambda name: name.startswith("probe"))
    with pytest.raises(RefusedError, match=r"residual of 1x3x8x8: no plan: probe nchw 1 needs 3 T"):
        planned(residual, settings)


def test_wrong_everywhere_is_no_plan(residual, settings, monkeypatch):
    monkeypatch.setattr("convprof.measure.session.max_rel_error", lambda *_: 1.0)
    found = planned(residual, settings).result()
    assert (found.layers, found.standings) == ([], [])
    assert {m.status for m in found.excluded} == {"wrong"}


def test_unknown_libraries_are_refused_beforehand(residual, settings):
    with pytest.raises(UnknownNameError, match="library=nolib: no such library; use torch"):
        Plan(NetworkProblem(residual), replace(OPTIONS, libraries=("nolib",)), settings, None)
