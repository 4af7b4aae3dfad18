"""Numbers of threads and streams of one network: what is measured, and what is concluded."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from convprof.codegen import nodes
from convprof.problems import NetworkProblem
from convprof.results import Measurement, Time, plain
from convprof.stats import Ratio
from convprof.strategies.networks.streams import Streams
from convprof.studies.network.concurrency import Concurrency, Mode, contestants, name, sentence
from convprof.studies.network.options import Options
from convprof.studies.network.plan import Plan
from convprof.studies.network.study import NetworkStudy

BOTH = Options(tune="off", threads=2, thread_counts=(1, 2))


def test_all_modes_are_measured_in_the_same_rounds(residual, settings):
    study = NetworkStudy(NetworkProblem(residual), BOTH, settings, None)
    for _ in study.events():
        pass
    found = study.result()
    assert found.excluded == []
    assert [name(mode) for mode in found.concurrency.modes] == [
        "1 thread", "2 threads", "2 streams of 1 thread",
    ]  # fmt: skip
    first, second, streams = found.concurrency.modes
    assert (first.speed_up, first.efficiency) == (1.0, 1.0)
    assert second.efficiency == pytest.approx(second.speed_up / 2)
    assert streams.latency_s == pytest.approx(2 / streams.per_second)
    assert second.latency_s == found.chain.time_s.median
    assert found.concurrency.streams.rounds == 6
    assert {m.measurement.max_rel_error < 1e-5 for m in found.concurrency.modes} == {True}
    text = json.dumps(plain(found.to_json()), allow_nan=False)
    assert len(json.loads(text)["concurrency"]["modes"]) == 3


def test_one_number_of_threads_is_not_compared(residual, settings):
    study = NetworkStudy(NetworkProblem(residual), Options(tune="off"), settings, None)
    for _ in study.events():
        pass
    assert study.result().concurrency is None
    assert study.to_json()["concurrency"] is None


def test_the_planned_chain_is_compared_too(residual, settings):
    options = replace(BOTH, strategies=(), fuse=True)
    plan = Plan(NetworkProblem(residual), options, settings, None)
    assert plan.result().concurrency is None
    for _ in plan.events():
        pass
    found = plan.result()
    assert len(found.concurrency.modes) == 3
    names = {s.name for s in found.standings}
    assert "optimal" in names
    assert "streams" not in names
    assert found.optimal.measurement.threads == 2


@pytest.mark.parametrize(
    ("counts", "each"), [([4], [1]), ([2, 2], [1, 2]), ([2, 1], [1]), ([1, 1], [1])]
)
def test_a_stream_per_node(residual, monkeypatch, counts, each):
    monkeypatch.setattr(nodes, "counts", lambda _: counts)
    options, chain = replace(BOTH, threads=sum(counts)), SimpleNamespace(dtypes=("f32",))
    taking_part = contestants(chain, NetworkProblem(residual), options)
    own = [c.strategy for c in taking_part if isinstance(c.strategy, Streams)]
    assert [strategy.threads for strategy in own] == each
    assert len({strategy.name for strategy in own}) == len(own)


def mode(streams, threads, seconds, ratio=None, doubt=None):
    time = Time(seconds, 0, 0.99 * seconds, 1.01 * seconds, seconds, 25, 1)
    problem = {"kind": "network", "descriptor": "small", "name": "small"}
    m = Measurement(
        problem, "chain", "nhwc", "f32", streams * threads, "hot", "ok", time_s=time, doubt=doubt
    )
    given = Ratio(ratio, ratio - 0.01, ratio + 0.01, 25) if ratio else None
    return Mode(streams, threads, m, given, doubt, 1)


def found(streams=0.9):
    modes = (
        mode(1, 1, 10e-3), mode(1, 2, 6e-3, 0.6), mode(2, 1, 6e-3 * streams, 0.6 * streams),
    )  # fmt: skip
    ratio = Ratio(streams, streams - 0.02, streams + 0.02, 25)
    return Concurrency(modes, ratio)


def test_streams_may_have_the_higher_throughput():
    assert sentence(found()) == (
        "For latency 2 threads: 6.00 ms, 1.67 times as fast as 1 thread; for throughput "
        "2 streams of 1 thread: 185 inferences per second, 1.11 times as many."
    )


def test_threads_may_be_best_for_both():
    assert sentence(found(1.2)).endswith("; for throughput as well, 167 inferences per second.")


def test_what_the_intervals_do_not_separate_is_said():
    close = replace(found(0.99), streams=Ratio(0.99, 0.9, 1.08, 25))
    assert sentence(close).endswith(" inferences per second, are not separated from it.")
    modes = (mode(1, 1, 10e-3), replace(mode(1, 2, 9.9e-3, 0.99), ratio=Ratio(0.99, 0.9, 1.1, 25)))
    text = sentence(Concurrency(modes, None))
    assert "but the intervals do not separate that from 1 thread" in text


def test_one_thread_may_be_the_fastest():
    modes = (mode(1, 1, 1e-3), mode(1, 2, 2e-3, 2.0), mode(2, 1, 0.6e-3, 0.6))
    text = sentence(Concurrency(modes, Ratio(0.6, 0.59, 0.61, 25)))
    assert text.startswith("For latency 1 thread: 1.00 ms; for throughput 2 streams of 1 thread: ")


def test_a_mode_in_doubt_decides_nothing():
    modes = (*found().modes[:2], mode(2, 1, 1e-3, 0.1, doubt="a storm"))
    given = replace(found(), modes=modes)
    assert sentence(given) == "Nothing is concluded about threads and streams, in doubt: a storm."
    assert given.to_json()["streams"]["verdict"] == "undecided"
