from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.codegen.nodes import NumaNode
from convprof.machine import caches, topology
from convprof.machine.topology import CoreKind

CPUS = "sys/devices/system/cpu"
PERFORMANCE = CoreKind("performance", 4, 2, 2, (0, 1, 2, 3))
EFFICIENCY = CoreKind("efficiency", 4, 4, 1, (4, 5, 6, 7))


def affinity(*cpus):
    return lambda: frozenset(cpus)


def counts(found):
    return found.logical_cpus, found.physical_cores, found.threads_per_core, found.sockets


def usable(found):
    return found.usable_cores, found.usable_cpus


def test_a_cloud_vm(fake):
    found = topology.detect(fake.cloud_vm().source(affinity=affinity(0, 1)))

    assert counts(found) == (2, 2, 1, 1)
    assert usable(found) == (2, 2)
    assert found.affinity == (0, 1)
    assert found.kinds == ()
    assert found.quota_cpus is None


def test_an_empty_tree_still_has_one_usable_cpu(fake):
    found = topology.detect(fake.source())

    assert counts(found) == (None, None, None, None)
    assert usable(found) == (1, 1)
    assert found.numa_nodes == ()
    assert found.affinity is None


def test_hybrid_with_smt_on_performance_cores_only(fake):
    found = topology.detect(fake.hybrid().source())

    assert counts(found) == (8, 6, 2, 1)
    assert usable(found) == (6, 8)
    assert found.kinds == (PERFORMANCE, EFFICIENCY)


def test_hybrid_with_its_efficiency_cores_off_is_no_hybrid(fake):
    fake.hybrid().online("0-3")

    found = topology.detect(fake.source())

    assert counts(found) == (4, 2, 2, 1)
    assert found.kinds == ()


def test_two_sockets(fake):
    found = topology.detect(fake.two_sockets().source())

    assert counts(found) == (8, 4, 2, 2)
    assert (NumaNode(0, (0, 1, 4, 5)), NumaNode(1, (2, 3, 6, 7))) == found.numa_nodes


def test_a_node_of_memory_alone_has_no_cpus(fake):
    nodes = "sys/devices/system/node"
    fake.two_sockets().write(f"{nodes}/online", "0-2\n").write(f"{nodes}/node2/cpulist", "\n")

    assert NumaNode(2, ()) == topology.detect(fake.source()).numa_nodes[2]


def test_packages_distinguish_cores_without_sibling_lists(fake):
    fake.two_sockets()
    for file in (fake.root / CPUS).glob("cpu*/topology/core_cpus_list"):
        file.unlink()

    assert counts(topology.detect(fake.source())) == (8, 4, 2, 2)


def test_big_little(fake):
    found = topology.detect(fake.big_little().source())

    assert counts(found) == (6, 6, 1, None)
    assert (
        CoreKind("performance", 2, 2, 1, (4, 5)),
        CoreKind("efficiency", 4, 4, 1, (0, 1, 2, 3)),
    ) == found.kinds


def test_many_capacities_are_named_by_value(fake):
    fake.big_little()
    for cpu, capacity in enumerate((200, 200, 400, 600, 800, 1024)):
        fake.write(f"{CPUS}/cpu{cpu}/cpu_capacity", str(capacity))

    names = [kind.name for kind in topology.detect(fake.source()).kinds]
    assert names == [
        "capacity 1024",
        "capacity 800",
        "capacity 600",
        "capacity 400",
        "capacity 200",
    ]


def test_equal_capacities_are_one_kind(fake):
    fake.neoverse()
    for cpu in range(4):
        fake.write(f"{CPUS}/cpu{cpu}/cpu_capacity", "1024\n")

    assert topology.detect(fake.source()).kinds == ()


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [((0,), (1, 1)), ((0, 1), (1, 2)), ((0, 2), (2, 2)), ((1, 2, 5), (3, 3)), ((0, 99), (2, 2))],
)
def test_affinity_smaller_than_the_machine(fake, cpus, expected):
    assert expected == usable(topology.detect(fake.hybrid().source(affinity=affinity(*cpus))))


