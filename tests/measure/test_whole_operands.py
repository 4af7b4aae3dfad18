from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32, types
from convprof.errors import TooLargeError
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems import NetworkProblem, ops
from convprof.problems.graph import Builder, Network
from convprof.strategies import memory


def network(*nodes, shape=(2, 3, 5, 7)):
    net = Builder()
    for index, op in enumerate(nodes):
        net.add(f"n{index}", op)
    return NetworkProblem(Network("net", shape, tuple(net.nodes)))


CONV = network(ops.Convolution.square(4, 1), ops.Activation("relu"))
LINEAR = network(ops.Linear(5, bias=False), shape=(4, 6))


@pytest.mark.parametrize(("dtype", "kind"), [("f32", np.float32), ("f64", np.float64)])
def test_the_same_numbers_in_every_layout(dtype, kind):
    drawn = NetworkOperands(CONV, types(dtype), 1)
    (nchw, weights), (nhwc, again) = drawn.all("nchw"), drawn.all("nhwc")
    assert (nchw.dtype, nhwc.dtype) == (kind, kind)
    assert nchw.shape == CONV.operands("nchw", F32)[0].shape
    assert nhwc.shape == CONV.operands("nhwc", F32)[0].shape
    np.testing.assert_array_equal(nchw.transpose(0, 2, 3, 1), nhwc)
    assert nhwc.flags.c_contiguous
    assert weights is again
    assert weights["n0"]["weight"].shape == (4, 3, 1, 1)


def test_the_same_numbers_from_the_same_seed_and_in_both_types():
    first, again, other = (NetworkOperands(CONV, F32, seed).all("nchw")[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, NetworkOperands(CONV, types("f64"), 1).all("nchw")[0])


def test_the_reference_is_the_network_in_float64():
    drawn = NetworkOperands(LINEAR, F32, 0)
    x, weights = drawn.all("nhwc")
    assert drawn.points is None
    assert drawn.reference.dtype == np.float64
    expected = x.astype(np.float64) @ weights["n0"]["weight"].astype(np.float64)
    np.testing.assert_allclose(expected, drawn.reference, rtol=1e-12)


def test_a_result_in_nhwc_is_turned_before_it_is_compared():
    drawn = NetworkOperands(CONV, F32, 0)
    exact = drawn.reference
    assert max_rel_error(drawn, exact, "nchw") == 0
    turned = np.ascontiguousarray(exact.transpose(0, 2, 3, 1))
    assert max_rel_error(drawn, turned, "nhwc") == 0
    turned[0, 0, 0, 0] += np.max(np.abs(exact))
    assert max_rel_error(drawn, turned, "nhwc") == pytest.approx(1)


def test_what_does_not_fit_is_refused_before_it_is_drawn(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * 4 * 5 * 6 - 1)
    with pytest.raises(TooLargeError, match="net of 4x6 needs"):
        NetworkOperands(LINEAR, F32, 0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * 4 * 5 * 6)
    NetworkOperands(LINEAR, F32, 0)
