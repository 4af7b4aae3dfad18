"""A comparison of the best concludes nothing where another one, in doubt, may be the best."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_strategies import Fake

from convprof.measure.settings import Settings
from convprof.problems import Conv2d
from convprof.strategies import registry
from convprof.studies.compare import dtypes, peers
from convprof.studies.compare.dtypes import Dtypes
from convprof.studies.compare.peers import Peers
from convprof.studies.run import Choice

pytestmark = pytest.mark.usefixtures("no_clock")

CONV = Conv2d(c=3, h=4, w=5, k=4, r=1, s=1, name="layer")


@pytest.fixture
def measured(monkeypatch, machine_of):
    """Return a function that measures; ``stormy``: a strategy, and perhaps its layout, in doubt."""

    def measure(study, *strategies, stormy, choice=None):
        monkeypatch.setattr(registry, "_all", lambda: strategies)
        made = study(CONV, choice or Choice(), Settings(rounds=8), machine_of(4e9))
        for _ in made.events():
            pass
        real = made.session.measurement

        def measurement(participant):
            m = real(participant)
            return replace(m, doubt="a storm") if m.way.startswith(stormy) else m

        monkeypatch.setattr(made.session, "measurement", measurement)
        return made

    return measure


@pytest.mark.parametrize(
    ("stormy", "doubt"),
    [
        ("threaded", "threaded nchw may be faster: a storm"),
        ("openvino", "openvino nchw may be faster: a storm"),
        ("torch nhwc", "torch nhwc may be faster: a storm"),  # the other layout of the fastest
        ("slow", None),
    ],
)
def test_peers(measured, stormy, doubt):
    study = measured(
        Peers,
        Fake("tiled", 3e-3),
        Fake("threaded", 1e-3),
        Fake("slow", 1.0),
        Fake("torch", {"nchw": 4e-3, "nhwc": 2e-3}, peer=True),
        Fake("openvino", 2.5e-3, peer=True),
        stormy=stormy,
    )
    (standing,) = study.standings()
    assert standing.doubt == doubt
    assert (standing.verdict == "undecided") is (doubt is not None)
    (again,) = peers.read([standing.to_json()], study.measurements())
    assert (again.doubt, again.verdict) == (standing.doubt, standing.verdict)


def test_types(measured):
    strategies = Fake("tiled", 3e-3), Fake("threaded", 1e-3)
    for each in strategies:
        each.dtypes = ("f32", "bf16")
    study = measured(
        Dtypes, *strategies, stormy="threaded", choice=Choice(further_dtypes=("bf16",))
    )
    (compared,) = study.comparisons()
    assert (compared.a.strategy, compared.b.strategy) == ("tiled", "tiled")
    assert compared.doubt == "threaded nchw may be faster: a storm"
    (again,) = dtypes.read([compared.to_json()], study.measurements())
    assert (again.doubt, again.verdict) == (compared.doubt, "undecided")
