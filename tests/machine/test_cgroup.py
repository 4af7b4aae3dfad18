from __future__ import annotations

import pytest

from convprof.machine import cgroup, memory, topology
from convprof.machine.cgroup import MemoryLimit, Throttling

GROUPS = "sys/fs/cgroup"
GIB = 1 << 30


def v2(fake, path="/"):
    return fake.write("proc/self/cgroup", f"0::{path}\n")


def test_no_groups_no_limits(fake):
    assert cgroup.cpu_quota(fake.source()) is None
    assert cgroup.memory_limit(fake.source()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("150000 100000\n", 1.5),
        ("max 100000\n", None),
        ("50000", 0.5),
        ("-1 100000", None),
        ("100000 0", None),
        ("\ufffd", None),
        ("", None),
    ],
)
def test_quota_of_v2(fake, text, expected):
    v2(fake).write(f"{GROUPS}/cpu.max", text)

    assert expected == cgroup.cpu_quota(fake.source())


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000", (1, 1)), ("50000", (1, 1)), ("310000", (3, 3)), ("max", (6, 8))],
)
def test_usable_cores_are_the_whole_cpus_of_the_quota(fake, quota, expected):
    v2(fake.hybrid()).write(f"{GROUPS}/cpu.max", f"{quota} 100000\n")

    found = topology.detect(fake.source())

    assert expected == (found.usable_cores, found.usable_cpus)


def test_the_tightest_ancestor_counts(fake):
    v2(fake, "/slice/service/leaf")
    fake.write(f"{GROUPS}/slice/cpu.max", "200000 100000")
    fake.write(f"{GROUPS}/slice/service/cpu.max", "350000 100000")
    fake.write(f"{GROUPS}/slice/service/leaf/cpu.max", "max 100000")

    assert cgroup.cpu_quota(fake.source()) == 2.0


def test_another_group_does_not_count(fake):
    v2(fake, "/mine").write(f"{GROUPS}/other/cpu.max", "100000 100000")

    assert cgroup.cpu_quota(fake.source()) is None


@pytest.mark.parametrize(("quota", "expected"), [("250000", 2.5), ("-1", None)])
def test_quota_of_v1(fake, quota, expected):
    fake.write("proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n")
    fake.write(f"{GROUPS}/cpu,cpuacct/box/cpu.cfs_quota_us", f"{quota}\n")
    fake.write(f"{GROUPS}/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")

    assert expected == cgroup.cpu_quota(fake.source())


def test_the_mount_table_has_the_path_of_a_containers_group(fake):
    """Without a cgroup namespace the path is the host's, the mount's root the container's."""
    fake.write("proc/self/cgroup", "4:cpu,cpuacct:/docker/1234/sub\n")
    fake.write(
        "proc/self/mountinfo",
        "29 24 0:26 /docker/1234 /groups/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        "30 24 0:27 / /groups/pids rw - cgroup cgroup rw,pids\n"
        "broken line\n",
    )
    fake.write("groups/cpu/sub/cpu.cfs_quota_us", "120000")
    fake.write("groups/cpu/sub/cpu.cfs_period_us", "100000")

    assert cgroup.cpu_quota(fake.source()) == 1.2


