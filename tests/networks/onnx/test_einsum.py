"""Einsum: what is a product or a transposition becomes one, the rest is opaque."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError

ACTIVATIONS = {
    "bij,bkj->bik": (2, 3, 4),
    "bhid,bhjd->bhij": (2, 2, 3, 4),
    "bihd,bjhd->bhij": (2, 3, 2, 4),
    "bhij,bhjd -> bihd": (2, 2, 3, 3),
    "ij,ik->jk": (3, 4),
}
WEIGHTS = {
    "bik,kn->bin": ((2, 3, 4), (4, 5), "linear"),
    "bik,nk->bin": ((2, 3, 4), (5, 4), "linear"),
    "bik,knm->bnmi": ((2, 3, 4), (4, 5, 2), "linear"),
    "bhwc,hkc->bhwk": ((2, 3, 4, 5), (3, 6, 5), "matmul"),
}
OPAQUE = {"bij->bi": (2, 3, 4), "bij,bij->bij": (2, 3, 4), "...ij->...ji": (2, 3, 4)}


def kinds(network):
    return [each.op.kind for each in network.nodes]


def test_a_transposition(ops, node):
    found = ops([node("Einsum", "x", equation="bij->bji")], (2, 3, 4))
    assert [op.kind for op in found] == ["transpose"]


@pytest.mark.parametrize("equation", ACTIVATIONS)
def test_products_of_activations(same_as_runtime, node, equation):
    nodes = [node("Sigmoid", "x", "b"), node("Einsum", "x b", equation=equation)]
    found = kinds(same_as_runtime(nodes, ACTIVATIONS[equation]))
    assert "matmul" in found
    assert "opaque" not in found


@pytest.mark.parametrize("equation", WEIGHTS)
def test_products_with_weights(same_as_runtime, node, equation):
    shape, weight, kind = WEIGHTS[equation]
    nodes = [node("Einsum", "x w", equation=equation)]
    found = kinds(same_as_runtime(nodes, shape, {"w": weight}))
    assert kind in found
    assert "opaque" not in found


@pytest.mark.parametrize("equation", OPAQUE)
def test_other_equations_are_opaque(same_as_runtime, node, equation):
    inputs = "x x" if "," in equation else "x"
    network = same_as_runtime([node("Einsum", inputs, equation=equation)], OPAQUE[equation])
    assert kinds(network) == ["opaque"]


@pytest.mark.parametrize("equation", ["bij,bjk->bikz", "bij,bij->"])
def test_equations_that_are_no_product_are_refused(imported, node, equation):
    with pytest.raises(InputError, match=r"Einsum node number 1: only transpositions, and prod"):
        imported([node("Einsum", "x x", equation=equation)], (2, 3, 3))


def test_an_equation_that_does_not_fit_is_refused(imported, node):
    with pytest.raises(InputError, match=r"Einsum node number 1: bk does not fit \(2, 3, 4\)"):
        imported(
            [node("Einsum", "w x", equation="ak,bk->ab")], (2, 3, 4), {"w": np.ones((3, 4), "f4")}
        )
