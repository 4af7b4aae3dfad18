"""The sampler without a real clock: strategies that take as long as their script says."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from convprof.errors import ConvprofError, TooLargeError
from convprof.measure import session as session_module
from convprof.measure import stopwatch as stopwatch_module
from convprof.measure.contestant import Contestant
from convprof.measure.events import Failed, Finished, Refused, Sampled, Started
from convprof.measure.session import Session, Settings
from convprof.measure.stopwatch import Sample, Stopwatch
from convprof.problems import Conv2d, Gemm
from convprof.strategies import oracle
from convprof.strategies.base import Prepared, Setting, Strategy

PROBLEM = Conv2d(n=2, c=3, h=4, w=5, k=3, r=1, s=1)  # x and y have the same shape in any layout
HZ = 2e9


class Clock:
    """A clock that only the fake strategies advance, in whole nanoseconds."""

    def __init__(self):
        self.ns = 0

    def perf_counter(self):
        return self.ns * 1e-9

    def advance(self, seconds):
        self.ns += round(seconds * 1e9)


class FakeStopwatch(Stopwatch):
    """Reads the fake clock."""

    source = "calibrated"
    resolution_s = 1e-9

    def __init__(self, clock):
        self.clock = clock
        self.closed = 0

    def sample(self, run, calls, before=None):
        elapsed = 0
        for _ in range(calls):
            if before is not None:
                before()
            start = self.clock.ns
            run()
            elapsed += self.clock.ns - start
        seconds = elapsed * 1e-9 / calls
        return Sample(seconds, HZ, seconds * HZ)

    def close(self):
        self.closed += 1


class FakePrepared(Prepared):
    workspace_bytes = 123
    prepare_s = 0.5
    compile_s = 0.25

    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting
        self.calls = 0
        self.closed = 0
        self.phase_runs = 0
        strategy.made.append(self)

    def bind(self, x, weights):
        self.x = x
        if self.problem.kind == "gemm":
            self.y = oracle.gemm(self.problem, x, weights)
            return
        nchw = x if self.setting.layout == "nchw" else x.transpose(0, 3, 1, 2)
        y = oracle.conv2d(self.problem, nchw, weights)
        self.y = y if self.setting.layout == "nchw" else y.transpose(0, 2, 3, 1)

    def run(self):
        self.calls += 1
        self.strategy.journal.append(self.strategy.name)
        trouble = self.strategy.trouble.get(self.calls)
        if trouble is not None:
            raise trouble
        script = self.strategy.seconds
        self.strategy.clock.advance(script[min(self.calls, len(script)) - 1])

    def output(self):
        return self.strategy.spoil(self.y)

    def run_phases(self):
        self.phase_runs += 1
        return {"pad": 1e-3 * self.phase_runs, "gemm": 7e-3}

    def executed_flops(self):
        return self.problem.flops // 2

    def close(self):
        self.closed += 1


class FakeStrategy(Strategy):
    """Takes ``seconds[i]`` for its i-th call, the last of them from then on."""

    kind = "conv2d"
    summary = "a script"

    def __init__(self, name, seconds=(1e-3,), *, trouble=None, spoil=lambda y: y, reason=None):
        self.name = name
        self.seconds = seconds
        self.trouble = trouble or {}
        self.spoil = spoil
        self.reason = reason
        self.journal = []
        self.made = []
        self.clock = Clock()

    def why_not(self, problem, setting):  # noqa: ARG002
        return self.reason

    def prepare(self, problem, setting):
        trouble = self.trouble.get("prepare")
        if trouble is not None:
            raise trouble
        return FakePrepared(self, problem, setting)


class Scene:
    """A session over fake strategies, with the journal of what ran when."""

    def __init__(self):
        self.clock = Clock()
        self.journal = []
        self.stopwatch = FakeStopwatch(self.clock)

    def session(self, *strategies, layouts=("nchw",), cache="hot", watch=None, **settings):
        contestants = []
        for strategy in strategies:
            strategy.clock, strategy.journal = self.clock, self.journal
            contestants += [
                Contestant(strategy, PROBLEM, Setting(layout), cache) for layout in layouts
            ]
        return Session(contestants, Settings(**settings), watch, self.stopwatch)


@pytest.fixture
def scene(monkeypatch):
    made = Scene()
    monkeypatch.setattr(session_module, "time", made.clock)
    monkeypatch.setattr(session_module, "settle", lambda: made.journal.append("settle"))
    return made


def sampled(events):
    return [event for event in events if isinstance(event, Sampled)]


def rounds_of(events):
    """Return the labels of each round in order."""
    found = {}
    for event in sampled(events):
        found.setdefault(event.round, []).append(event.label.split()[0])
    return list(found.values())


def four():
    return [FakeStrategy(name, (1e-3,)) for name in "abcd"]


# Rounds


def test_every_round_has_every_contestant_once(scene):
    rounds = rounds_of(scene.session(*four()).events())
    assert len(rounds) == 25
    assert all(sorted(order) == list("abcd") for order in rounds)


def test_the_order_is_shuffled_and_reproducible(scene):
    orders = {
        seed: [rounds_of(scene.session(*four(), seed=seed).events()) for _ in range(2)]
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
    session = scene.session(FakeStrategy("quick"), FakeStrategy("slow", (seconds,)), budget_s=0.2)
    orders = rounds_of(session.events())
    assert len(orders) == 25
    assert ["slow" in order for order in orders] == [True] * rounds + [False] * (25 - rounds)
    assert all(order.count("quick") == 1 for order in orders)
    quick, slow = session.measurements()
    assert (25, rounds) == (quick.time_s.samples, slow.time_s.samples)
    assert (slow.time_s.ci95_low is None) == (rounds < 6)


def test_a_fixed_number_of_rounds_holds_for_all(scene):
    strategies = [FakeStrategy("quick", (1e-6,)), FakeStrategy("slow", (3.0,))]
    orders = rounds_of(scene.session(*strategies, rounds=7).events())
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
    session = scene.session(FakeStrategy("a", (seconds,)), budget_s=budget_s, rounds=rounds)
    list(session.events())
    (measurement,) = session.measurements()
    assert calls == measurement.time_s.calls_per_sample
    assert measurement.time_s.median == pytest.approx(seconds)


def test_a_coarse_timer_makes_samples_longer(scene):
    scene.stopwatch.resolution_s = 1e-3
    session = scene.session(FakeStrategy("a", (2e-3,)), budget_s=0.05)
    list(session.events())
    assert session.measurements()[0].time_s.calls_per_sample == 50  # 0.1 s


# Calls


def test_warming_up_ends_when_two_calls_agree(scene):
    strategy = FakeStrategy("a", (40e-3, 20e-3, 10e-3, 2e-3, 1e-3, 1.05e-3, 1e-3))
    session = scene.session(strategy, budget_s=0.25)
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.time_s.calls_per_sample == 10  # of the warm 1.05 ms, not of 40 ms
    assert measurement.time_s.median == pytest.approx(1e-3)
    assert measurement.time_s.samples == 25
    assert strategy.made[0].calls == 6 + 25 * (1 + 10)


def test_a_slow_contestant_is_called_no_more_than_it_must(scene):
    strategy = FakeStrategy("a", (1.0,))
    list(scene.session(strategy, budget_s=1.0).events())
    assert strategy.made[0].calls == 1 + 6
    assert strategy.made[0].phase_runs == 0


def test_warming_up_ends_even_if_no_two_calls_agree(scene):
    strategy = FakeStrategy("a", [1e-3, 2e-3] * 20)
    events = list(scene.session(strategy, budget_s=10e-3, rounds=6).events())
    assert isinstance(events[-1], Finished)
    measurement = events[-1].measurement
    timed = measurement.time_s.samples * (measurement.time_s.calls_per_sample + 1)
    assert 2 < strategy.made[0].calls - timed < 20


def test_the_first_call_after_a_switch_is_not_timed(scene):
    class Logged(FakeStopwatch):
        def sample(self, run, calls, before=None):
            scene.journal.append("start")
            return super().sample(run, calls, before)

    scene.stopwatch = Logged(scene.clock)
    session = scene.session(FakeStrategy("a"), FakeStrategy("b"), budget_s=75e-3, rounds=25)
    journals = []
    for event in session.events():
        if isinstance(event, Sampled):
            journals.append((event.label.split()[0], list(scene.journal)))
        scene.journal.clear()
    assert len(journals) == 50
    for name, journal in journals[1:]:  # before the first of them, b was warmed up
        assert journal == ["settle", name, "start", name, name, name]


def test_a_contestant_alone_need_not_wait_for_others_to_settle(scene):
    session = scene.session(FakeStrategy("a"))
    for event in session.events():
        if isinstance(event, Sampled):
            assert "settle" not in scene.journal


def test_cold_contestants_are_evicted_before_every_timed_call(scene, monkeypatch):
    evicted = []

    def evictor(arrays):
        evicted.append(arrays)
        return lambda: scene.journal.append("evict")

    monkeypatch.setattr(session_module, "evictor", evictor)
    strategy = FakeStrategy("a")
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
    monkeypatch.setattr(session_module, "evictor", None)
    session = scene.session(FakeStrategy("a"))
    list(session.events())
    assert session.measurements()[0].cache == "hot"


# Results


def test_the_result_of_a_contestant(scene):
    # The verification, which is too long to be repeated, and then six samples of one call each.
    script = (1e-3, 1e-3, 3e-3, 2e-3, 9e-3, 4e-3, 5e-3)
    session = scene.session(FakeStrategy("a", script), budget_s=3e-3, rounds=6)
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
    assert measurement.cycles.per_call == pytest.approx(3.5e-3 * HZ)
    assert measurement.cycles.per_flop == pytest.approx(3.5e-3 * HZ / PROBLEM.flops)
    assert (measurement.cycles.source, measurement.cycles.core_hz) == ("calibrated", HZ)
    assert measurement.flops.direct == PROBLEM.flops
    assert measurement.flops.executed == PROBLEM.flops // 2
    assert measurement.flop_per_s == pytest.approx(PROBLEM.flops / 3.5e-3)
    assert measurement.bytes_min == PROBLEM.bytes_min(4)
    assert measurement.intensity == pytest.approx(PROBLEM.flops / PROBLEM.bytes_min(4))
    assert measurement.phases is None  # a call took a third of the budget
    assert measurement.workspace_bytes == 123
    assert (measurement.prepare_s, measurement.compile_s) == (0.5, 0.25)
    assert measurement.max_rel_error < 1e-6
    assert measurement.problem["descriptor"] == PROBLEM.descriptor
    assert measurement.problem["kind"] == "conv2d"


def test_phases_are_the_medians_of_a_few_runs(scene):
    strategy = FakeStrategy("a")
    session = scene.session(strategy)
    list(session.events())
    runs = strategy.made[0].phase_runs
    assert runs > 1
    expected = {"pad": pytest.approx(1e-3 * (runs + 1) / 2), "gemm": 7e-3}
    assert expected == session.measurements()[0].phases


def test_a_gemm_has_no_layout(scene):
    strategy = FakeStrategy("a")
    strategy.clock = scene.clock
    contestant = Contestant(strategy, Gemm(m=3, n=4, k=5), Setting("nhwc"))
    session = Session([contestant], Settings(), None, scene.stopwatch)
    list(session.events())
    (measurement,) = session.measurements()
    assert (measurement.status, measurement.layout) == ("ok", None)
    assert measurement.label == "a 1 thread"


def test_events_tell_what_is_left(scene):
    strategies = [FakeStrategy("a"), FakeStrategy("b", (2e-3,))]
    events = list(scene.session(*strategies, budget_s=0.1).events())
    assert events[:2] == [Started("a nchw 1 thread", 0, 2), Started("b nchw 1 thread", 1, 2)]
    assert [type(event) for event in events[-2:]] == [Finished, Finished]
    samples = sampled(events)
    assert {event.rounds for event in samples} == {25}
    assert [event.round for event in samples] == [number // 2 + 1 for number in range(50)]
    left = [event.remaining_s for event in samples]
    assert sorted(left, reverse=True) == left
    assert left[-1] == 0
    assert left[0] == pytest.approx(0.2, rel=0.05)
    per_call = {event.label[0]: event.seconds_per_call for event in samples}
    assert per_call == pytest.approx({"a": 1e-3, "b": 2e-3})


def test_the_noise_watch_sees_clocks_and_samples(scene):
    clocks, seen = [], {}
    watch = SimpleNamespace(see_clock=clocks.append, see_samples=seen.__setitem__)
    list(scene.session(FakeStrategy("a"), FakeStrategy("b"), watch=watch).events())
    assert clocks == [HZ] * 50
    assert set(seen) == {"a nchw 1 thread", "b nchw 1 thread"}
    assert seen["a nchw 1 thread"] == pytest.approx([1e-3] * 25)


def test_all_contestants_get_the_same_numbers(scene):
    strategies = [FakeStrategy("a"), FakeStrategy("b")]
    list(scene.session(*strategies, layouts=("nchw", "nhwc"), seed=3).events())
    first, second = (strategy.made for strategy in strategies)
    np.testing.assert_array_equal(first[0].x, second[0].x)
    np.testing.assert_array_equal(first[0].x.transpose(0, 2, 3, 1), second[1].x)
    other = FakeStrategy("c")
    list(scene.session(other, seed=4).events())
    assert not np.array_equal(other.made[0].x, first[0].x)


# Those who do not take part


def statuses(session):
    return {m.label: (m.status, m.reason) for m in session.measurements()}


def check_the_others(session, events, names="ac"):
    """The others were measured in full."""
    assert all(set(names) <= set(order) for order in rounds_of(events))
    assert len(rounds_of(events)) == 25
    for measurement in session.measurements():
        if measurement.strategy in names:
            assert (measurement.status, measurement.time_s.samples) == ("ok", 25)


@pytest.mark.parametrize("call", ["prepare", 1, 2])
def test_a_strategy_that_raises_fails_alone(scene, call):
    trouble = {call: ValueError("it is\nbroken")}
    bad = FakeStrategy("b", (1e-3,), trouble=trouble)
    session = scene.session(FakeStrategy("a"), bad, FakeStrategy("c"))
    events = list(session.events())

    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.measurement.status, failed.measurement.time_s) == ("failed", None)
    assert [m.strategy for m in session.measurements()] == ["a", "b", "c"]
    assert statuses(session)["b nchw 1 thread"] == ("failed", "ValueError: it is")
    check_the_others(session, events)


@pytest.mark.parametrize("call", [3, 20, 100])
def test_a_strategy_that_raises_while_it_is_sampled_fails_alone(scene, call):
    bad = FakeStrategy("b", trouble={call: ValueError("broken now")})
    session = scene.session(FakeStrategy("a"), bad, FakeStrategy("c"))
    events = list(session.events())
    assert statuses(session)["b nchw 1 thread"] == ("failed", "ValueError: broken now")
    assert len([event for event in events if isinstance(event, Failed)]) == 1
    check_the_others(session, events)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda y: y * 1.01, pytest.approx(0.01, rel=0.01)),
        (lambda y: y * 0, 1.0),
        (lambda y: y * np.nan, None),
        (lambda y: np.where(np.arange(y.size).reshape(y.shape) == 7, 9.0, y), None),
    ],
)
def test_a_wrong_result_is_marked_and_never_timed(scene, spoil, error):
    session = scene.session(FakeStrategy("a"), FakeStrategy("b", spoil=spoil), FakeStrategy("c"))
    events = list(session.events())
    (failed,) = [event for event in events if isinstance(event, Failed)]
    wrong = failed.measurement
    assert wrong == session.measurements()[1]
    assert (wrong.status, wrong.strategy) == ("wrong", "b")
    assert (wrong.time_s, wrong.flop_per_s, wrong.cycles) == (None, None, None)
    assert not wrong.max_rel_error <= 1e-3
    assert error is None or wrong.max_rel_error == error
    assert wrong.reason.startswith("max_rel_error ")
    assert wrong.reason.endswith(" is over 0.001")
    check_the_others(session, events)


def test_rounding_is_not_wrong(scene):
    session = scene.session(FakeStrategy("a", spoil=lambda y: y * (1 + 9e-4)))
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.status == "ok"
    assert measurement.max_rel_error == pytest.approx(9e-4, rel=0.01)


def test_a_result_is_verified_in_its_layout(scene):
    right = FakeStrategy("a")
    forgetful = FakeStrategy("b", spoil=lambda y: np.ascontiguousarray(y).reshape(2, 3, 4, 5))
    session = scene.session(right, forgetful, layouts=("nchw", "nhwc"))
    list(session.events())
    found = {label: status for label, (status, _) in statuses(session).items()}
    # In NHWC its shape is that of NCHW: it cannot even be compared.
    assert found == {
        "a nchw 1 thread": "ok",
        "a nhwc 1 thread": "ok",
        "b nchw 1 thread": "ok",
        "b nhwc 1 thread": "failed",
    }


def test_a_result_in_the_order_of_the_other_layout_is_wrong(scene):
    def as_if_nchw(y):
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2)).reshape(y.shape)

    session = scene.session(FakeStrategy("a", spoil=as_if_nchw), layouts=("nhwc",))
    list(session.events())
    assert [m.status for m in session.measurements()] == ["wrong"]


def test_refusals(scene):
    refuses = FakeStrategy("b", reason="b needs a 3x3 filter; got 1x1")
    too_large = FakeStrategy("d", trouble={"prepare": TooLargeError("d needs 9 TiB")})
    session = scene.session(FakeStrategy("a"), refuses, FakeStrategy("c"), too_large)
    events = list(session.events())

    refused = [event.measurement for event in events if isinstance(event, Refused)]
    assert [(m.strategy, m.status, m.time_s) for m in refused] == [
        ("b", "refused", None),
        ("d", "refused", None),
    ]
    assert refuses.made == []
    assert [m.strategy for m in session.measurements()] == ["a", "b", "c", "d"]
    assert statuses(session)["b nchw 1 thread"][1] == "b needs a 3x3 filter; got 1x1"
    assert statuses(session)["d nchw 1 thread"][1] == "d needs 9 TiB"
    check_the_others(session, events)


def test_nobody_takes_part(scene):
    session = scene.session(FakeStrategy("a", reason="a does not want to"))
    events = list(session.events())
    assert [type(event) for event in events] == [Started, Refused]
    assert scene.stopwatch.closed == 1
    assert list(scene.session().events()) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spoil": lambda y: y * 2},
        {"trouble": {1: ValueError("on the first call")}},
        {"trouble": {2: ValueError("while warming up")}},
    ],
)
def test_whatever_was_prepared_is_closed_once(scene, options):
    strategies = [FakeStrategy("a"), FakeStrategy("b", **options)]
    list(scene.session(*strategies).events())
    assert [made.closed for strategy in strategies for made in strategy.made] == [1, 1]
    assert scene.stopwatch.closed == 1


# Interrupts


def interrupted_after(session, samples):
    """Let an interrupt arrive after so many samples."""
    events = session.events()
    seen = 0
    for event in events:
        seen += isinstance(event, Sampled)
        if seen == samples:
            break
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)


def test_an_interrupt_in_the_middle_of_a_round_keeps_what_was_measured(scene):
    strategies = four()
    session = scene.session(*strategies)
    interrupted_after(session, 4 * 6 + 2)
    found = session.measurements()
    assert [m.strategy for m in found] == list("abcd")
    assert sorted(m.time_s.samples for m in found) == [6, 6, 7, 7]
    assert all(m.status == "ok" and m.time_s.ci95_low is not None for m in found)
    assert all(strategy.made[0].closed == 1 for strategy in strategies)
    assert scene.stopwatch.closed == 1


def test_an_interrupt_in_the_first_round_leaves_out_those_without_a_sample(scene):
    session = scene.session(*four(), FakeStrategy("e", reason="e does not want to"))
    interrupted_after(session, 3)
    found = session.measurements()
    assert len(found) == 4
    assert [m.strategy for m in found] == sorted(m.strategy for m in found)
    assert [m.time_s.samples for m in found if m.time_s] == [1, 1, 1]
    assert found[-1].reason == "e does not want to"


def test_an_interrupt_within_a_call_is_not_taken_for_a_failure(scene):
    strategy = FakeStrategy("b", (0.1,), trouble={4: KeyboardInterrupt()})
    session = scene.session(FakeStrategy("a", (0.1,)), strategy)
    with pytest.raises(KeyboardInterrupt):
        list(session.events())
    found = {m.strategy: m.time_s.samples for m in session.measurements()}
    assert found["b"] == 2
    assert found["a"] in {2, 3}
    assert strategy.made[0].closed == 1


def test_an_interrupt_while_preparing(scene):
    strategy = FakeStrategy("b", trouble={1: KeyboardInterrupt()})
    first = FakeStrategy("a")
    session = scene.session(first, strategy)
    with pytest.raises(KeyboardInterrupt):
        list(session.events())
    assert session.measurements() == []
    assert first.made[0].closed == 1


def test_the_source_of_cycles_is_remembered_after_the_counter_is_closed(scene, monkeypatch):
    counter = SimpleNamespace(read=lambda: 1 + 3 * scene.clock.ns, close=lambda: None)
    monkeypatch.setattr(stopwatch_module, "CycleCounter", SimpleNamespace(open=lambda: counter))
    fake_time = SimpleNamespace(perf_counter_ns=lambda: scene.clock.ns)
    monkeypatch.setattr(stopwatch_module, "time", fake_time)
    scene.stopwatch = Stopwatch()
    session = scene.session(FakeStrategy("a"))
    (finished,) = [event for event in session.events() if isinstance(event, Finished)]
    assert finished.measurement.cycles.source == "pmu"
    assert finished.measurement.cycles.core_hz == pytest.approx(3e9)
    assert session.measurements() == [finished.measurement]


def test_after_a_release_results_stay_and_memory_goes(scene):
    strategies = [FakeStrategy("a"), FakeStrategy("b", trouble={1: ValueError("no")})]
    session = scene.session(*strategies, rounds=3)
    list(session.events())
    before, phases = session.measurements(), [dict(e.phases) for e in session.entries]
    gone = [weakref.ref(strategies[0].made.pop())]
    session.release()
    gc.collect()
    assert [reference() for reference in gone] == [None]
    assert session.measurements() == before
    assert [m.status for m in before] == ["ok", "failed"]
    assert [dict(entry.phases) for entry in session.entries] == phases
    with pytest.raises(ConvprofError, match="its memory was given back"):
        next(session.events())


def test_release_in_the_middle(scene):
    session = scene.session(*four(), rounds=3)
    events = session.events()
    for event in events:
        if isinstance(event, Sampled):
            break
    events.close()
    session.release()
    assert [m.status for m in session.measurements()] == ["ok"]


def test_chains_count_the_runs_layer_by_layer(scene, monkeypatch):
    monkeypatch.setattr(FakePrepared, "taken_apart", True)
    left = [e.remaining_s for e in sampled(scene.session(FakeStrategy("a"), rounds=2).events())]
    assert left[-1] == pytest.approx(session_module.MANY_PHASE_RUNS * 1e-3)
