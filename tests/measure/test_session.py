"""The sampler: rounds, calls per sample, warming up, and what a result holds."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.measure import bench, forecast
from convprof.measure import session as session_module
from convprof.measure.contestant import Contestant
from convprof.measure.estimate import Estimate
from convprof.measure.events import Finished, Sampled, Started
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.problems import Gemm
from convprof.strategies import loading
from convprof.strategies.base import Setting
from convprof.strategies.tuning import search_time

# Rounds


def test_every_round_has_every_contestant_once(scene):
    rounds = scene.rounds_of(scene.session(*scene.four()).events())
    assert len(rounds) == 25
    assert all(sorted(order) == list("abcd") for order in rounds)


def test_the_order_is_shuffled_and_reproducible(scene):
    orders = {
        seed: [scene.rounds_of(scene.session(*scene.four(), seed=seed).events()) for _ in range(2)]
        for seed in (0, 1)
    }
    assert orders[0][0] == orders[0][1]
    assert orders[1][0] == orders[1][1]
    assert orders[0][0] != orders[1][0]
    assert len({"".join(order) for order in orders[0][0]}) > 10  # of 24 possible orders
    leaders = Counter(order[0] for order in orders[0][0])
    assert set(leaders) == set("abcd")


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        (1e-6, 25),
        (1e-3, 25),
        (11e-3, 18),  # as many as the budget of 0.2 s has room for
        (60e-3, 6),  # six are affordable with some patience
        (0.3, 6),
        (0.9, 4),  # 4 s are the end of patience
        (5.0, 1),  # but one there must be
    ],
)
def test_slow_contestants_take_part_in_fewer_rounds(scene, seconds, rounds):
    session = scene.session(
        scene.strategy("quick"), scene.strategy("slow", (seconds,)), budget_s=0.2
    )
    orders = scene.rounds_of(session.events())
    assert len(orders) == 25
    assert ["slow" in order for order in orders] == [True] * rounds + [False] * (25 - rounds)
    assert all(order.count("quick") == 1 for order in orders)
    quick, slow = session.measurements()
    assert (25, rounds) == (quick.time_s.samples, slow.time_s.samples)
    assert (slow.time_s.ci95_low is None) == (rounds < 6)


def test_a_fixed_number_of_rounds_holds_for_all(scene):
    strategies = [scene.strategy("quick", (1e-6,)), scene.strategy("slow", (3.0,))]
    orders = scene.rounds_of(scene.session(*strategies, rounds=7).events())
    assert [sorted(order) for order in orders] == [["quick", "slow"]] * 7


@pytest.mark.parametrize(
    ("seconds", "budget_s", "rounds", "calls"),
    [
        (1e-3, 0.25, None, 10),
        (1e-3, 2.5, None, 100),
        (1e-3, 0.25, 5, 50),
        (1e-4, 0.25, None, 100),
        (0.1, 0.25, None, 1),
        (1e-9, 1e-9, 1, 100),  # never less than 100 times the timer's resolution
    ],
)
def test_calls_per_sample_fill_the_budget(scene, seconds, budget_s, rounds, calls):
    session = scene.session(scene.strategy("a", (seconds,)), budget_s=budget_s, rounds=rounds)
    list(session.events())
    (measurement,) = session.measurements()
    assert calls == measurement.time_s.calls_per_sample
    assert measurement.time_s.median == pytest.approx(seconds)


def test_a_run_of_several_results_is_timed_per_result(scene):
    def several(problem, setting):
        prepared = prepare(problem, setting)
        prepared.results_per_run = 8
        return prepared

    strategy = scene.strategy("a", (4e-3,))
    prepare, strategy.prepare = strategy.prepare, several
    session = scene.session(strategy, budget_s=0.1, rounds=10)
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.time_s.median == pytest.approx(0.5e-3)
    assert measurement.time_s.calls_per_sample == round(0.01 / 4e-3)  # calls of run()
    assert measurement.cycles.per_call == pytest.approx(0.5e-3 * 2e9)


def test_a_coarse_timer_makes_samples_longer(scene):
    scene.stopwatch.resolution_s = 1e-3
    session = scene.session(scene.strategy("a", (2e-3,)), budget_s=0.05)
    list(session.events())
    assert session.measurements()[0].time_s.calls_per_sample == 50  # 0.1 s


# Calls


def test_warming_up_ends_when_two_calls_agree(scene):
    strategy = scene.strategy("a", (40e-3, 20e-3, 10e-3, 2e-3, 1e-3, 1.05e-3, 1e-3))
    session = scene.session(strategy, budget_s=0.25)
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.time_s.calls_per_sample == 10  # of the warm 1.05 ms, not of 40 ms
    assert measurement.time_s.median == pytest.approx(1e-3)
    assert measurement.time_s.samples == 25
    assert strategy.made[0].calls == 6 + 25 * (1 + 10)


@pytest.mark.parametrize("first_s", [0.1, 0.29])
def test_a_first_call_that_starts_threads_does_not_decide_the_calls_of_a_sample(scene, first_s):
    strategy = scene.strategy("a", (first_s, 1e-3))
    session = scene.session(strategy, budget_s=0.25)
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.time_s.calls_per_sample == 10
    assert measurement.time_s.samples == 25


def test_a_call_that_is_slow_again_is_not_repeated(scene):
    strategy = scene.strategy("a", (0.2,))
    list(scene.session(strategy, budget_s=0.25).events())
    assert strategy.made[0].calls == 2 + 6


def test_a_slow_contestant_is_called_no_more_than_it_must(scene):
    strategy = scene.strategy("a", (1.0,))
    list(scene.session(strategy, budget_s=1.0).events())
    assert strategy.made[0].calls == 1 + 6
    assert strategy.made[0].phase_runs == 0


def test_warming_up_ends_even_if_no_two_calls_agree(scene):
    strategy = scene.strategy("a", [1e-3, 2e-3] * 20)
    events = list(scene.session(strategy, budget_s=10e-3, rounds=6).events())
    assert isinstance(events[-1], Finished)
    measurement = events[-1].measurement
    timed = measurement.time_s.samples * (measurement.time_s.calls_per_sample + 1)
    assert 2 < strategy.made[0].calls - timed < 20


def test_the_first_call_after_a_switch_is_not_timed(scene):
    class Logged(type(scene.stopwatch)):
        def sample(self, run, calls, before=None):
            scene.journal.append("start")
            return super().sample(run, calls, before)

    scene.stopwatch = Logged(scene.clock)
    session = scene.session(scene.strategy("a"), scene.strategy("b"), budget_s=75e-3, rounds=25)
    journals = []
    for event in session.events():
        if isinstance(event, Sampled):
            journals.append((event.label.split()[0], list(scene.journal)))
        scene.journal.clear()
    assert len(journals) == 50
    for name, journal in journals[1:]:  # before the first of them, b was warmed up
        assert journal == ["settle", name, "start", name, name, name]


def test_a_contestant_alone_need_not_wait_for_others_to_settle(scene):
    session = scene.session(scene.strategy("a"))
    for event in session.events():
        if isinstance(event, Sampled):
            assert "settle" not in scene.journal


def test_cold_contestants_are_evicted_before_every_timed_call(scene, monkeypatch):
    evicted = []

    def evictor(arrays):
        evicted.append(arrays)
        return lambda: scene.journal.append("evict")

    monkeypatch.setattr(bench, "evictor", evictor)
    strategy = scene.strategy("a")
    session = scene.session(strategy, cache="cold", budget_s=25e-3 * 3, rounds=25)
    events = session.events()
    journal = []
    for event in events:
        if isinstance(event, Sampled):
            journal.append(list(scene.journal))
        scene.journal.clear()
    assert journal[1:] == [["evict", "a"] * 3] * 24
    assert len(evicted) == 1
    assert session.measurements()[0].cache == "cold"


def test_hot_contestants_are_not_evicted(scene, monkeypatch):
    monkeypatch.setattr(bench, "evictor", None)
    session = scene.session(scene.strategy("a"))
    list(session.events())
    assert session.measurements()[0].cache == "hot"


# Results


def test_the_result_of_a_contestant(scene):
    # The verification, one call that is slow too, and then six samples of one call each.
    script = (1e-3, 1e-3, 1e-3, 3e-3, 2e-3, 9e-3, 4e-3, 5e-3)
    session = scene.session(scene.strategy("a", script), budget_s=3e-3, rounds=6)
    (finished,) = [event for event in session.events() if isinstance(event, Finished)]
    (measurement,) = session.measurements()

    assert finished.measurement == measurement
    assert (measurement.strategy, measurement.layout, measurement.dtype) == ("a", "nchw", "f32")
    assert (measurement.status, measurement.reason, measurement.threads) == ("ok", None, 1)
    time = measurement.time_s
    assert (time.samples, time.calls_per_sample) == (6, 1)
    assert time.median == pytest.approx(3.5e-3)
    assert (time.min, time.ci95_low, time.ci95_high) == pytest.approx((1e-3, 1e-3, 9e-3))
    assert time.mad == pytest.approx(1.5e-3)
    assert measurement.cycles.per_call == pytest.approx(3.5e-3 * scene.hz)
    assert measurement.cycles.per_flop == pytest.approx(3.5e-3 * scene.hz / scene.problem.flops)
    assert (measurement.cycles.source, measurement.cycles.core_hz) == ("calibrated", scene.hz)
    assert measurement.flops.direct == scene.problem.flops
    assert measurement.flops.executed == scene.problem.flops // 2
    assert measurement.flop_per_s == pytest.approx(scene.problem.flops / 3.5e-3)
    assert measurement.bytes_min == scene.problem.bytes_min(F32)
    assert measurement.intensity == pytest.approx(
        scene.problem.flops / scene.problem.bytes_min(F32)
    )
    assert measurement.phases is None  # a call took a third of the budget
    assert measurement.workspace_bytes == 123
    assert (measurement.prepare_s, measurement.compile_s) == (0.5, 0.25)
    assert measurement.max_rel_error < 1e-6
    assert measurement.problem["descriptor"] == scene.problem.descriptor
    assert measurement.problem["kind"] == "conv2d"


def test_phases_are_the_medians_of_a_few_runs(scene):
    strategy = scene.strategy("a")
    session = scene.session(strategy)
    list(session.events())
    runs = strategy.made[0].phase_runs
    assert runs > 1
    expected = {"pad": pytest.approx(1e-3 * (runs + 1) / 2), "gemm": 7e-3}
    assert expected == session.measurements()[0].phases


def test_a_gemm_has_no_layout(scene):
    strategy = scene.strategy("a")
    strategy.clock = scene.clock
    contestant = Contestant(strategy, Gemm(m=3, n=4, k=5), Setting("nhwc"))
    session = Session([contestant], Settings(), None, scene.stopwatch)
    list(session.events())
    (measurement,) = session.measurements()
    assert (measurement.status, measurement.layout) == ("ok", None)
    assert measurement.label == "a 1 thread"


def test_events_have_the_remaining_time(scene, monkeypatch):
    monkeypatch.setattr(search_time, "_seconds", [])  # searches of tests before this one
    strategies = [scene.strategy("a"), scene.strategy("b", (2e-3,))]
    # loops compiled and libraries imported by tests before this one
    loaded_s = loading.seconds()
    events = list(scene.session(*strategies, budget_s=0.1).events())
    around_s = 25 * forecast.OVERHEAD_S
    assert events[:2] == [
        Started("a nchw 1 thread", 0, 2, pytest.approx(0.2 + 2 * around_s), 0.0, loaded_s),
        # a sample is four calls, and one that is not timed; phases are five times two calls
        Started(
            "b nchw 1 thread",
            1,
            2,
            pytest.approx(25 * 5e-3 + 0.1 + 2 * around_s),
            10 * 1e-3,
            loaded_s,
        ),
    ]
    assert [type(event) for event in events[-2:]] == [Finished, Finished]
    samples = scene.sampled(events)
    assert {event.rounds for event in samples} == {25}
    assert [event.round for event in samples] == [number // 2 + 1 for number in range(50)]
    left = [event.remaining_s for event in samples]
    assert sorted(left, reverse=True) == left
    assert left[-1] == 0
    assert left[8:] == pytest.approx([11e-3 * (49 - n) / 2 for n in range(8, 50)], abs=2e-3)
    per_call = {event.label[0]: event.seconds_per_call for event in samples}
    assert per_call == pytest.approx({"a": 1e-3, "b": 2e-3})


@pytest.mark.parametrize("slow_s", [5e-3, 0.05, 0.6])
def test_the_estimate_of_a_session_is_right_after_its_first_third(scene, monkeypatch, slow_s):
    """The events of a real session, on a clock that only the strategies advance."""

    def phases(prepared):
        prepared.run()
        prepared.run()
        return {"all": 1.0}

    monkeypatch.setattr(scene.prepared, "run_phases", phases)
    estimate, seen = Estimate(scene.clock.perf_counter), []
    strategies = [
        scene.strategy("fast", (1e-4,)),
        scene.strategy("slow", (slow_s,)),
        scene.strategy("slow at first", (0.02, 2e-3)),
        scene.strategy("middle", (8e-3,)),
    ]
    for event in scene.session(*strategies, budget_s=0.1).events():
        estimate.see(event)
        seen.append((scene.clock.perf_counter(), estimate.remaining_s))
    end_s = scene.clock.perf_counter()
    errors = [abs(left_s - (end_s - at_s)) / end_s for at_s, left_s in seen if at_s >= end_s / 3]
    assert len(errors) > 10
    assert max(errors) < 0.2


def test_what_is_around_samples_is_learned_and_expected_of_the_next_session(scene, monkeypatch):
    monkeypatch.setattr(session_module, "settle", lambda: scene.clock.advance(0.05))
    first = scene.session(scene.strategy("a"), scene.strategy("b"), budget_s=0.1)
    (begun, *_), samples = (events := list(first.events())), scene.sampled(events)
    assert begun.sampling_s < 0.3
    assert samples[10].remaining_s == pytest.approx(39 * (0.05 + 5e-3), rel=0.1)
    second = scene.session(scene.strategy("a"), scene.strategy("b"), budget_s=0.1)
    second.forecast.begin_from(first.forecast)
    assert next(second.events()).sampling_s == pytest.approx(50 * 0.05 + 0.2, rel=0.1)


def test_the_noise_watch_sees_clocks_and_samples(scene):
    clocks, seen = [], {}
    watch = SimpleNamespace(see_clock=clocks.append, see_samples=seen.__setitem__)
    list(scene.session(scene.strategy("a"), scene.strategy("b"), watch=watch).events())
    assert clocks == [scene.hz] * 50
    assert set(seen) == {"a nchw 1 thread", "b nchw 1 thread"}
    assert seen["a nchw 1 thread"] == pytest.approx([1e-3] * 25)


def test_all_contestants_get_the_same_numbers(scene):
    strategies = [scene.strategy("a"), scene.strategy("b")]
    list(scene.session(*strategies, layouts=("nchw", "nhwc"), seed=3).events())
    first, second = (strategy.made for strategy in strategies)
    np.testing.assert_array_equal(first[0].x, second[0].x)
    np.testing.assert_array_equal(first[0].x.transpose(0, 2, 3, 1), second[1].x)
    other = scene.strategy("c")
    list(scene.session(other, seed=4).events())
    assert not np.array_equal(other.made[0].x, first[0].x)


def test_the_results_of_a_problem_share_its_description(scene):
    session = scene.session(*scene.four())
    list(session.events())
    assert len({id(found.problem) for found in session.measurements()}) == 1