def test_both_versions_at_once(fake):
    fake.write("proc/self/cgroup", "4:cpu:/\n0::/unit\n")
    fake.write(
        "proc/self/mountinfo",
        "29 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 24 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    )
    fake.write(f"{GROUPS}/unified/unit/cpu.max", "300000 100000")

    assert cgroup.cpu_quota(fake.source()) == 3.0


def test_a_path_out_of_the_namespace_starts_at_its_root(fake):
    v2(fake, "/../../elsewhere").write(f"{GROUPS}/cpu.max", "100000 100000")

    assert cgroup.cpu_quota(fake.source()) == 1.0


def test_memory_of_v2_counts_dropped_cache_as_free(fake):
    v2(fake).write(f"{GROUPS}/memory.max", str(4 * GIB))
    fake.write(f"{GROUPS}/memory.current", str(3 * GIB))
    fake.write(f"{GROUPS}/memory.stat", f"anon 1\ninactive_file {2 * GIB}\n")

    assert MemoryLimit(4 * GIB, 3 * GIB, "memory.max") == cgroup.memory_limit(fake.source())


def test_memory_of_v1(fake):
    fake.write("proc/self/cgroup", "5:memory:/box\n")
    fake.write(f"{GROUPS}/memory/memory.limit_in_bytes", "9223372036854771712\n")
    fake.write(f"{GROUPS}/memory/box/memory.limit_in_bytes", f"{2 * GIB}\n")
    fake.write(f"{GROUPS}/memory/box/memory.usage_in_bytes", f"{5 * GIB}\n")

    assert MemoryLimit(2 * GIB, 0, "memory.limit_in_bytes") == cgroup.memory_limit(fake.source())


def test_available_memory_is_the_least_of_all(fake):
    v2(fake).write(f"{GROUPS}/memory.max", str(2 * GIB)).write(f"{GROUPS}/memory.current", "0")

    assert memory.available_bytes(fake.source(memory=lambda: (8 * GIB, 6 * GIB))) == 2 * GIB
    assert memory.available_bytes(fake.source(memory=lambda: (8 * GIB, GIB))) == GIB
    assert memory.available_bytes(fake.source()) == 2 * GIB


def test_available_memory_may_be_unknown(fake):
    assert memory.available_bytes(fake.source()) is None


def test_this_machine_has_memory():
    assert memory.available_bytes() > 0


@pytest.mark.parametrize(
    ("text", "expected"), [("always [madvise] never\n", "madvise"), ("", None), ("always", None)]
)
def test_huge_pages(fake, text, expected):
    fake.write("sys/kernel/mm/transparent_hugepage/enabled", text)

    assert expected == memory.detect(fake.source()).transparent_huge_pages


@pytest.mark.parametrize(
    ("high", "most", "expected"),
    [
        (1, 4, MemoryLimit(GIB, GIB - 5, "memory.high")),
        (4, 1, MemoryLimit(GIB, GIB - 5, "memory.max")),
        (1, None, MemoryLimit(GIB, GIB - 5, "memory.high")),
        (None, None, None),
    ],
)
def test_memory_that_is_slowed_down_is_not_there(fake, high, most, expected):
    v2(fake).write(f"{GROUPS}/memory.current", "5")
    for name, size in {"high": high, "max": most}.items():
        fake.write(f"{GROUPS}/memory.{name}", "max\n" if size is None else f"{size * GIB}\n")

    assert expected == cgroup.memory_limit(fake.source())
    found = memory.detect(fake.source())
    assert found.limit_name == (expected.name if expected else None)
    assert found.available_bytes == (expected.left_bytes if expected else None)


def v1_quota(fake, quota, stat):
    fake.write("proc/self/cgroup", "4:cpu,cpuacct:/box\n0::/\n")
    fake.write(f"{GROUPS}/cpu,cpuacct/box/cpu.cfs_quota_us", f"{quota}\n")
    fake.write(f"{GROUPS}/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
    return fake.write(f"{GROUPS}/cpu,cpuacct/box/cpu.stat", stat)


def test_throttling_of_v1_is_in_nanoseconds(fake):
    v1_quota(fake, 50000, "nr_periods 10\nnr_throttled 4\nthrottled_time 1500000000\n")

    assert list(cgroup.throttling(fake.source()).values()) == [Throttling(10, 4, 1.5)]


def test_throttling_of_v2_is_in_microseconds(fake):
    v2(fake).write(f"{GROUPS}/cpu.max", "50000 100000\n")
    stat = "usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 1500000\n"
    fake.write(f"{GROUPS}/cpu.stat", stat)

    assert list(cgroup.throttling(fake.source()).values()) == [Throttling(10, 4, 1.5)]


@pytest.mark.parametrize("quota", [-1, 0])
def test_no_quota_no_throttling(fake, quota):
    v1_quota(fake, quota, "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")

    assert cgroup.throttling(fake.source()) == {}


@pytest.mark.parametrize("stat", ["", "nr_periods\n", "nr_periods x\nnr_throttled 1\n", "\x00"])
def test_a_broken_account_of_throttling_is_unknown(fake, stat):
    v1_quota(fake, 50000, stat)

    assert cgroup.throttling(fake.source()) == {}


def test_the_worst_quota_counts(fake):
    v2(fake, "/outer/inner")

    def write(outer, inner):
        for path, (periods, throttled, usec) in {"outer": outer, "outer/inner": inner}.items():
            fake.write(f"{GROUPS}/{path}/cpu.max", "50000 100000\n")
            text = f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {usec}\n"
            fake.write(f"{GROUPS}/{path}/cpu.stat", text)

    write((10, 5, 10**6), (10, 1, 0))
    before = cgroup.throttling(fake.source())
    write((30, 6, 2 * 10**6), (40, 11, 4 * 10**6))

    found = cgroup.throttled_since(before, fake.source())

    assert found == Throttling(30, 10, 4.0)


def test_a_group_that_was_changed_meanwhile_is_unknown(fake):
    v1_quota(fake, 50000, "nr_periods 10\nnr_throttled 4\nthrottled_time 0\n")
    before = cgroup.throttling(fake.source())
    v1_quota(fake, 50000, "nr_periods 2\nnr_throttled 1\nthrottled_time 0\n")

    assert cgroup.throttled_since(before, fake.source()) is None
    assert cgroup.throttled_since({}, fake.source()) is None
