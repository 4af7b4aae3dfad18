from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter

import pytest

from convprof.errors import UnknownNameError
from convprof.strategies import base, registry

ALL = [strategy for kind in registry.KINDS for strategy in registry.strategies(kind)]


def test_every_entry_belongs_to_one_kind():
    assert len(ALL) == len(registry.STRATEGIES)
    assert {strategy.kind for strategy in ALL} == set(registry.KINDS)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_names_are_unique_per_kind(kind):
    counts = Counter(strategy.name for strategy in registry.strategies(kind))
    assert counts
    assert max(counts.values()) == 1


@pytest.mark.parametrize(
    ("kind", "ladder"),
    [
        ("conv2d", ["direct", "reordered", "im2col", "im2col-blas", "tiled", "threaded"]),
        ("gemm", ["naive", "reordered", "tiled", "threaded", "blas"]),
        ("attention", ["naive", "blas", "fused"]),
        ("reorder", ["transpose"]),
    ],
)
def test_the_ladder_is_in_order(kind, ladder):
    names = [strategy.name for strategy in registry.strategies(kind)]
    assert ladder == [name for name in names if name in ladder]


@pytest.mark.parametrize("strategy", ALL, ids=lambda item: f"{item.kind}:{item.name}")
def test_a_strategy_is_described_in_one_line(strategy):
    assert strategy.summary
    assert len(strategy.summary) <= 79
    assert strategy.summary.isprintable()
    assert not strategy.summary.endswith(".")
    assert strategy.name.replace("-", "").isalnum()
    assert strategy.name == strategy.name.lower()
    assert isinstance(strategy, base.Strategy)
    module = importlib.import_module(type(strategy).__module__)
    first_line = module.__doc__.splitlines()[0]
    assert 20 < len(first_line) <= 100


def test_strategies_are_made_once():
    assert registry.find("gemm", "tiled") is registry.find("gemm", "tiled")
    assert registry.find("gemm", "tiled") is not registry.find("conv2d", "tiled")


def test_unknown_kinds_and_names():
    with pytest.raises(UnknownNameError) as caught:
        registry.strategies("gem")
    assert str(caught.value) == "unknown kind of problem 'gem': did you mean gemm?"
    with pytest.raises(UnknownNameError, match=r"unknown conv2d strategy 'imcol': did you mean im"):
        registry.find("conv2d", "imcol")
    with pytest.raises(UnknownNameError, match="unknown gemm strategy 'zzzz': known: auto, blas"):
        registry.find("gemm", "zzzz")


ASK = """
import sys
from convprof.problems import Attention, Conv2d, Gemm, LayoutConversion
from convprof.strategies import registry
from convprof.strategies.base import Setting
problems = [
    Conv2d(c=4, h=9, w=9, k=4, r=3, s=3),
    Gemm(m=4, n=4, k=4),
    Attention(heads=1, tokens=4, dim=4),
    LayoutConversion(n=1, c=2, h=3, w=4),
]
asked = 0
for problem in problems:
    for strategy in registry.strategies(problem.kind):
        for setting in (Setting(), Setting("nhwc", "f64", 2), Setting(dtype="bf16")):
            assert strategy.name and strategy.summary
            strategy.why_not(problem, setting)
            asked += 1
print(asked >= 36, "numba" in sys.modules)
"""


def test_asking_a_strategy_needs_no_numba():
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True", "False"]
