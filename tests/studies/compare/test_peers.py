"""``compare peers`` on strategies that take as long as they are told."""

from __future__ import annotations

import pytest
from fake_strategies import Fake

from convprof.measure.settings import Settings
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.studies.compare.peers import Peers, Standing, summaries
from convprof.studies.run import Choice

pytestmark = pytest.mark.usefixtures("no_clock")

CONV = Conv2d(c=3, h=4, w=5, k=4, r=1, s=1, name="layer")


@pytest.fixture
def studied(monkeypatch, machine_of):
    def study(*strategies, choice=None, problem=CONV):
        monkeypatch.setattr(registry, "_all", lambda: strategies)
        made = Peers(problem, choice or Choice(), Settings(rounds=8), machine_of(4e9))
        for _ in made.events():
            pass
        return made

    return study


def names(study):
    return {(m.strategy, m.layout) for m in study.measurements()}


def test_our_best_is_compared_with_the_fastest_library(studied):
    study = studied(
        Fake("direct", 1e-6),  # left out, however fast
        Fake("tiled", {"nchw": 3e-3, "nhwc": 2e-3}),
        Fake("threaded", 4e-3),
        Fake("torch", {"nchw": 5e-3, "nhwc": 6e-3}, peer=True),
        Fake("openvino", {"nchw": 9e-3, "nhwc": 2.5e-3}, peer=True),
    )
    (standing,) = study.standings()
    assert (standing.ours.strategy, standing.ours.layout) == ("tiled", "nhwc")
    assert [(m.strategy, m.layout) for m in standing.peers] == [
        ("openvino", "nhwc"),
        ("torch", "nchw"),
    ]
    assert standing.ratio.value == pytest.approx(1 / 1.25)
    assert standing.ratio.rounds == 8
    assert standing.verdict == "faster"
    assert standing.ours.peak_fraction == pytest.approx(standing.ours.flop_per_s / 4e9)
    assert study.libraries == {"torch", "openvino"}
    assert "direct" not in {name for name, _ in names(study)}


def test_the_verdict_is_about_ours(studied):
    assert verdict_of(studied, ours=1e-3, theirs=2e-3) == "faster"
    assert verdict_of(studied, ours=2e-3, theirs=1e-3) == "slower"
    assert verdict_of(studied, ours=1e-3, theirs=1.01e-3) == "same"


def verdict_of(studied, ours, theirs):
    (standing,) = studied(Fake("tiled", ours), Fake("torch", theirs, peer=True)).standings()
    assert standing.ratio.value == pytest.approx(ours / theirs)
    return standing.verdict


def test_one_standing_per_number_of_threads(studied):
    single = Fake("tiled", 1e-3)
    single.parallel = False
    study = studied(
        single,
        Fake("threaded", 1.5e-3),
        Fake("torch", 1.2e-3, peer=True),
        choice=Choice(threads=(1, 2)),
    )
    found = study.standings()
    assert [(s.threads, s.ours.strategy) for s in found] == [(1, "tiled"), (2, "threaded")]
    assert [s.ratio.value for s in found] == pytest.approx([1 / 1.2, 1 / 0.8])
    assert found[1].peer.time_s.median == pytest.approx(0.6e-3)


def test_a_coarse_result_wins_nothing_on_either_side(studied):
    study = studied(
        Fake("coarse", 1e-3, error=5e-4),
        Fake("tiled", 2e-3),
        Fake("sloppy", 1e-3, error=5e-4, peer=True),
        Fake("torch", 3e-3, peer=True),
    )
    (standing,) = study.standings()
    assert (standing.ours.strategy, standing.peer.strategy) == ("tiled", "torch")
    assert len(standing.peers) == 1
    assert ("coarse", "nchw") in names(study)  # measured and shown, not compared


def test_without_a_library_nothing_is_compared_and_the_reasons_are_kept(studied):
    study = studied(Fake("tiled"), Fake("torch", peer=True, reason="torch is not installed"))
    assert study.standings() == []
    refused = [m for m in study.measurements() if m.status == "refused"]
    assert {m.reason for m in refused} == {"torch is not installed"}
    assert len(refused) == 2  # in each layout


def test_only_libraries_is_nothing_to_compare_either(studied):
    study = studied(Fake("tiled", reason="no"), Fake("torch", peer=True))
    assert study.standings() == []


@pytest.mark.parametrize(
    ("chosen", "taking_part"),
    [
        ((), {"tiled", "threaded", "torch", "openvino"}),
        (("direct",), {"direct", "torch", "openvino"}),
        (("torch",), {"tiled", "threaded", "torch"}),
        (("openvino", "threaded"), {"threaded", "openvino"}),
        (("gemm-only",), {"tiled", "threaded", "torch", "openvino"}),
    ],
)
def test_a_choice_restricts_the_side_it_names(studied, chosen, taking_part):
    strategies = [Fake("direct"), Fake("tiled"), Fake("threaded")]
    libraries = [Fake("torch", peer=True), Fake("openvino", peer=True)]
    study = studied(*strategies, *libraries, choice=Choice(chosen, ("nhwc",)))
    assert {name for name, _ in names(study)} == taking_part
    assert {layout for _, layout in names(study)} == {"nchw", "nhwc"}  # both, whatever is asked


def test_the_real_registry_has_both_sides():
    def taking_part(problem):
        study = Peers(problem, Choice(), Settings(), None)
        return {c.strategy.name for c in study.session._contestants}, study.libraries

    everyone, libraries = taking_part(CONV)
    assert libraries == {"torch", "onnxruntime", "openvino"}
    assert libraries < everyone
    assert everyone - libraries == {"auto"}
    everyone, libraries = taking_part(Gemm(m=4, n=5, k=6))
    assert libraries == {"blas", "torch", "onnxruntime", "openvino"}
    assert everyone - libraries == {"auto"}


def test_the_document_says_who_is_who(studied):
    study = studied(Fake("tiled", 1e-3), Fake("torch", 2e-3, peer=True))
    (standing,) = study.standings()
    found = standing.to_json()
    assert found["problem"]["name"] == "layer"
    assert found["ratio"] == pytest.approx(0.5)
    assert found["ci95"] == pytest.approx([0.5, 0.5])
    assert found["rounds"] == 8
    assert (found["kind"], found["threads"], found["verdict"]) == ("peers", 1, "faster")
    side = {"strategy": "tiled", "layout": "nchw", "threads": 1, "isa": None, "dtype": "f32"}
    side["environment"] = None
    assert found["a"] == side
    assert found["b"] == {**side, "strategy": "torch"}


def test_summaries(studied):
    def standing(theirs, threads=1):
        choice = Choice(threads=(threads,))
        strategies = Fake("tiled", 1e-3), Fake("torch", theirs, peer=True)
        (found,) = studied(*strategies, choice=choice).standings()
        assert isinstance(found, Standing)
        return found

    one, other, third = standing(2e-3), standing(0.5e-3), standing(4e-3, threads=2)
    first, second = summaries([one, third, other])
    assert (first.threads, first.problems, first.worst) == (1, 2, other)
    assert first.mean == pytest.approx(1)
    assert (second.threads, second.problems, second.worst) == (2, 1, third)
    assert second.mean == pytest.approx(4)
    assert summaries([]) == []
