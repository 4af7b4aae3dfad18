"""Layers and chain of tiny networks, measured for real but in next to no time."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from convprof.errors import RefusedError, UnknownNameError
from convprof.machine import facts
from convprof.machine.model import MachineModel
from convprof.measure.session import new_searches
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Flatten, Linear
from convprof.strategies import registry
from convprof.strategies.networks.strategy import Chained
from convprof.studies.network.options import Options
from convprof.studies.network.study import NetworkStudy

OPTIONS = Options(tune="off")
MACHINE = MachineModel(facts())


def measured(network, settings, options=OPTIONS):
    study = NetworkStudy(NetworkProblem(network), options, settings, MACHINE)
    for _ in study.events():
        pass
    return study


def test_every_layer_and_the_chain(residual, settings):
    study = measured(residual, settings)
    found = study.result()
    assert [layer.step.name for layer in found.layers] == [node.name for node in residual.nodes]
    assert [layer.step.name for layer in found.layers if layer.view] == ["flatten"]
    assert len(found.measured) == len(residual.nodes) - 1
    assert (found.missing, found.excluded, found.conversions) == (0, [], {})
    for layer in found.measured:
        assert layer.hot_s > 0
        assert layer.cold_s > 0
        assert layer.chain_s > 0
        assert layer.ceiling is None or layer.ceiling > 0
    assert found.chain.max_rel_error < 1e-5
    assert found.chain.peak_fraction > 0
    assert found.chain.bound is None
    totals = found.reconciliation()
    assert totals.hot_s == pytest.approx(sum(layer.hot_s for layer in found.layers))
    assert totals.chain_s == found.chain.time_s.median


def test_the_chain_is_expected_to_search_for_nothing_that_its_layers_have_chosen(
    residual, settings, monkeypatch, tmp_path
):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    study = NetworkStudy(NetworkProblem(residual), replace(OPTIONS, tune="quick"), settings, None)
    contestants = study.session._contestants
    pairs = zip(contestants, new_searches(contestants), strict=True)
    chosen = [contestant.problem.name for contestant, new in pairs if new]
    assert chosen == ["residual:stem", "residual:conv0", "residual:fc"]
    assert sum(new_searches(contestants[-1:])) == 3
    assert sum(new_searches(measured(residual, settings).session._contestants)) == 0


def test_equal_layers_are_measured_once_and_counted_twice(residual, settings):
    study = measured(residual, settings)
    names = [m.problem["name"] for m in study.measurements() if m.cache == "hot"]
    assert names == [
        "residual:stem", "residual:conv0", "residual:bn0", "residual:sum0", "residual:relu0",
        "residual:pool", "residual:fc", "residual",
    ]  # fmt: skip
    layers = {layer.step.name: layer for layer in study.result().layers}
    assert layers["conv1"].hot == layers["conv0"].hot
    assert layers["conv1"].chain_s != layers["conv0"].chain_s


def test_what_auto_has_chosen_is_named(residual, settings):
    layers = {layer.step.name: layer for layer in measured(residual, settings).result().layers}
    assert layers["conv0"].hot.strategy == "auto"
    assert layers["conv0"].chosen in {"microkernel", "winograd"}
    assert layers["relu0"].chosen == "vectors"
    assert layers["flatten"].chosen is None
    named = measured(residual, settings, replace(OPTIONS, strategies=("im2col", "blas", "auto")))
    layers = {layer.step.name: layer for layer in named.result().layers}
    assert layers["conv0"].chosen == "im2col"
    assert layers["fc"].chosen.startswith("blas")


def test_fused_layers(residual, settings):
    found = measured(residual, settings, replace(OPTIONS, fuse=True)).result()
    assert [layer.step.nodes for layer in found.layers] == [
        ("stem",), ("conv0", "sum0", "relu0"), ("conv1", "sum1", "relu1"), ("pool",), ("flatten",),
        ("fc",),
    ]  # fmt: skip
    assert found.chain.max_rel_error < 1e-5


def test_a_network_without_images(features, settings):
    found = measured(features, settings).result()
    assert len(found.measured) == 3
    assert {layer.hot.layout for layer in found.layers} == {None}
    assert found.reconciliation() is not None


def test_a_single_node_and_a_view_alone(settings):
    net = Builder()
    net.add("fc", Linear(5))
    found = measured(Network("one", (2, 4), tuple(net.nodes)), settings).result()
    assert [layer.step.name for layer in found.measured] == ["fc"]
    assert found.reconciliation().within_s > 0
    net = Builder()
    net.add("flat", Flatten())
    found = measured(Network("none", (2, 4, 1, 1), tuple(net.nodes)), settings).result()
    assert (found.measured, found.missing) == ([], 0)
    assert found.reconciliation() is None


def test_interrupted_studies_return_their_results(residual, settings):
    for after in (0, 3, 20, 60, 90):
        study = NetworkStudy(NetworkProblem(residual), OPTIONS, settings, None)
        list(itertools.islice(study.events(), after))
        found = study.result()
        assert found.reconciliation() is None
        assert found.missing == sum(1 for la in found.layers if la.hot is None) - 1
        assert json.loads(json.dumps(found.to_json()))["reconciliation"] is None
        assert len(found.measured) == 0 or after > 15


def test_a_library_next_to_the_chain(residual, settings, monkeypatch):
    (chain,) = (
        c.strategy for c in NetworkStudy(NetworkProblem(residual), OPTIONS, settings, None)._whole
    )
    rival = Chained("rival", chain.recipe, chain.choices)
    known = registry.strategies
    monkeypatch.setattr(
        registry, "strategies", lambda kind: [rival] if kind == "network" else known(kind)
    )
    found = measured(residual, settings, replace(OPTIONS, libraries=("rival",))).result()
    (comparison,) = found.libraries
    assert (comparison.a.strategy, comparison.b.strategy) == ("rival", "chain")
    assert comparison.ratio.rounds == 6
    assert found.to_json()["libraries"][0]["name"] == "rival"


def test_refusals_come_before_anything_is_measured(residual, large_filter, settings):
    words = r"layer stem .*: winograd needs .*; add a strategy: winograd,auto$"
    with pytest.raises(RefusedError, match=words):
        NetworkStudy(
            NetworkProblem(large_filter), replace(OPTIONS, strategies=("winograd",)), settings, None
        )
    both = r"direct runs on one thread, not 2; use 1 thread or add a strategy: direct,auto$"
    with pytest.raises(RefusedError, match=both):
        NetworkStudy(
            NetworkProblem(large_filter),
            replace(OPTIONS, strategies=("direct",), threads=2),
            settings,
            None,
        )
    with pytest.raises(UnknownNameError, match="library=nolib: no such library; use torch"):
        NetworkStudy(
            NetworkProblem(residual), replace(OPTIONS, libraries=("nolib",)), settings, None
        )


def test_a_chain_that_does_not_fit_leaves_the_layers(residual, settings, monkeypatch):
    def refuse(*_):
        raise RefusedError("no room")

    monkeypatch.setattr(Chained, "prepare", refuse)
    found = measured(residual, settings).result()
    assert found.chain is None
    assert found.reconciliation() is None
    assert found.missing == 0
    assert [(m.status, m.reason) for m in found.excluded] == [("refused", "no room")]


def test_a_hot_time_far_above_the_chain_is_suspect(residual, settings):
    study = measured(residual, settings)
    conv = next(
        p
        for p in study.session.participants
        if p.contestant.problem.name == "residual:conv0" and p.contestant.cache == "hot"
    )
    within = max(layer.chain_s for layer in study.result().layers if layer.step.name == "conv0")
    calm = {n: replace(sample, seconds=within) for n, sample in conv.samples.items()}
    conv.samples = calm
    assert not any(suspect.participant is conv for suspect in study._suspects())
    conv.samples = {n: replace(sample, seconds=1.0) for n, sample in calm.items()}
    (reason,) = [s.reason for s in study._suspects() if s.participant is conv]
    assert reason.endswith("times as long as within the chain")
