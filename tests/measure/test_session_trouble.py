"""The sampler where not all goes well: failures, refusals, interrupts, memory given back."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from convprof.codegen import affinity
from convprof.dtypes import F32, tolerance
from convprof.errors import ConvprofError, ThreadsError, TooLargeError, ToolchainError
from convprof.machine.counters import Count
from convprof.measure import session as session_module
from convprof.measure import stopwatch as stopwatch_module
from convprof.measure.events import Auxiliary, Failed, Finished, Refused, Sampled, Started
from convprof.measure.stopwatch import Stopwatch

# Those who do not take part


def statuses(session):
    return {m.label: (m.status, m.reason) for m in session.measurements()}


def check_the_others(scene, session, events, names="ac"):
    """The others were measured in full."""
    assert all(set(names) <= set(order) for order in scene.rounds_of(events))
    assert len(scene.rounds_of(events)) == 25
    for measurement in session.measurements():
        if measurement.strategy in names:
            assert (measurement.status, measurement.time_s.samples) == ("ok", 25)


@pytest.mark.parametrize("call", ["prepare", 1, 2])
def test_a_strategy_that_raises_fails_alone(scene, call):
    trouble = {call: ValueError("it is\nbroken")}
    bad = scene.strategy("b", (1e-3,), trouble=trouble)
    session = scene.session(scene.strategy("a"), bad, scene.strategy("c"))
    events = list(session.events())

    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.measurement.status, failed.measurement.time_s) == ("failed", None)
    assert [m.strategy for m in session.measurements()] == ["a", "b", "c"]
    assert statuses(session)["b nchw 1 thread"] == ("failed", "ValueError: it is")
    check_the_others(scene, session, events)


def test_a_toolchain_that_is_broken_ends_the_session(scene):
    """Every other contestant would fail alike: one error instead of as many as contestants."""
    trouble = {"prepare": ToolchainError("numba 0.61.0 is too old")}
    first, bad = scene.strategy("a"), scene.strategy("b", (1e-3,), trouble=trouble)
    session = scene.session(first, bad)
    with pytest.raises(ToolchainError, match="too old"):
        list(session.events())
    assert session.measurements() == []


@pytest.mark.parametrize("call", [3, 20, 100])
def test_a_strategy_that_raises_while_it_is_sampled_fails_alone(scene, call):
    bad = scene.strategy("b", trouble={call: ValueError("broken now")})
    session = scene.session(scene.strategy("a"), bad, scene.strategy("c"))
    events = list(session.events())
    assert statuses(session)["b nchw 1 thread"] == ("failed", "ValueError: broken now")
    assert len([event for event in events if isinstance(event, Failed)]) == 1
    check_the_others(scene, session, events)


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
    session = scene.session(
        scene.strategy("a"), scene.strategy("b", spoil=spoil), scene.strategy("c")
    )
    events = list(session.events())
    (failed,) = [event for event in events if isinstance(event, Failed)]
    wrong = failed.measurement
    assert wrong == session.measurements()[1]
    assert (wrong.status, wrong.strategy) == ("wrong", "b")
    assert (wrong.time_s, wrong.flop_per_s, wrong.cycles) == (None, None, None)
    assert not wrong.max_rel_error <= 1e-3
    assert error is None or wrong.max_rel_error == error
    assert wrong.reason.startswith("max_rel_error ")
    limit = tolerance(F32, scene.problem.terms)
    assert wrong.reason.endswith(f" is over {limit:.2g}")
    check_the_others(scene, session, events)


def test_rounding_is_not_wrong(scene):
    within = 0.9 * tolerance(F32, scene.problem.terms)
    session = scene.session(scene.strategy("a", spoil=lambda y: y * (1 + within)))
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.status == "ok"
    assert measurement.max_rel_error == pytest.approx(within, rel=0.01)


def test_a_result_is_verified_in_its_layout(scene):
    right = scene.strategy("a")
    forgetful = scene.strategy("b", spoil=lambda y: np.ascontiguousarray(y).reshape(2, 3, 4, 5))
    session = scene.session(right, forgetful, layouts=("nchw", "nhwc"))
    list(session.events())
    found = {label: status for label, (status, _) in statuses(session).items()}
    # In NHWC it has the shape of NCHW: it cannot even be compared.
    assert found == {
        "a nchw 1 thread": "ok",
        "a nhwc 1 thread": "ok",
        "b nchw 1 thread": "ok",
        "b nhwc 1 thread": "failed",
    }


def test_a_result_in_the_order_of_the_other_layout_is_wrong(scene):
    def as_if_nchw(y):
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2)).reshape(y.shape)

    session = scene.session(scene.strategy("a", spoil=as_if_nchw), layouts=("nhwc",))
    list(session.events())
    assert [m.status for m in session.measurements()] == ["wrong"]


def test_refusals(scene):
    refuses = scene.strategy("b", reason="b needs a 3x3 filter; got 1x1")
    too_large = scene.strategy("d", trouble={"prepare": TooLargeError("d needs 9 TiB")})
    session = scene.session(scene.strategy("a"), refuses, scene.strategy("c"), too_large)
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
    check_the_others(scene, session, events)


def test_nobody_takes_part(scene):
    session = scene.session(scene.strategy("a", reason="a does not want to"))
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
    strategies = [scene.strategy("a"), scene.strategy("b", **options)]
    list(scene.session(*strategies).events())
    assert [made.closed for strategy in strategies for made in strategy.made] == [1, 1]
    assert scene.stopwatch.closed == 1


# Interrupts


def interrupted_after(session, samples):
    """Let an interrupt arrive after a number of samples."""
    events = session.events()
    seen = 0
    for event in events:
        seen += isinstance(event, Sampled)
        if seen == samples:
            break
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)


def test_an_interrupt_in_the_middle_of_a_round_keeps_what_was_measured(scene):
    strategies = scene.four()
    session = scene.session(*strategies)
    interrupted_after(session, 4 * 6 + 2)
    found = session.measurements()
    assert [m.strategy for m in found] == list("abcd")
    assert sorted(m.time_s.samples for m in found) == [6, 6, 7, 7]
    assert all(m.status == "ok" and m.time_s.ci95_low is not None for m in found)
    assert all(strategy.made[0].closed == 1 for strategy in strategies)
    assert scene.stopwatch.closed == 1


def test_an_interrupt_in_the_first_round_leaves_out_those_without_a_sample(scene):
    session = scene.session(*scene.four(), scene.strategy("e", reason="e does not want to"))
    interrupted_after(session, 3)
    found = session.measurements()
    assert len(found) == 4
    assert [m.strategy for m in found] == sorted(m.strategy for m in found)
    assert [m.time_s.samples for m in found if m.time_s] == [1, 1, 1]
    assert found[-1].reason == "e does not want to"


def test_an_interrupt_within_a_call_is_not_taken_for_a_failure(scene):
    strategy = scene.strategy("b", (0.1,), trouble={5: KeyboardInterrupt()})
    session = scene.session(scene.strategy("a", (0.1,)), strategy)
    with pytest.raises(KeyboardInterrupt):
        list(session.events())
    found = {m.strategy: m.time_s.samples for m in session.measurements()}
    assert found["b"] == 2
    assert found["a"] in {2, 3}
    assert strategy.made[0].closed == 1


def test_an_interrupt_while_preparing(scene):
    strategy = scene.strategy("b", trouble={1: KeyboardInterrupt()})
    first = scene.strategy("a")
    session = scene.session(first, strategy)
    with pytest.raises(KeyboardInterrupt):
        list(session.events())
    assert session.measurements() == []
    assert first.made[0].closed == 1


def test_the_source_of_cycles_is_remembered_after_the_counter_is_closed(scene, monkeypatch):
    def read():
        return Count(1 + 3 * scene.clock.ns, scene.clock.ns, scene.clock.ns)

    counter = SimpleNamespace(read=read, close=lambda: None)
    monkeypatch.setattr(stopwatch_module, "checked_counter", lambda _clock: counter)
    fake_time = SimpleNamespace(perf_counter_ns=lambda: scene.clock.ns)
    monkeypatch.setattr(stopwatch_module, "time", fake_time)
    scene.stopwatch = Stopwatch()
    session = scene.session(scene.strategy("a"))
    (finished,) = [event for event in session.events() if isinstance(event, Finished)]
    assert finished.measurement.cycles.source == "pmu"
    assert finished.measurement.cycles.core_hz == pytest.approx(3e9)
    assert session.measurements() == [finished.measurement]


def test_after_a_release_results_stay_and_memory_goes(scene):
    strategies = [scene.strategy("a"), scene.strategy("b", trouble={1: ValueError("no")})]
    session = scene.session(*strategies, rounds=3)
    list(session.events())
    before, phases = session.measurements(), [dict(e.phases) for e in session.participants]
    gone = [weakref.ref(strategies[0].made.pop())]
    session.release()
    gc.collect()
    assert [reference() for reference in gone] == [None]
    assert session.measurements() == before
    assert [m.status for m in before] == ["ok", "failed"]
    assert [dict(participant.phases) for participant in session.participants] == phases
    with pytest.raises(ConvprofError, match="its memory was given back"):
        next(session.events())


def test_release_in_the_middle(scene):
    session = scene.session(*scene.four(), rounds=3)
    events = session.events()
    for event in events:
        if isinstance(event, Sampled):
            break
    events.close()
    session.release()
    assert [m.status for m in session.measurements()] == ["ok"]


def test_chains_count_the_runs_layer_by_layer(scene, monkeypatch):
    monkeypatch.setattr(scene.prepared, "times_phases", True)
    events = list(scene.session(scene.strategy("a"), rounds=2).events())
    last = scene.sampled(events)[-1]
    assert last.remaining_s == 0
    assert last.after_s == pytest.approx(2 * session_module.MANY_PHASE_RUNS * 1e-3)
    phases, *others = [event for event in events if isinstance(event, Auxiliary)]
    assert [event.left_s for event in others] == pytest.approx([2e-3 * n for n in range(8, 0, -1)])
    assert phases.left_s == last.after_s


def test_a_strategy_that_binds_the_thread_to_a_cpu_leaves_no_trace(scene, monkeypatch):
    start = affinity.AT_START
    if start is None or len(start) < 2:
        pytest.skip("needs two CPUs, and sched_setaffinity")
    one = scene.strategy("b")
    prepare = one.prepare

    def binding(problem, setting):
        affinity.change(0, frozenset({min(start)}))
        return prepare(problem, setting)

    monkeypatch.setattr(one, "prepare", binding)
    session = scene.session(one, scene.strategy("c"))
    list(session.events())
    assert affinity.of() == start
    assert statuses(session) == {"b nchw 1 thread": ("ok", None), "c nchw 1 thread": ("ok", None)}


def test_a_strategy_whose_threads_cannot_start_is_refused(scene):
    bad = scene.strategy("b", trouble={"prepare": ThreadsError.of(2)})
    session = scene.session(scene.strategy("a"), bad)
    list(session.events())
    assert statuses(session)["b nchw 1 thread"] == ("refused", str(ThreadsError.of(2)))
