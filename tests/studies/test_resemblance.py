from __future__ import annotations

import pytest

from convprof.machine.published import Core, Figures, cores
from convprof.studies.resemblance import resemblances, verdict

A = Core("A", "x", "somebody", {"add": Figures((1, 1), (0.5, 0.5)), "mul": Figures((3, 4), None)})
B = Core("B", "x", "somebody", {"add": Figures((2, 2), (0.5, 0.5)), "div": Figures((9, 9), (3, 3))})


def middle(known):
    return None if known is None else sum(known) / 2


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_published_core_resembles_itself(architecture):
    every = cores(architecture)
    for core in every:
        costs = {
            name: (middle(figures.latency), middle(figures.reciprocal_throughput))
            for name, figures in core.figures.items()
        }
        found = resemblances(costs, every)
        assert verdict(found) == core.name
        assert found[0].distance == 0
        assert found[0].agreeing == found[0].rows == len(core.figures)


def test_a_row_agrees_if_all_its_figures_do():
    (a, b) = resemblances({"add": (1.02, 0.505), "mul": (3.5, 1.0), "sub": (1, 1)}, [B, A])
    assert (a.core, a.rows, a.agreeing) == ("A", 2, 2)
    assert a.distance == pytest.approx((1.02 * 1.01) ** (1 / 3) - 1)
    assert (b.core, b.rows, b.agreeing) == ("B", 1, 0)
    assert verdict([a, b]) == "A"


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


def test_of_equal_shares_more_rows_say_more():
    more = Core("more", "x", "s", {"add": Figures((1, 1), None), "mul": Figures((3, 3), None)})
    fewer = Core("fewer", "x", "s", {"add": Figures((1, 1), None)})
    found = resemblances({"add": (1.0, None), "mul": (3.1, None)}, [fewer, more])
    assert [one.core for one in found] == ["more", "fewer"]
