from __future__ import annotations

import pytest

from convprof.machine.caches import MEMORY, Cache, Level, holding, levels
from convprof.machine.facts import facts

KIB, MIB = 1 << 10, 1 << 20


def test_private_caches_and_a_shared_one(fake):
    caches = facts(fake.cloud_vm().source()).caches
    assert levels(caches, 1) == (
        Level("L1", 48 * KIB, 48 * KIB, 48 * KIB),
        Level("L2", 2 * MIB, 2 * MIB, 2 * MIB),
        Level("L3", 260 * MIB, 260 * MIB, 260 * MIB),
    )
    assert levels(caches, 2) == (
        Level("L1", 48 * KIB, 48 * KIB, 96 * KIB),
        Level("L2", 2 * MIB, 2 * MIB, 4 * MIB),
        Level("L3", 130 * MIB, 130 * MIB, 260 * MIB),
    )


def test_cores_that_differ_the_smallest_share_counts(fake):
    caches = facts(fake.hybrid().source()).caches
    one, six = levels(caches, 1), levels(caches, 6)
    assert [level.share_bytes for level in one] == [32 * KIB, 1280 * KIB, 12 * MIB]
    assert [level.largest_share_bytes for level in one] == [48 * KIB, 2 * MIB, 12 * MIB]
    assert one[0].total_bytes == 48 * KIB
    assert six[0].total_bytes == (2 * 48 + 4 * 32) * KIB
    assert six[1].share_bytes == 512 * KIB  # four small cores share two megabytes
    assert six[2].share_bytes == 2 * MIB


@pytest.mark.parametrize("threads", [1, 4])
def test_no_caches_known(fake, threads):
    assert levels(facts(fake.neoverse().source()).caches, threads) == ()


def test_behind_a_cache_of_unknown_size_nothing_is_known(fake):
    fake.cloud_vm()
    for cpu in (0, 1):
        (fake.root / f"sys/devices/system/cpu/cpu{cpu}/cache/index2/size").unlink(missing_ok=True)
        (fake.root / f"sys/devices/system/cpu/cpu{cpu}/cache/index1/size").unlink(missing_ok=True)
    names = [level.name for level in levels(facts(fake.source()).caches, 1)]
    assert names == ["L1"]


@pytest.mark.parametrize(
    ("footprint", "expected"),
    [(1, "L1"), (48 * KIB, "L1"), (48 * KIB + 1, "L2"), (300 * MIB, MEMORY)],
)
def test_the_nearest_level_that_holds_it(fake, footprint, expected):
    assert holding(levels(facts(fake.cloud_vm().source()).caches, 1), footprint) == expected


def test_data_may_be_in_a_cache_of_unknown_size():
    assert holding((), 1) is None
    first = Cache(1, "data", 32 * KIB, 64, 8, 1, 2, None)
    unknown = Cache(2, "unified", None, 64, 8, 1, 2, None)
    hierarchy = levels([first, unknown], 1)
    assert holding(hierarchy, 32 * KIB) == "L1"
    assert holding(hierarchy, 32 * KIB + 1) is None
    assert holding(levels([unknown, first], 1), 1) == "L1"
    assert holding(levels([first], 1), 1 << 30) == MEMORY
