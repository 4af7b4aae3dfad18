"""Core-to-core latency: which pairs, and what a pair takes here."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.codegen import affinity
from convprof.machine import core_latency, facts, node_bandwidth
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.caches import MEMORY
from convprof.machine.core_latency import between, pairs


def test_all_pairs_of_few_cpus():
    assert pairs((3, 0, 7)) == [(0, 3), (0, 7), (3, 7)]
    assert pairs((5,)) == []


@pytest.mark.parametrize("count", [13, 64, 1024])
def test_a_sample_of_pairs_of_many_cpus(count):
    chosen = pairs(range(count), most=20)
    assert 10 <= len(chosen) <= 21
    assert len(set(chosen)) == len(chosen)
    assert all(first < second for first, second in chosen)
    assert any(second > count // 2 for _, second in chosen)
    assert any(first > 0 for first, _ in chosen)


def test_a_pair_of_this_machine(monkeypatch):
    cpus = sorted(facts().topology.affinity or ())
    if len(cpus) < 2:
        pytest.skip("one CPU, or unknown affinity")
    monkeypatch.setattr(core_latency, "SAMPLES", 5)
    before = affinity.of()
    measured = between(*cpus[:2])
    assert affinity.of() == before
    assert measured.cpus == tuple(cpus[:2])
    if measured.reason is None:
        assert 1e-9 < measured.fastest_s <= measured.seconds


def test_a_system_without_affinity_says_so(monkeypatch):
    monkeypatch.setattr(affinity, "of", lambda *_: None)
    assert between(0, 1).reason == "the system does not let threads choose their CPU"


def test_an_answer_that_never_comes_is_no_latency(monkeypatch):
    if not (facts().topology.affinity or ()):
        pytest.skip("unknown affinity")
    monkeypatch.setattr(core_latency, "play", lambda: lambda *_: 1)
    cpu = min(facts().topology.affinity)
    assert between(cpu, cpu).seconds is None


class Line:
    """A game on paper: round trips of a given time, of which the leader's are counted."""

    def __init__(self, trip_s, lost_after=10**9):
        self.trip_s, self.lost_after = trip_s, lost_after
        self.trips, self.calls, self.now_s = 0, 0, 0.0

    def play(self, _, turn, end):
        if turn % 2 == 0:
            self.trips += end - turn // 2
            self.calls += 1
            self.now_s += (end - turn // 2) * self.trip_s
            return int(self.calls > self.lost_after)
        return 0

    def perf_counter_ns(self):
        return round(1e9 * self.now_s)


@pytest.fixture
def game(monkeypatch):
    """A function: the result of a pair whose round trips take some time, and the line."""

    def measured(trip_s, refused=(), **more):
        line = Line(trip_s, **more)
        monkeypatch.setattr(core_latency, "play", lambda: line.play)
        monkeypatch.setattr(core_latency, "time", line)
        monkeypatch.setattr(affinity, "of", lambda *_: frozenset({0, 1}))
        monkeypatch.setattr(affinity, "change", lambda _, cpus: not cpus & frozenset(refused))
        return between(0, 1), line

    return measured


@pytest.mark.parametrize(("trip_s", "trips"), [(1e-7, 1000), (1e-6, 200), (10e-6, 20), (40e-6, 10)])
def test_slow_transfers_have_fewer_trips(game, trip_s, trips):
    measured, line = game(trip_s)
    assert measured.seconds == pytest.approx(trip_s / 2, rel=0.01)
    assert measured.fastest_s == pytest.approx(trip_s / 2, rel=0.01)
    assert line.trips == 10 + 5 * 4 + 10 + 30 * trips


def test_threads_on_one_core_are_given_up_soon(game):
    """A round trip is two slices of time of the system."""
    measured, line = game(8e-3)
    assert measured.reason == "a round trip takes 8.00 ms: the threads share a core"
    assert measured.seconds is None
    assert line.trips <= 30


@pytest.mark.parametrize("calls", [0, 3, 9])
def test_the_first_trip_without_an_answer_is_the_last(game, calls):
    measured, line = game(1e-7, lost_after=calls)
    assert (measured.seconds, measured.reason) == (None, "CPU 1 does not answer")
    assert line.calls == calls + 1


def test_samples_have_a_limit_of_time(game, monkeypatch):
    monkeypatch.setattr(core_latency, "MOST_S", 1e-3)
    measured, line = game(40e-6)
    assert measured.reason == "CPU 1 does not answer"
    assert line.trips < 200


def test_nobody_plays_with_a_thread_that_has_no_cpu(game):
    measured, line = game(1e-7, refused={1})
    assert measured.reason == "no thread may choose CPU 1"
    assert line.calls == 0


# The bandwidth of NUMA nodes, on a synthetic topology.


@pytest.fixture
def _two_nodes(monkeypatch, fake):
    """Two sockets, of which this process may use the CPUs 0 and 1 of node 0 and 2 of node 1."""
    from convprof.machine import topology

    found = topology.detect(fake.two_sockets().source(affinity=lambda: frozenset({0, 1, 2})))
    known = dataclasses.replace(facts(), topology=found)
    monkeypatch.setattr(node_bandwidth, "facts", lambda: known)


@pytest.mark.usefixtures("_two_nodes")
def test_each_node_is_measured_on_its_own_cpus(monkeypatch):
    masks = []
    monkeypatch.setattr(affinity, "of", lambda *_: frozenset({0, 1, 2}))
    monkeypatch.setattr(affinity, "change", lambda _, cpus: masks.append(set(cpus)) or True)

    def measured(threads, only, operations, repeats):  # noqa: ARG001
        rates = {"load": 1e9, "triad": 2e9}
        return (Bandwidth(MEMORY, name, threads, rates[name], 1) for name in operations)

    monkeypatch.setattr(node_bandwidth.bandwidth, "measure", measured)
    nodes = list(node_bandwidth.measure())
    assert [(each.node, each.threads, each.bytes_per_s) for each in nodes] == [
        (0, 2, 2e9),
        (1, 1, 2e9),
    ]
    assert masks == [{0, 1}, {0, 1, 2}, {2}, {0, 1, 2}]


@pytest.mark.usefixtures("_two_nodes")
def test_a_node_without_usable_cpus_says_so(monkeypatch):
    nodes = {0: frozenset[int]()}
    monkeypatch.setattr(node_bandwidth, "teams", lambda _: nodes)
    (node,) = node_bandwidth.measure()
    assert (node.threads, node.bytes_per_s) == (0, None)
    assert node.reason == "this process may use none of its CPUs"


def test_one_node_is_the_machine(fake):
    from convprof.machine import topology

    assert node_bandwidth.teams(topology.detect(fake.cloud_vm().source())) == {}
