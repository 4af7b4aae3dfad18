"""Which of our strategies take part where the best one is looked for."""

from __future__ import annotations

import pytest

from convprof.problems import Gemm
from convprof.problems.grouped_weights import DEFAULT_GROUP, GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Role, Strategy
from convprof.studies.compare.contenders import contenders

PRODUCT = Gemm(m=4, n=4, k=4)


class Fake(Strategy):
    kind = "gemm"

    def __init__(self, name, dtypes, *, generated=False, role=Role.OWN, grouped=()):
        self.name, self.dtypes, self.generated, self.role = name, dtypes, generated, role
        self.grouped = grouped

    def prepare(self, problem, setting):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _strategies(monkeypatch):
    every = [
        Fake("loops", ("f32", "bf16", "f16")),
        Fake("kernel", ("f32", "bf16"), generated=True, grouped=("f32", "bf16")),
        Fake("auto", ("f32",), generated=True, role=Role.CHOOSER, grouped=("f32",)),
        Fake("other", ("f32", "bf16", "f16", "s8"), role=Role.LIBRARY, grouped=("f16",)),
    ]
    monkeypatch.setattr(registry, "strategies", lambda _: every)


@pytest.mark.parametrize(
    ("dtype", "names"),
    [("f32", ["auto"]), ("bf16", ["kernel"]), ("f16", ["loops"]), ("s8", ["loops", "kernel"])],
)
def test_the_contenders_of_a_type(dtype, names):
    assert [strategy.name for strategy in contenders(PRODUCT, dtype)] == names


@pytest.mark.parametrize(("dtype", "names"), [("f32", ["auto"]), ("bf16", ["kernel"]), ("f16", [])])
def test_the_contenders_of_weights_in_groups(dtype, names):
    grouped = PRODUCT.with_grouped_weights(GroupedWeights("int4", DEFAULT_GROUP))
    assert [strategy.name for strategy in contenders(grouped, dtype)] == names
