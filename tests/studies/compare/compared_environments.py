"""Measurements and comparisons of made-up environments A, B and C."""

from __future__ import annotations

import dataclasses

from convprof.measure.report import describe
from convprof.problems import Gemm
from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare import environments
from convprof.studies.compare.environments import EnvironmentComparison

FACTS = [
    environments.Facts(name, f"{name}/bin/python", {"torch": "2.12"}, lent=False) for name in "ABC"
]


def measurement(environment, strategy="blas", size=8, seconds=1e-3, **changes):
    m = Measurement(
        problem=describe(Gemm(m=size, n=size, k=size)),
        strategy=strategy,
        layout=None,
        dtype="f32",
        threads=1,
        cache="hot",
        status="ok",
        environment=environment,
        time_s=Time(seconds, 0.0, seconds, seconds, seconds, 25, 1),
    )
    return dataclasses.replace(m, **changes)


def pair(value, *, low=None, high=None, environment="B", **labels):
    """Return a contestant in an environment against A, where it takes 1 ms."""
    ratio = Ratio(value, low or value, high or value, 25)
    return EnvironmentComparison(
        measurement(environment, seconds=1e-3 * value, **labels), measurement("A", **labels), ratio
    )


def sides(pairs):
    return [side for each in pairs for side in (each.b, each.a)]


def failed(environment, **labels):
    return measurement(environment, status="failed", reason="it crashed", time_s=None, **labels)
