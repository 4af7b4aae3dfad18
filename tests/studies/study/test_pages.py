"""Every study on samples that a fake clock makes: the page's arithmetic, no timing."""

from __future__ import annotations

import json

import pytest

from convprof.codegen import isa as isas
from convprof.machine import facts
from convprof.machine.model import MachineModel
from convprof.machine.noise import NoiseWatch
from convprof.measure.stopwatch import Sample, Stopwatch
from convprof.problems import Gemm
from convprof.strategies.base import Setting
from convprof.studies.document import document
from convprof.studies.study import STUDIES, repeated
from convprof.studies.study.base import Options
from convprof.studies.study.costs import Costs, whole
from convprof.studies.study.fma import Fma
from convprof.studies.study.layout import Layout
from convprof.studies.study.page import Figure, Finding, Row
from convprof.studies.study.repeated import Repeated, Shape
from convprof.studies.study.simd import Simd
from convprof.studies.study.stride import knee
from convprof.studies.study.threads import Threads, counts, crossing
from convprof.studies.study.tile import Tile
from convprof.studies.study.unroll import Unroll, limits

KNOWN = Costs(512, 4.0, 2.0, 2.0, 3.0, 200e9, 3e9)
CLASSES = {
    "unroll": Unroll,
    "simd": Simd,
    "fma": Fma,
    "tile": Tile,
    "threads": Threads,
    "layout": Layout,
}


class FakeStopwatch(Stopwatch):
    """Every call takes 10 µs."""

    source = "calibrated"
    resolution_s = 1e-9

    def __init__(self):
        """Nothing to open."""

    def sample(self, run, calls, before=None):  # noqa: ARG002
        run()
        return Sample(1e-5, 2e9, 2e4)

    def close(self):
        """Nothing to close."""


def fake_costs(machine, dtype, bits, fused=True):  # noqa: ARG001
    return KNOWN


@pytest.fixture
def _known(monkeypatch):
    for module in ("unroll", "simd", "fma", "layout"):
        monkeypatch.setattr(f"convprof.studies.study.{module}.costs", fake_costs)
    monkeypatch.setattr(Costs, "again", lambda self, machine, dtype, fused=True: self)  # noqa: ARG005


def test_every_listed_study_has_a_class_of_its_name():
    assert {name: cls.name for name, cls in CLASSES.items()} == {name: name for name in STUDIES}


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_known")
@pytest.mark.parametrize("name", ["simd", "fma", "tile", "threads"])
def test_a_study_verifies_and_times_every_variant(name, invalid):
    sizes = {"tile": (64,), "threads": (8, 16)}.get(name, ())
    study = CLASSES[name](
        Options(sizes=sizes, budget_s=1e-4), MachineModel(facts()), stopwatch=FakeStopwatch()
    )
    for _ in study.steps():
        pass
    page = study.page()
    rows = [row for section in page.sections for row in section.rows]
    assert {row.status for row in rows} == {"ok"}
    assert all(row.measured is not None for row in rows)
    assert page.findings
    made = document(page, {}, NoiseWatch(1), interrupted=False)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert invalid(made) == []


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.usefixtures("_known")
def test_an_interrupted_study_keeps_its_page():
    study = Simd(Options(budget_s=1e-4), MachineModel(facts()), stopwatch=FakeStopwatch())
    steps = study.steps()
    while not study.ready:
        next(steps)
    page = study.page()
    assert {row.status for row in page.sections[0].rows} == {"missing"}
    assert page.findings == ()


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("lanes", [1, 4])
def test_a_repeated_tile_computes_the_product_and_counts_what_it_executes(lanes, fused):
    import numpy as np

    shape = Shape(3, 2, lanes, 4, fused=fused and isas.find("native").fused)
    g = Gemm(m=6, n=4 * lanes, k=16)
    prepared = Repeated("tile", shape).prepare(g, Setting())
    a, b = np.ones((g.m, g.k), np.float32), np.full((g.k, g.n), 2, np.float32)
    prepared.bind(a, b)
    prepared.run()
    assert (prepared.output() == 32).all()
    assert prepared.executed_flops() == repeated.WORK // g.macs * g.flops


@pytest.mark.parametrize(
    ("chains", "loads", "expected"),
    [
        (1, 2.0, ("latency", 1 / 8)),
        (4, 1.0, ("latency", 1 / 2)),
        (8, 1.5, ("loads", 2 / 3)),
        (8, 0.75, ("ports", 1.0)),
        (16, None, ("ports", 1.0)),
    ],
)
def test_the_longest_of_latency_ports_and_loads_limits(chains, loads, expected):
    assert limits(chains, loads, KNOWN) == expected


def test_without_a_known_latency_nothing_is_expected():
    assert limits(4, 1.0, Costs(512, None, 2.0, 2.0, 3.0, 200e9, None)) == ("unknown", None)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([0.5, 2.0], 16.0),
        ([0.5, 0.9], None),
        ([1.5, 2.0], 8.0),
        ([0.5, 2.0, 0.5], None),
        ([], None),
    ],
)
def test_where_several_threads_begin_to_pay(gains, expected):
    found = crossing([8, 32, 64][: len(gains)], gains)
    assert found == (None if expected is None else pytest.approx(expected))


def test_threads_double_up_to_all_cores():
    assert [counts(cores) for cores in (2, 3, 8, 12)] == [
        (1, 2), (1, 2, 3), (1, 2, 4, 8), (1, 2, 4, 8, 12),
    ]  # fmt: skip


def test_the_knee_is_the_last_stride_that_costs_more():
    assert knee({4: 1.0, 8: 1.0, 16: 2.0, 32: 4.0, 64: 8.0, 128: 8.1}) == 64
    assert knee({4: 1.0, 8: 1.0}) is None


def test_counts_near_a_whole_number_are_whole():
    assert (whole(1.98), whole(2.82), whole(0.4)) == (2.0, 2.82, 0.4)


def test_a_difference_is_said_in_per_cent_and_an_unknown_one_is_said_to_be():
    assert Finding("a", "b", 0.9, "Why").difference == "measured / expected = 0.9 (-10 %). Why."
    assert Finding("a", "b").difference == "cannot be told, since one of the two is unknown."
    assert Row({}, {}, 2.0, Figure(3.0)).ratio == 1.5
    assert Row({}, {}, None, Figure(3.0)).ratio is None
