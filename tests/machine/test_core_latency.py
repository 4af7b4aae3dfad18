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
