from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from convprof.machine.caches import MEMORY, Level, working_sets

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
VM = (
    Level("L1", 48 * KIB, 48 * KIB, 48 * KIB),
    Level("L2", 2 * MIB, 2 * MIB, 2 * MIB),
    Level("L3", 260 * MIB, 260 * MIB, 260 * MIB),
)


def sizes(found):
    return {ws.level: ws.bytes_per_thread for ws in found}


def test_half_a_cache_eight_times_the_one_before_four_times_the_last():
    assert sizes(working_sets(VM, 1, 24 * GIB)) == {
        "L1": 24 * KIB,
        "L2": 384 * KIB,
        "L3": 16 * MIB,
        "memory": 1040 * MIB,
    }


def test_memory_is_shared_by_the_threads():
    assert sizes(working_sets(VM, 2, 24 * GIB))["memory"] == 520 * MIB


def test_short_memory_takes_less_and_too_little_is_refused():
    assert sizes(working_sets(VM, 1, 3 * GIB))["memory"] == 3 * GIB // 4
    (*_, refused) = working_sets(VM, 1, 2 * GIB)
    assert refused.bytes_per_thread is None
    assert refused.reason == (
        "needs 520 MiB, 2 times the last cache, and takes at most 1/4 of the 2 GiB available"
    )


def test_a_share_barely_above_the_cache_before():
    crowded = (
        Level("L2", 2 * MIB, 2 * MIB, 16 * MIB),
        Level("L3", 5 * MIB, 5 * MIB, 40 * MIB),
    )
    between = sizes(working_sets(crowded, 8, None))["L3"]
    assert 2 * MIB < between < 5 * MIB
    hopeless = (crowded[0], Level("L3", 3 * MIB, 3 * MIB, 24 * MIB))
    refused = working_sets(hopeless, 8, None)[1]
    assert refused.bytes_per_thread is None
    assert "3 MiB" in refused.reason


def test_unknown_caches_leave_memory():
    assert [ws.level for ws in working_sets((), 4, None)] == [MEMORY]


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=4),
    st.integers(1, 64),
    st.none() | st.integers(0, 1 << 40),
)
def test_a_working_set_fits_its_level_and_not_the_one_before(caches, threads, available):
    found = [Level(f"L{i + 1}", size, size, size * threads) for i, size in enumerate(caches)]
    made = working_sets(found, threads, available)
    assert [ws.level for ws in made] == [*(level.name for level in found), MEMORY]
    before = 0
    for level, ws in zip(found, made, strict=False):
        if ws.bytes_per_thread is None:
            assert ws.reason
        else:
            assert before < ws.bytes_per_thread <= level.share_bytes or level.share_bytes < 4
        before = level.largest_share_bytes
    memory = made[-1].bytes_per_thread
    if memory is not None:
        assert (memory + 1) * threads > 2 * found[-1].total_bytes
        assert available is None or memory * threads <= available / 4