@pytest.mark.parametrize(
    ("online", "cpus", "expected", "counted"),
    [
        ("0-3", (3, 8, 10, 12), (4, 4), (4, 4)),
        ("0-1", (4, 6), (2, 2), (2, 2)),
        ("0", (24,), (1, 1), (1, 1)),
        ("0-3", (8, 9, 10, 11), (2, 4), (4, 2)),
        ("0-3", (3, 8), (2, 2), (4, None)),  # of a container with four, two of them
        ("0-1", (0, 1, 4, 6), (3, 4), (4, 3)),  # fewer shown than may be used
        ("0-31", (4, 6), (2, 2), (32, 16)),  # not rewritten
        ("0-3", (40, 41), (2, 2), (4, None)),  # CPUs without a folder, each a core
        ("0-3", (2, 3, 40), (2, 3), (4, None)),
    ],
)
def test_the_affinity_has_the_machines_numbers_and_the_list_its_own(
    fake, online, cpus, expected, counted
):
    """As in LXC containers, whose list of online CPUs counts from 0."""
    for core in range(16):
        fake.core(2 * core, 2 * core + 1, core_id=core)
    fake.online(online).write(f"{CPUS}/present", "0-31\n")

    found = topology.detect(fake.source(affinity=affinity(*cpus)))

    assert expected == usable(found)
    assert counted == (found.logical_cpus, found.physical_cores)


def test_caches_of_renumbered_cpus_are_their_own(fake):
    for core in range(8):
        fake.core(2 * core, 2 * core + 1, core_id=core)
        fake.cache([2 * core, 2 * core + 1], 0, 1, "Data", "32K" if core < 2 else "48K")
    fake.online("0-1")

    (found,) = caches.detect(fake.source(affinity=affinity(4, 6)), ())

    assert (found.size_bytes, found.shared_by, found.instances) == (48 << 10, 1, 2)


def test_a_cpu_without_a_core_file_is_a_core_of_its_own(fake):
    fake.core(0, 1).online("0-2").write(f"{CPUS}/cpu2/online", "1\n")

    found = topology.detect(fake.source(affinity=affinity(0, 1, 2)))

    assert usable(found) == (2, 3)


@pytest.mark.parametrize(
    ("logical", "physical", "expected"),
    [(None, "2", (2, 2)), ("1", "2", (1, 1)), ("4", None, (4, 4)), (None, None, (1, 1))],
)
def test_odd_answers_of_sysctl(fake, logical, physical, expected):
    table = {"hw.logicalcpu": logical, "hw.physicalcpu": physical}

    assert expected == usable(topology.detect(fake.macos(table).source()))


CPU_SETS = st.frozensets(st.integers(0, 40), max_size=8)
COUNTS = st.none() | st.integers(1, 40)


ODD_MACHINES = st.fixed_dictionaries(
    {
        "folders": CPU_SETS,
        "online": CPU_SETS,
        "allowed": st.none() | CPU_SETS,
        "counts": st.tuples(COUNTS, COUNTS),
        "sysctl": st.tuples(COUNTS, COUNTS),
        "quota": st.none() | st.floats(0.01, 50),
        "pairs": st.booleans(),
    }
)


def odd_source(files, machine):
    """Return a source whose answers need not go together."""
    for cpu in machine["folders"]:
        files.write(f"{CPUS}/cpu{cpu}/online", "1\n")
        if cpu % 5:
            siblings = {cpu, cpu ^ 1} & machine["folders"] if machine["pairs"] else {cpu}
            text = ",".join(map(str, sorted(siblings)))
            files.write(f"{CPUS}/cpu{cpu}/topology/core_cpus_list", text)
    files.online(",".join(map(str, sorted(machine["online"]))))
    if machine["quota"] is not None:
        files.write("proc/self/cgroup", "0::/\n")
        files.write("sys/fs/cgroup/cpu.max", f"{round(machine['quota'] * 1e5)} 100000\n")
    answers = zip(("hw.logicalcpu", "hw.physicalcpu"), map(str, machine["sysctl"]), strict=True)
    return files.source(
        affinity=lambda: machine["allowed"],
        cpu_counts=lambda: machine["counts"],
        sysctl=dict(answers).get,
    )


