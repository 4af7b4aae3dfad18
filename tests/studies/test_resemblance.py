from __future__ import annotations

import pytest

from convprof.machine.published import Core, Figures, cores
from convprof.studies.instructions import resemblances, verdict


def core(name, **figures):
    rows = {row: Figures(*pair) for row, pair in figures.items()}
    return Core(name, "somebody", "x", rows, f"vendor of {name}")


A = core("A", add=(1, 0.5), mul=(3, None))
B = core("B", add=(2, 0.5), div=(9, 3))


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_published_core_resembles_itself(architecture):
    every = cores(architecture)
    for one in every:
        costs = {
            name: (figures.latency, figures.reciprocal_throughput)
            for name, figures in one.figures.items()
        }
        found = resemblances(costs, every)
        assert verdict(found) == one.name
        assert (found[0].distance, found[0].far) == (0, 0)
        assert found[0].agreeing == found[0].rows == len(one.figures)


def test_a_row_agrees_if_all_its_figures_do():
    (a, b) = resemblances({"add": (1.02, 0.505), "mul": (3.0, 1.0), "sub": (1, 1)}, [B, A])
    assert (a.core, a.rows, a.agreeing, a.far) == ("A", 2, 2, 0)
    assert (b.core, b.rows, b.agreeing, b.far) == ("B", 1, 0, 1)
    assert verdict([a, b]) == "A"


def test_between_agreeing_and_far():
    for cycles, agreeing, far in ((1.09, 1, 0), (0.92, 1, 0), (1.2, 0, 0), (0.82, 0, 0),
                                  (1.3, 0, 1), (0.75, 0, 1)):  # fmt: skip
        (found,) = resemblances({"add": (cycles, None)}, [A])
        assert (found.agreeing, found.far) == (agreeing, far)


def test_the_median_row_gives_the_distance():
    """By its worst figure, up or down alike; one row far off does not move it."""
    known = core("C", a=(1, 1), b=(2, 2), c=(3, 3), d=(4, 4), e=(5, 5))
    costs = {"a": (1, 1), "b": (2, 2.02), "c": (3 / 1.03, 3), "d": (4, 4.08), "e": (5, 500)}
    (found,) = resemblances(costs, [known])
    assert found.distance == pytest.approx(0.02)
    assert (found.agreeing, found.far) == (4, 1)


def test_unlike_all_of_them():
    found = resemblances({"add": (7.0, 7.0), "div": (1.0, 1.0)}, [A, B])
    assert [one.agreeing for one in found] == [0, 0]
    assert verdict(found) is None


def test_unknown_figures_and_unknown_rows_count_for_nothing():
    assert resemblances({"sub": (1.0, 1.0)}, [A, B]) == []
    assert resemblances({"add": (None, None)}, [A]) == []
    (found,) = resemblances({"mul": (None, 9.0), "add": (None, 0.5)}, [A])
    assert (found.rows, found.agreeing) == (1, 1)
    assert verdict([]) is None


def test_of_equal_shares_fewer_far_rows_and_then_more_rows_say_more():
    more, fewer = core("more", add=(1, None), mul=(3, None)), core("fewer", add=(1, None))
    found = resemblances({"add": (1.0, None), "mul": (3.1, None)}, [fewer, more])
    assert [one.core for one in found] == ["more", "fewer"]
    near, far = core("near", add=(1.2, None)), core("far", add=(2, None))
    found = resemblances({"add": (1.0, None)}, [far, near])
    assert [one.core for one in found] == ["near", "far"]


def test_of_cores_that_are_equally_alike_the_one_of_the_own_vendor_is_first():
    costs = {"add": (1.0, 0.5), "mul": (3.0, 1.0)}
    twin, other = core("twin", add=(1, 0.5), mul=(3, 1)), core("other", add=(2, 0.5))
    every = [A, twin, other]
    assert [one.core for one in resemblances(costs, every)] == ["A", "twin", "other"]
    for vendor, first in (("vendor of twin", "twin"), ("vendor of other", "A"), ("no core's", "A")):
        assert resemblances(costs, every, vendor)[0].core == first
