from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from convprof.strategies.memory import PAGE_BYTES
from convprof.strategies.networks.arena import Lifetime, places

LIVES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 5 * PAGE_BYTES),
        st.integers(0, 9),
        st.integers(0, 4),
    ),
    max_size=12,
)


def pages(size):
    return -(-size // PAGE_BYTES) * PAGE_BYTES


@given(LIVES)
def test_what_lives_at_the_same_time_does_not_overlap(lives):
    found, total = places(lives)
    assert found.keys() == lives.keys()
    for name, life in lives.items():
        assert found[name] % PAGE_BYTES == 0
        assert 0 <= found[name] <= total - pages(life.size)
        for other, its in lives.items():
            if other != name and life.overlaps(its):
                apart = found[name] + pages(life.size) <= found[other]
                assert apart or found[other] + pages(its.size) <= found[name]


@given(LIVES)
def test_never_more_than_all_side_by_side_nor_less_than_what_lives_at_once(lives):
    _, total = places(lives)
    most = max(
        (
            sum(pages(life.size) for life in lives.values() if life.first <= now <= life.last)
            for now in range(15)
        ),
        default=0,
    )
    assert most <= total <= sum(pages(life.size) for life in lives.values())


def test_a_chain_of_equal_results_takes_two_places():
    lives = {str(i): Lifetime(100, i, i + 1) for i in range(10)}
    assert places(lives)[1] == 2 * PAGE_BYTES
