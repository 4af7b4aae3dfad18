"""``study threads --cores``: the arithmetic of a prediction, and its page."""

from __future__ import annotations

import dataclasses
import json

import pytest

from convprof.codegen import isa as isas
from convprof.errors import InputError, RefusedError, TooLargeError
from convprof.machine import core_latency, facts
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.core_latency import CoreLatency
from convprof.machine.model import MachineModel
from convprof.machine.noise import NoiseWatch
from convprof.problems import parse
from convprof.render.study.chart import page_chart
from convprof.render.study.table import figure
from convprof.strategies import registry
from convprof.strategies.shares import StageTimes
from convprof.studies.document import document
from convprof.studies.study import cores
from convprof.studies.study.base import Options
from convprof.studies.study.cores import Cores, Target
from convprof.studies.study.page import Page, Row, Section
from convprof.studies.study.predicted import Barriers, Layer, Prediction


def prediction(**changed):
    fields = {
        "threads": 4,
        "used": 4,
        "one_s": 8.0,
        "stages": (StageTimes(2.0, 6.0), StageTimes(1.0, 2.0)),
        "barriers_s": 0.5,
        "call_s": 0.0,
        "least_s": 0.0,
        "lines": 0,
        "rounds": 9,
    }
    return Prediction(**(fields | changed))


def test_the_time_is_the_longest_share_of_every_stage_and_the_barriers():
    made = prediction()
    assert (made.work_s, made.longest_s, made.seconds) == (8.0, 3.0, 3.5)
    assert made.balance == pytest.approx(2 / 3)
    assert made.inflation == 1.0
    assert made.speedup == pytest.approx(8 / 3.5)
    assert made.lost_s == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("changed", "limit"),
    [
        ({}, "balance"),
        ({"one_s": 2.0}, "work"),
        ({"barriers_s": 5.0}, "barriers"),
        ({"call_s": 1.0, "one_s": 9.0, "barriers_s": 1.0}, "barriers"),
        ({"least_s": 9.0}, "bandwidth"),
        ({"stages": (StageTimes(2.0, 8.0),), "barriers_s": 0.0}, "nothing"),
        ({"stages": (StageTimes(8.0, 8.0),), "barriers_s": 0.0, "used": 1}, "barriers"),
    ],
)
def test_the_largest_loss_is_the_limit(changed, limit):
    assert prediction(**changed).limit == limit


@pytest.mark.parametrize("call_s", [8.0, 9.0])
def test_a_problem_that_is_no_longer_than_a_call(call_s):
    """One thread took no longer than an empty call: nothing is divided by the difference."""
    made = prediction(call_s=call_s, stages=(StageTimes(0.5, 2.0),))
    assert made.inflation == pytest.approx(0.25)
    assert cores._layer_row(Layer(parse("20x16:16x32"), 1, made), 8.0).counted["work %"] == 25.0


def test_the_bandwidth_of_memory_is_a_lower_bound():
    assert prediction(least_s=9.0).seconds == 9.0


def test_barriers_beyond_the_cores_follow_from_the_latency():
    barriers = Barriers(1e-7, cores=1)
    assert barriers.seconds(1, 5) == 0.0
    assert barriers.seconds(32, 3) == pytest.approx(1e-7 * (63 + 3 * 33))
    assert Barriers(None, cores=1).seconds(32, 3) == 0.0


@pytest.fixture
def _latency(monkeypatch):
    monkeypatch.setattr(
        core_latency,
        "measure",
        lambda most: iter([CoreLatency((0, 1), 1e-7, 1e-7)]),  # noqa: ARG005
    )


def study(texts, number=4, **options):
    problems = [parse(text) for text in texts]
    target = Target(problems, {problems[0].descriptor: 2}, number, name=" ".join(texts), **options)
    made = Cores(Options(budget_s=1e-4), MachineModel(facts()), NoiseWatch(1), target)
    made.check()
    return made


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_latency")
@pytest.mark.parametrize("texts", [["20x16:16x32"], ["20x16:16x32", "mb1ic16ih6oc16kh1"]])
def test_a_page_has_a_row_for_each_number_of_threads(texts, invalid):
    made = study(texts)
    for _ in made.steps():
        pass
    page = made.page()
    rows = page.sections[0].rows
    assert [row.variant["threads"] for row in rows] == [2, 4]
    measured = [row.variant["threads"] for row in rows if row.status == "ok"]
    cores = facts().topology.usable_cores
    assert measured == [threads for threads in (2, 4) if threads <= cores]
    assert all(row.expected for row in rows)
    assert len(page.sections) == len(texts)
    assert page.answer is not None
    content = document(page, {}, NoiseWatch(1), interrupted=False)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert invalid(content) == []
    if len(texts) > 1:
        layers = page.sections[1].rows
        lost = [row.counted["lost %"] for row in layers]
        assert lost == sorted(lost, reverse=True)
        assert layers[0].variant["layer"]


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_latency")
@pytest.mark.parametrize(
    ("texts", "layers"), [(["20x16:16x32"], [1]), (["20x16:16x32", "9x16:16x32"], [1, 1])]
)
def test_an_interruption_leaves_sums_of_the_same_layers(texts, layers):
    made = study(texts)
    for event in made.steps():
        if event == f"{texts[-1]}: the shares of 4 threads":
            break
    assert [len(each) for each in made._layers.values()] == layers


def learned(stored=()):
    """The study's latency, with ceilings of two threads in which latencies are stored."""
    sets = [Ceilings(2, 1.0, (), (), latencies=tuple(stored)), Ceilings(1, 1.0, (), ())]
    target = Target([parse("20x16:16x32")], {}, 4)
    made = Cores(Options(), MachineModel(facts(), sets), NoiseWatch(1), target)
    events = list(made.learn())
    return made._barriers.latency_s, events


