from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convprof.machine import Facts, facts
from convprof.machine.noise import NoiseWatch
from convprof.machine.sources import Source

MACHINES = ["cloud_vm", "hybrid", "two_sockets", "neoverse", "big_little"]


def check(found):
    """Check what holds for the facts of every machine."""
    text = json.dumps(found.to_json(), allow_nan=False)
    assert found.to_json() == json.loads(text)
    assert len(found.identity_key()) == 12
    assert 1 <= found.topology.usable_cores <= found.topology.usable_cpus


def test_this_machine():
    found = facts()

    check(found)
    assert found is facts()
    assert found.software is None
    assert found.topology.logical_cpus >= 1


def test_software_of_this_machine():
    found = facts(software=True)

    check(found)
    assert found.software.numpy is not None
    assert "workqueue" in found.software.threading_layers
    assert found.software.llvm.split(".")[0].isdigit()
    assert found.identity_key() == facts().identity_key()


def test_importing_is_light():
    code = (
        "import sys, convprof.machine;"
        "print(*{'numpy', 'numba', 'llvmlite', 'psutil', 'cpuinfo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_facts_alone_do_not_load_a_compiler():
    code = (
        "import sys, convprof.machine; convprof.machine.facts();"
        "print(*{'numpy', 'numba', 'cpuinfo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", MACHINES)
def test_fake_machines(fake, name):
    check(facts(getattr(fake, name)().source()))


def test_an_empty_tree(fake):
    found = facts(fake.source())

    check(found)
    assert isinstance(found, Facts)
    assert found.cpu.brand is None
    assert found.caches == ()
    assert found.memory.total_bytes is None


def test_apple(fake, apple):
    check(facts(fake.macos(apple).source()))


def test_windows(fake):
    check(facts(fake.source(platform="win32", machine="AMD64", cpu_counts=lambda: (8, 4))))


def test_identity_ignores_states(fake):
    fake.hybrid().write("proc/self/cgroup", "0::/\n")
    before = facts(fake.source(affinity=lambda: frozenset({0})))
    fake.write("sys/fs/cgroup/cpu.max", "200000 100000")
    fake.write("sys/devices/system/cpu/cpu0/cpufreq/base_frequency", "2100000")
    after = facts(fake.source(memory=lambda: (1 << 33, 1 << 30), release="6.9.9"))

    assert before != after
    assert before.identity() == after.identity()
    assert before.identity_key() == after.identity_key()


def test_identity_sees_another_machine(fake):
    before = facts(fake.hybrid().source())
    fake.cache(range(8), 3, 3, "Unified", "16M")
    bigger_cache = facts(fake.source())
    fake.online("0-3")
    fewer_cores = facts(fake.source())

    assert len({item.identity_key() for item in (before, bigger_cache, fewer_cores)}) == 3


def test_the_key_is_pinned(fake):
    """Results on disk are matched by it: a change here makes old ones incomparable."""
    assert facts(fake.cloud_vm().source()).identity_key() == "1241400d0298"


FILES = [
    "proc/cpuinfo",
    "proc/self/cgroup",
    "proc/self/mountinfo",
    "sys/devices/cpu_core/cpus",
    "sys/devices/cpu_atom/cpus",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
    "sys/devices/system/cpu/cpu0/cache/index0/size",
    "sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list",
    "sys/devices/system/node/online",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/cpu.stat",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory.high",
    "sys/fs/cgroup/memory.stat",
    "proc/stat",
    "sys/class/dmi/id/sys_vendor",
]
JUNK = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            b"-1",
            b"0",
            b"0-7",
            b"9" * 30,
            b"\xff\xfe",
            b"processor: \n\nprocessor:",
            b"50000 100000\n",
            b"nr_periods 1\nnr_throttled 2\nthrottled_usec x\n",
            b"cpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3\ncpu3 1 2 3 4 5\n",
        ]
    ),
)


@pytest.fixture
def hybrid(fake):
    return fake.hybrid()


@contextlib.contextmanager
def written(machine, contents):
    """Give files of a fake machine these contents; it has 300 files, which are made only once."""
    paths = [machine.root / path for path in contents]
    before = {path: path.read_bytes() for path in paths if path.exists()}
    try:
        for path, content in contents.items():
            machine.write(path, content)
        yield
    finally:
        for path in paths:
            if path in before:
                path.write_bytes(before[path])
            else:
                path.unlink()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    contents=st.dictionaries(st.sampled_from(FILES), JUNK),
    machine=st.sampled_from(["x86_64", "arm64"]),
)
def test_no_corrupted_file_raises(hybrid, contents, machine):
    with written(hybrid, contents):
        source = Source(root=hybrid.root, machine=machine, affinity=lambda: frozenset({0, 3}))
        check(facts(source))
        watch = NoiseWatch(8, source)
        json.dumps(watch.state(), allow_nan=False)
        watch.findings()


@given(
    table=st.dictionaries(
        st.sampled_from(["hw.nperflevels", "hw.logicalcpu", "hw.physicalcpu"]), st.text()
    )
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_no_sysctl_answer_raises(fake, table):
    check(facts(fake.macos(table).source()))
