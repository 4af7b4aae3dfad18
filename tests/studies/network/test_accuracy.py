"""The errors on real weights come after the measurement, and never cost its result."""

from __future__ import annotations

import pytest

from convprof.errors import RefusedError, TooLargeError, ToolchainError
from convprof.measure.operands import normal_input
from convprof.networks import parameters
from convprof.problems import NetworkProblem
from convprof.problems.network import RealOperands
from convprof.studies.network import accuracy
from convprof.studies.network.options import Options
from convprof.studies.network.plan import Plan
from convprof.studies.network.study import NetworkStudy

STUDIES = {
    "layers": (NetworkStudy, Options(tune="off")),
    "plan": (Plan, Options((), tune="off", fuse=True)),
}


@pytest.fixture
def whole(features):
    """Return a network with weights and an input of its own."""
    weights = parameters.draw(features, 0)
    return NetworkProblem(features, RealOperands.of(features, weights, normal_input(features, 0)))


@pytest.mark.parametrize("error", [TooLargeError, RefusedError, ToolchainError, MemoryError])
@pytest.mark.parametrize("name", STUDIES)
def test_a_chain_that_cannot_be_prepared_costs_only_its_error(
    whole, settings, monkeypatch, name, error
):
    def refuse(*_):
        raise error("no")

    monkeypatch.setattr(accuracy, "layer_choices", refuse)
    study_class, options = STUDIES[name]
    study = study_class(whole, options, settings, None)
    for _ in study.events():
        pass
    (only,) = study.result().accuracy
    assert only.max_rel_error < 1e-5
    assert all(m.time_s.median > 0 for m in study.measurements() if m.status == "ok")


def test_a_plan_without_the_errors(whole, settings, monkeypatch):
    def called(*_):
        raise AssertionError

    monkeypatch.setattr("convprof.studies.network.plan.accuracies", called)
    plan = Plan(whole, STUDIES["plan"][1], settings, None, accuracy=False)
    for _ in plan.events():
        pass
    assert plan.result().accuracy == []
