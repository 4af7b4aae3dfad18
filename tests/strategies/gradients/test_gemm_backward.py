"""Every strategy for a product's gradients against the float64 reference."""

from __future__ import annotations

import pytest
from checks import THREADS, check, own_strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.dtypes import COMMON
from convprof.problems import BackwardData, BackwardWeights, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting

PASSES = {"data": BackwardData, "weights": BackwardWeights}
STRATEGIES = [
    (which, name) for which in PASSES for name in own_strategies(f"gemm-backward-{which}")
]

each_strategy = pytest.mark.parametrize(("which", "name"), STRATEGIES)


@each_strategy
def test_random_problems(which, name):
    strategy = registry.find(f"gemm-backward-{which}", name)
    size = st.one_of(st.integers(1, 9), st.sampled_from([16, 33, 50, 100]))

    # No example after the 14th of 40 took a branch of its own.
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(
        st.builds(Gemm, m=size, n=size, k=size, batch=st.integers(1, 3)),
        st.sampled_from(COMMON),
        st.sampled_from(THREADS if strategy.parallel else [1]),
        st.integers(0, 999),
    )
    def problem(g, dtype, threads, seed):
        check(PASSES[which](g), name, Setting("nchw", dtype, threads), seed)

    problem()


@each_strategy
def test_a_large_product(which, name):
    for g in (Gemm(m=150, n=300, k=200), Gemm(m=130, n=70, k=140, batch=2)):
        check(PASSES[which](g), name, Setting())


def test_a_strategy_is_known_by_its_pass():
    names = [strategy.name for strategy in registry.strategies("gemm-backward-data")]
    assert names == ["naive", "tiled", "packed", "auto", "blas", "torch"]


@pytest.mark.parametrize("which", PASSES)
def test_a_gradient_has_as_many_blockings_to_try_on_two_threads(which):
    # The product of the gradient of the weights is 16 x 8 of 16384 steps: sums that the forward
    # pass shares out among the threads. Gradients do not.
    g = {"weights": Gemm(m=16384, n=8, k=16), "data": Gemm(m=16, n=16384, k=8)}[which]
    packed = registry.find(f"gemm-backward-{which}", "packed")
    one, two = (packed.blockings(PASSES[which](g), Setting(threads=count)) for count in (1, 2))
    assert len(two) == len(one) > 1