@given(ODD_MACHINES)
def test_what_is_usable_is_within_what_there_is(new_machine, machine):
    found = topology.detect(odd_source(new_machine(), machine))

    assert 1 <= found.usable_cores <= found.usable_cpus
    if found.logical_cpus is not None:
        assert found.usable_cpus <= found.logical_cpus
        assert (found.physical_cores or 1) <= found.logical_cpus
    if found.physical_cores is not None:
        assert found.usable_cores <= found.physical_cores
    if machine["allowed"] and machine["quota"] is None:
        assert found.usable_cpus == len(machine["allowed"])


@pytest.mark.parametrize(
    ("allowed", "quota", "expected"),
    [
        (None, None, None),
        (range(8), None, None),
        (range(8), "900000", None),
        (range(8), "150000", "quota"),
        (range(2), "150000", "quota"),
        (range(2), "310000", "affinity"),
        (range(2), None, "affinity"),
    ],
)
def test_what_limits_the_number_of_threads(fake, allowed, quota, expected):
    fake.hybrid().write("proc/self/cgroup", "0::/\n")
    if quota:
        fake.write("sys/fs/cgroup/cpu.max", f"{quota} 100000\n")
    asked = {} if allowed is None else {"affinity": affinity(*allowed)}

    assert expected == topology.detect(fake.source(**asked)).limited_by


def test_affinity_without_a_map_of_the_cores(fake):
    source = fake.source(affinity=affinity(0, 1, 2), cpu_counts=lambda: (8, 2))

    found = topology.detect(source)

    assert counts(found) == (8, 2, 4, None)
    assert usable(found) == (2, 3)


def test_offline_cpus_do_not_count(fake):
    fake.two_sockets().online("0-1,3,5")

    found = topology.detect(fake.source())

    assert counts(found) == (4, 3, 2, 2)
    assert usable(found) == (3, 4)


def test_offline_cpus_without_a_list(fake):
    fake.hybrid().write(f"{CPUS}/cpu7/online", "0\n").write(f"{CPUS}/cpu6/online", "1\n")
    (fake.root / CPUS / "online").unlink()

    assert topology.detect(fake.source()).logical_cpus == 7


@pytest.mark.parametrize("junk", [b"\xff\x00\x80", b"", b"0-99999999999999", b"-3", b"9-1"])
def test_a_broken_list_falls_back_to_the_folders(fake, junk):
    fake.cloud_vm().write(f"{CPUS}/online", junk)

    assert counts(topology.detect(fake.source())) == (2, 2, 1, 1)


@pytest.mark.parametrize("junk", [b"\xff\x00\x80", b"", b"99999999999999999999", b"-7"])
def test_broken_core_files_fall_back_to_cpuinfo(fake, junk):
    fake.online("0-3")
    blocks = [f"processor: {n}\nphysical id: 0\ncore id: {n // 2}\n" for n in range(4)]
    fake.write("proc/cpuinfo", "\n".join(blocks))
    for cpu in range(4):
        for name in ("core_cpus_list", "core_id", "physical_package_id"):
            fake.write(f"{CPUS}/cpu{cpu}/topology/{name}", junk)

    assert counts(topology.detect(fake.source())) == (4, 2, 2, 1)


def test_cpuinfo_alone_counts_the_cpus(fake):
    found = topology.detect(fake.cpuinfo(3, model_name="x").source())

    assert counts(found) == (3, None, None, None)
    assert usable(found) == (3, 3)


def test_apple(fake, apple):
    found = topology.detect(fake.macos(apple).source())

    assert counts(found) == (8, 8, 1, 1)
    assert usable(found) == (8, 8)
    assert [
        CoreKind("performance", 4, 4, 1, None),
        CoreKind("efficiency", 4, 4, 1, None),
    ] == list(found.kinds)
