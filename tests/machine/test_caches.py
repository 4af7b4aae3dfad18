from __future__ import annotations

import pytest

from convprof.machine import caches, topology
from convprof.machine.caches import Cache

CPUS = "sys/devices/system/cpu"
KIB, MIB = 1 << 10, 1 << 20


def caches_of(source):
    return list(caches.detect(source, topology.detect(source).kinds))


def test_a_cloud_vm(fake):
    assert [
        Cache(1, "data", 48 * KIB, 64, 12, 1, 2, None),
        Cache(1, "instruction", 32 * KIB, 64, 8, 1, 2, None),
        Cache(2, "unified", 2 * MIB, 64, 16, 1, 2, None),
        Cache(3, "unified", 260 * MIB, 64, 20, 2, 1, None),
    ] == caches_of(fake.cloud_vm().source())


def test_hybrid_caches_differ_by_kind(fake):
    assert [
        Cache(1, "data", 48 * KIB, 64, 12, 2, 2, "performance"),
        Cache(1, "data", 32 * KIB, 64, 8, 1, 4, "efficiency"),
        Cache(2, "unified", 1280 * KIB, 64, 10, 2, 2, "performance"),
        Cache(2, "unified", 2 * MIB, 64, 16, 4, 1, "efficiency"),
        Cache(3, "unified", 12 * MIB, 64, 12, 8, 1, None),
    ] == caches_of(fake.hybrid().source())


def test_offline_cpus_share_nothing(fake):
    fake.hybrid().online("0-4")

    shared = {(cache.level, cache.core_kind): cache.shared_by for cache in caches_of(fake.source())}

    assert shared[2, "efficiency"] == 1
    assert shared[3, None] == 5


@pytest.mark.parametrize("junk", [b"\xff\xfe\x00", b"", b"-48K", b"999999999999999999999K", b"0"])
def test_a_broken_file_is_one_unknown(fake, junk):
    fake.cloud_vm()
    for cpu in (0, 1):
        base = f"{CPUS}/cpu{cpu}/cache/index0"
        for name in ("size", "coherency_line_size", "ways_of_associativity"):
            fake.write(f"{base}/{name}", junk)

    assert Cache(1, "data", None, None, None, 1, 2, None) in caches_of(fake.source())


def test_instances_are_unknown_without_sharing_lists(fake):
    fake.cloud_vm()
    for file in (fake.root / CPUS).glob("cpu*/cache/index*/shared_cpu_list"):
        file.write_bytes(b"\x80")

    found = caches_of(fake.source())

    assert len(found) == 4
    assert {(None, None)} == {(cache.shared_by, cache.instances) for cache in found}


@pytest.mark.parametrize("junk", [b"", b"x", b"-1", b"77"])
def test_a_cache_without_a_level_is_left_out(fake, junk):
    fake.cloud_vm()
    for cpu in (0, 1):
        fake.write(f"{CPUS}/cpu{cpu}/cache/index3/level", junk)

    assert [cache.level for cache in caches_of(fake.source())] == [1, 1, 2]


def test_an_unknown_type_is_kept_as_unknown(fake):
    fake.cloud_vm().write(f"{CPUS}/cpu0/cache/index2/type", "Trace?")

    kinds = [cache.kind for cache in caches_of(fake.source()) if cache.level == 2]

    assert kinds == ["unified", None]


def test_no_sysfs_no_caches(fake):
    assert caches_of(fake.source()) == []


def test_apple(fake, apple):
    fast, slow = "performance", "efficiency"
    assert [
        Cache(1, "data", 128 * KIB, 128, None, 1, 4, fast),
        Cache(1, "data", 64 * KIB, 128, None, 1, 4, slow),
        Cache(1, "instruction", 192 * KIB, 128, None, 1, 4, fast),
        Cache(1, "instruction", 128 * KIB, 128, None, 1, 4, slow),
        Cache(2, "unified", 16 * MIB, 128, None, 4, 1, fast),
        Cache(2, "unified", 4 * MIB, 128, None, 4, 1, slow),
    ] == caches_of(fake.macos(apple).source())


def test_intel_mac(fake):
    table = {
        "hw.logicalcpu": "12",
        "hw.physicalcpu": "6",
        "hw.cachelinesize": "64",
        "hw.l1dcachesize": "32768",
        "hw.l3cachesize": str(12 * MIB),
        "hw.cacheconfig": "12 2 2 12 0 0 0",
    }
    assert [
        Cache(1, "data", 32 * KIB, 64, None, 2, 6, None),
        Cache(3, "unified", 12 * MIB, 64, None, 12, 1, None),
    ] == caches_of(fake.macos(table, machine="x86_64").source())


def test_a_mac_without_answers(fake):
    assert caches_of(fake.macos({}).source()) == []
