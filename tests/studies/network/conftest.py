"""Tiny networks, and sessions that take next to no time."""

from __future__ import annotations

import pytest

from convprof.measure import session as session_module
from convprof.measure.settings import Settings
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    BatchNorm,
    Convolution,
    Flatten,
    Linear,
)

SETTINGS = Settings(budget_s=1e-4, rounds=6)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch):
    monkeypatch.setattr(session_module, "settle", lambda: None)


@pytest.fixture
def settings():
    return SETTINGS


@pytest.fixture
def residual():
    """Two equal blocks of one convolution each, with batch norms and sums."""
    net = Builder()
    begin = net.add("stem", Convolution.square(8, 3))
    for block in range(2):
        net.add(f"conv{block}", Convolution.square(8, 3))
        net.add(f"bn{block}", BatchNorm())
        net.add(f"sum{block}", Add(), net.last, begin)
        begin = net.add(f"relu{block}", Activation("relu"))
    net.add("pool", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("fc", Linear(5))
    return Network("residual", (1, 3, 8, 8), tuple(net.nodes))


@pytest.fixture
def features():
    """No images at all: two linear layers and an activation."""
    net = Builder()
    net.add("a", Linear(12))
    net.add("gelu", Activation("gelu"))
    net.add("b", Linear(3))
    return Network("features", (4, 6), tuple(net.nodes))


@pytest.fixture
def large_filter():
    """A convolution that Winograd's transforms are not for."""
    net = Builder()
    net.add("stem", Convolution.square(8, 6))
    return Network("large_filter", (1, 3, 8, 8), tuple(net.nodes))
