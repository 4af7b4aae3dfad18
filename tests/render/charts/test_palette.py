"""Which colour, marker and dash a series has."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.render.charts import palette
from convprof.render.charts.chart import Series
from convprof.strategies import registry

NAMES = list(
    dict.fromkeys(s.name for kind in registry.KINDS for s in registry.strategies(kind))
)  # fmt: skip


def series(subject, **options):
    return Series(f"{subject} {options}", (), subject=subject, **options)


def shape(look):
    return (look.color, look.marker, look.dash, look.hollow)


def test_no_two_strategies_share_colour_and_marker():
    seen = {(look.color, look.marker) for look in map(palette.look_of, NAMES)}
    assert len(seen) == len(NAMES)


def test_a_strategy_looks_the_same_in_every_chart():
    for kind in registry.KINDS:
        names = [s.name for s in registry.strategies(kind)]
        for chart in (names, names[::-1], ["no strategy", *names[1:]]):
            drawn = dict(zip(chart, palette.looks([series(n) for n in chart]), strict=True))
            for name in set(chart) & set(NAMES):
                assert shape(drawn[name])[:2] == shape(palette.look_of(name))[:2]


def test_another_name_has_the_same_look_every_time_and_another_colour_than_strategies():
    assert shape(palette.look_of("1 turn")) == shape(palette.look_of("1 turn"))
    for name in map(str, range(30)):
        strategy, other = palette.looks([series("tiled"), series(name)])
        assert strategy.color != other.color


def test_variants_of_a_strategy_share_the_colour_and_differ_in_marker_or_dash():
    looks = palette.looks([series("tiled", variant=k) for k in range(4)])
    assert len({look.color for look in looks}) == 1
    assert len({shape(look) for look in looks}) == 4
    assert [look.hollow for look in looks] == [False, True, False, True]


def test_expected_and_measured_have_one_hue_and_the_expected_is_dashed_and_hollow():
    measured, expected = palette.looks([series("a"), series("a", expected=True)])
    assert measured.color == expected.color
    assert (measured.dash, measured.hollow) == ((), False)
    assert expected.dash
    assert expected.hollow


def test_ceilings_are_grey_and_take_no_colour():
    ceiling, strategy = palette.looks([Series("L1", (), ceiling=True), series("tiled")])
    assert ceiling.color == palette.CEILING
    assert strategy.color == palette.look_of("tiled").color != palette.CEILING


@given(st.lists(st.sampled_from([*NAMES, *map(str, range(20))]), unique=True, max_size=30))
def test_no_two_series_of_a_chart_look_alike(names):
    looks = palette.looks([series(name) for name in names])
    for a, b in itertools.combinations(looks, 2):
        assert (a.color, a.marker) != (b.color, b.marker)
        assert a.glyph != b.glyph


def test_more_series_than_looks_still_have_looks():
    assert len(palette.looks([series(str(k)) for k in range(200)])) == 200


@pytest.mark.parametrize("name", ["microkernel", "torch", "auto"])
def test_the_colour_is_one_of_the_palette(name):
    assert palette.look_of(name).color in palette.COLORS
