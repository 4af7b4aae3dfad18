"""The node of each thread of a team, on synthetic machines: folders with the files of sysfs."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from convprof.codegen import affinity, nodes
from convprof.codegen.nodes import NumaNode, Room
from convprof.codegen.threads import Program, Team, Work, worker_cpus


class Machine:
    """The files of nodes whose cores have one or two CPUs."""

    def __init__(self, root):
        self.root = root

    def write(self, path, content):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def nodes(self, *lists):
        folder = "sys/devices/system/node"
        self.write(f"{folder}/online", f"0-{len(lists) - 1}\n")
        for number, cpus in enumerate(lists):
            self.write(f"{folder}/node{number}/cpulist", f"{cpus}\n")
        return self

    def siblings(self, *lists):
        for each in lists:
            for cpu in nodes.cpu_list(each):
                self.write(f"sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list", each)
        return self

    def read(self, path):
        target = self.root / path
        return target.read_text() if target.exists() else None

    def use(self, monkeypatch, home):
        """Let this process be on the machine, with all CPUs, and the caller on CPU ``home``."""
        listed = nodes.listed(self.read)
        every = frozenset().union(*(node.cpus for node in listed))
        monkeypatch.setattr(nodes, "_read", self.read)
        monkeypatch.setattr(affinity, "allowed", lambda _: every)
        monkeypatch.setattr(affinity, "current_cpu", lambda: home)
        for cached in (nodes._here, nodes._home, nodes._places):
            cached.cache_clear()
        return self


@pytest.fixture
def machine(tmp_path):
    yield Machine(tmp_path)
    for cached in (nodes._here, nodes._home, nodes._places):
        cached.cache_clear()


def test_nodes_are_what_the_system_lists(machine):
    machine.nodes("0-1,4-5", "2-3,6-7", "")
    assert nodes.listed(machine.read) == (
        NumaNode(0, (0, 1, 4, 5)),
        NumaNode(1, (2, 3, 6, 7)),
        NumaNode(2, ()),
    )


def test_a_system_without_nodes_lists_none(machine):
    assert nodes.listed(machine.read) == ()


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ({0, 1, 2, 3}, [({0, 1}, 2), ({2, 3}, 2)]),
        ({0, 4, 2}, [({0, 4}, 1), ({2}, 1)]),  # two CPUs of one core
        ({0, 1, 4}, [({0, 1, 4}, 3)]),  # one node: its cores do not matter
        ({0, 2, 9}, [({0, 2, 9}, 3)]),  # a CPU without a node: the list was rewritten
    ],
)
def test_rooms_are_the_usable_cores_of_each_node(machine, allowed, expected):
    machine.nodes("0-1,4-5", "2-3,6-7").siblings("0,4", "1,5", "2,6", "3,7")
    rooms = nodes.rooms(frozenset(allowed), nodes.listed(machine.read), machine.read)
    assert rooms == [Room(frozenset(cpus), cores) for cpus, cores in expected]


@pytest.mark.parametrize(
    ("threads", "cores", "expected"),
    [
        (1, (4, 4), [1]),
        (4, (4, 4), [4]),
        (5, (4, 4), [3, 2]),
        (8, (4, 4), [4, 4]),
        (16, (4, 4), [8, 8]),
        (3, (1, 3), [1, 2]),
        (6, (4, 4, 4, 4), [3, 3]),
        (12, (4, 4, 4, 4), [4, 4, 4]),
        (3, (8,), [3]),
    ],
)
def test_threads_fill_as_few_nodes_as_have_a_core_for_each(threads, cores, expected):
    rooms = [Room(frozenset({number}), count) for number, count in enumerate(cores)]
    places = nodes.assigned(threads, rooms)
    counts = Counter(place.node for place in places)
    assert [counts[node] for node in sorted(counts)] == expected
    assert [place.node for place in places] == sorted(place.node for place in places)
    assert all(place.cpus == rooms[place.node].cpus for place in places)


def test_a_node_without_threads_has_no_number():
    """Copies of packed weights are counted by the nodes that have threads."""
    rooms = [Room(frozenset({number}), cores) for number, cores in enumerate((1, 1, 100))]
    places = nodes.assigned(3, rooms)
    assert [(place.node, *place.cpus) for place in places] == [(0, 0), (1, 2), (1, 2)]


def test_a_team_begins_at_the_home_of_the_process(machine, monkeypatch):
    machine.nodes("0-1", "2-3", "4-5").use(monkeypatch, home=3)
    numbers = [min(place.cpus) for place in nodes.places(6)]
    assert numbers == [2, 2, 4, 4, 0, 0]
    monkeypatch.setattr(affinity, "current_cpu", lambda: 5)  # later the caller is elsewhere
    assert [min(place.cpus) for place in nodes.places(5)] == [2, 2, 4, 4, 0]
    assert (nodes.spread(2), nodes.spread(4), nodes.spread(6)) == (1, 2, 3)
    assert nodes.counts(5) == [2, 2, 1]


def test_a_worker_has_the_cpus_of_its_node_without_the_callers(machine, monkeypatch):
    machine.nodes("0-1", "2-3").use(monkeypatch, home=1)
    assert worker_cpus(4) == [{0}, {2, 3}, {2, 3}]


def test_a_caller_that_left_its_node_is_moved_back_once(machine, monkeypatch):
    machine.nodes("0-1", "2-3").use(monkeypatch, home=1)
    masks, at = [], [1]
    start = frozenset(range(4))
    monkeypatch.setattr(affinity, "of", lambda: masks[-1] if masks else start)
    monkeypatch.setattr(affinity, "current_cpu", lambda: at[0])

    def change(thread, cpus):
        masks.append(cpus)
        at[0] = at[0] if at[0] in cpus else min(cpus)
        return thread == 0

    monkeypatch.setattr(affinity, "change", change)
    worker_cpus(4)
    assert masks == []
    at[0] = 2
    assert worker_cpus(4) == [{1}, {2, 3}, {2, 3}]
    assert masks == [{0, 1}, start]
    at[0] = 3
    assert worker_cpus(2) == [{1}]  # two threads are on one node


def test_on_one_node_workers_have_every_other_cpu_and_the_caller_stays(machine, monkeypatch):
    machine.nodes("0-3").use(monkeypatch, home=2)
    monkeypatch.setattr(affinity, "change", None)
    assert worker_cpus(3) == [{0, 1, 3}] * 2
    assert nodes.spread(3) == 1


def test_where_the_cpus_are_unknown_workers_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(affinity, "allowed", lambda _: None)
    assert nodes.places(4) == ()
    assert nodes.counts(4) == [4]
    assert nodes.spread(4) == 1
    assert worker_cpus(4) == [frozenset()] * 3


def test_a_team_puts_each_worker_on_its_node(machine, monkeypatch):
    machine.nodes("0-1", "2-3").use(monkeypatch, home=0)
    masks = {}
    monkeypatch.setattr(affinity, "change", masks.setdefault)
    team = Team(4)
    try:
        nothing = np.zeros(1, dtype=np.int64)
        team.run(Program([Work(0, 0, 0, nothing.ctypes.data, 0)], 4))
        of_workers = [masks[thread.native_id] for thread in team._threads]
    finally:
        team.close()
    assert of_workers == [{1}, {2, 3}, {2, 3}]
    assert threading.get_native_id() not in masks