def latencies(*seconds):
    return [
        CoreLatency((0, cpu), each, each, None if each else "CPU does not answer")
        for cpu, each in enumerate(seconds, 1)
    ]


def test_the_slowest_pair_counts_where_none_is_stored(monkeypatch):
    """The first pair may be two hyperthreads of one core."""
    counts = []

    def measure(most):
        counts.append(most)
        return iter(latencies(9e-9, 80e-9, None, 70e-9))

    monkeypatch.setattr(core_latency, "measure", measure)
    assert learned() == (80e-9, ["the latency between cores"])
    assert counts == [6]
    monkeypatch.setattr(core_latency, "measure", lambda most: iter(latencies(None)))  # noqa: ARG005
    assert learned()[0] is None


def test_the_median_of_stored_latencies_is_not_measured_again(monkeypatch):
    monkeypatch.setattr(core_latency, "measure", None)
    assert learned(latencies(9e-9, 80e-9, None, 70e-9)) == (70e-9, [])


def test_a_layer_that_is_too_large_does_not_end_the_network(monkeypatch):
    made = study(["20x16:16x32", "9x16:16x32"])
    predict = made._predict

    def large(problem):
        if problem.descriptor == "20x16:16x32":
            raise TooLargeError("needs 9 GiB of memory")
        return predict(problem)

    monkeypatch.setattr(made, "_predict", large)
    monkeypatch.setattr(made, "learn", lambda: iter(()))
    for _ in made.steps():
        pass
    assert [len(layers) for layers in made._layers.values()] == [1, 1]
    assert made._refused == {"20x16:16x32": "needs 9 GiB of memory"}


def test_a_layer_whose_operands_do_not_fit_is_left_out(monkeypatch):
    monkeypatch.setattr(cores.preflight, "available_bytes", lambda: 4500)
    monkeypatch.setattr(cores.preflight.memory, "available_bytes", lambda: 4500)
    made = study(["9x16:16x32", "20x16:16x32"])
    assert [problem.descriptor for problem in made._fitting] == ["9x16:16x32"]
    assert "20x16:16x32: f32 needs" in made._refused["20x16:16x32"]
    with pytest.raises(TooLargeError, match="20x16:16x32: f32 needs"):
        study(["20x16:16x32"])


@pytest.mark.parametrize("kind", ["conv2d", "gemm"])
def test_the_passes_after_threaded_are_passes_after_tiled_on_one_thread(kind):
    assert cores._alone(registry.find(kind, "threaded+passes")).name == "tiled+passes"


def test_threaded_is_tiled_on_one_thread():
    for kind in ("conv2d", "gemm"):
        assert cores._alone(registry.find(kind, "threaded")).name == "tiled"
    packed = registry.find("gemm", "packed")
    assert cores._alone(packed) is packed


def test_a_strategy_without_threads_is_refused():
    with pytest.raises(RefusedError, match="tiled runs on one thread"):
        study(["20x16:16x32"], strategy="tiled")


@pytest.mark.parametrize("number", [1, 100_000])
def test_cores_have_a_range(number):
    with pytest.raises(InputError, match="2 to 1024"):
        study(["20x16:16x32"], number)


def test_a_library_is_refused():
    with pytest.raises(RefusedError, match="blas"):
        study(["20x16:16x32"], strategy="blas")


def test_a_page_of_predictions_alone_has_a_chart_and_says_its_doubt():
    """Nothing is measured on a machine with one core; other programs disturb the shares."""
    row = Row(
        {"threads": 32},
        {"balance %": 90.0, "limit": "balance", "work %": 99.0, "barriers %": 3.0},
        27.0,
        status="predicted",
        doubt="other programs used 2 CPUs",
    )
    advice = cores.advice.cores([row], [], "20x16:16x32")
    section = Section("Speed-up", cores.UNIT, (row,), plot=cores.PLOT)
    page = Page("threads", "threads: x", {}, (section,), (), answer=advice)
    drawn = page_chart(page, dated="")
    assert "predicted: 32 threads are 27.0 times as fast as one, in doubt" in drawn.title
    assert [series.points[0].y for series in drawn.series] == [27.0]
    assert advice.sentences[0] == "In doubt: other programs used 2 CPUs."
    assert figure(row, 1.0) == "? predicted"


def test_no_fewer_threads_are_recommended_by_a_row_in_doubt():
    counted = {"balance %": 90.0, "limit": "balance", "work %": 99.0, "barriers %": 3.0}
    four, last = (
        Row({"threads": n}, counted, gain, status="predicted") for n, gain in ((4, 30.0), (32, 7.0))
    )
    advised = cores.advice.cores([four, last], [], "20x16:16x32")
    assert advised.sentences[-1] == "Use fewer: 4 threads are predicted the fastest."
    doubtful = dataclasses.replace(four, doubt="a storm")
    advised = cores.advice.cores([doubtful, last], [], "20x16:16x32")
    assert not any("Use fewer" in sentence for sentence in advised.sentences)


@pytest.mark.parametrize(("one_s", "in_doubt"), [(8.0, False), (24.0, False), (40.0, True)])
def test_a_speed_up_far_beyond_the_threads_is_in_doubt(one_s, in_doubt):
    problem = parse("20x16:16x32")
    page = Cores(Options(), MachineModel.here(), None, Target([problem], {}, 4))
    page._layers = {4: [Layer(problem, 1, prediction(one_s=one_s))]}
    (row,) = page.page().sections[0].rows
    assert (row.doubt is not None) == in_doubt
