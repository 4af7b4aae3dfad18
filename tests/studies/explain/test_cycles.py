"""From one chain to the peak: the theory with made-up costs, and the steps that are measured."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.codegen import isa as isas
from convprof.codegen.probes.fma import CHAINS, UNROLL, fma_kernel
from convprof.machine import facts, peaks
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.studies.explain import cycles
from convprof.studies.explain.cycles import TOLERANCE, Cost, Cycles, CyclesPage, Rung

HZ = 3e9
SCALAR = Cost(32, "scalar", 1, 4.0, 2.0)
WIDE = Cost(256, "256 bits", 8, 4.0, 2.0)
WIDEST = Cost(512, "512 bits", 16, 4.0, 1.0)


def peak(bits, threads, per_cycle, hz=HZ):
    rate = threads * per_cycle * (hz or HZ)
    return Peak("avx512", bits, "f32", threads, rate, hz, per_cycle if hz else None, 2)


def page(threads=2, per_cycle=32.0, widest=WIDEST, hz=HZ):
    rungs = (
        Rung("one chain", "scalar", 1, 1, SCALAR.expected(1), peak(32, 1, 0.5)),
        Rung("8 chains", "scalar", 8, 1, SCALAR.expected(8), peak(32, 1, 4.0)),
        Rung("16 lanes", "512 bits", 12, 1, widest.expected(12), peak(512, 1, 32.0)),
        Rung("threads", "512 bits", 12, threads, None, peak(512, threads, per_cycle, hz)),
    )
    return CyclesPage("f32", "avx512", (SCALAR, WIDE, widest), rungs, threads, None, None)


@pytest.mark.parametrize(
    ("cost", "chains", "expected"),
    [(SCALAR, 1, 0.5), (SCALAR, 8, 4), (SCALAR, 12, 4), (WIDE, 4, 16), (WIDEST, 12, 32)],
)
def test_chains_over_latency_until_the_ports_are_full(cost, chains, expected):
    assert cost.expected(chains) == expected


def test_what_is_unknown_stays_unknown():
    unknown = Cost(32, "scalar", 1, None, None)
    assert unknown.chains is None
    assert unknown.expected(1) is None
    assert page(widest=dataclasses.replace(WIDEST, per_cycle=None)).product is None
    assert page(hz=None).product is None
    assert page(hz=None).difference is None
    assert not page(hz=None).agrees


def test_the_product_is_the_peak_within_the_tolerance_or_it_is_not():
    assert page().product == 1 * 16 * 2 * HZ * 2
    assert page().difference == pytest.approx(0)
    assert page().agrees
    assert page(per_cycle=32 * (1 - 0.9 * TOLERANCE)).agrees
    assert not page(per_cycle=32 * (1 - 1.1 * TOLERANCE)).agrees
    assert not page(per_cycle=16.0).agrees  # two threads on one core


def test_the_gains_multiply_to_the_whole():
    shown = page()
    assert [what for what, _ in shown.gains] == ["chains", "lanes", "threads"]
    assert [gain for _, gain in shown.gains] == [8, 8, 2]
    assert shown.measured.flop_per_s / shown.rungs[0].peak.flop_per_s == 8 * 8 * 2


def test_the_widest_vectors_may_begin_half_as_often():
    assert page().halved
    assert not page(widest=dataclasses.replace(WIDEST, per_cycle=2.0)).halved


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Return the arguments of every peak that is measured; costs and peaks are made up."""
    calls = []

    def measure(dtype, threads, bits, *, fused, chains=None):
        calls.append((threads, bits, chains))
        return dataclasses.replace(peak(bits, threads, 1.0), dtype=dtype, fused=fused)

    def costs(cpu, names):
        assert cpu is facts().cpu
        return dict.fromkeys(names, (4.0, 0.5))

    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(peaks, "measure", measure)
    monkeypatch.setattr(peaks, "widest", lambda _: (256, True))
    monkeypatch.setattr(cycles, "instruction_costs", costs)
    return calls


def test_steps_measure_few_chains_then_every_width_then_the_threads(measured):
    study = Cycles(MachineModel(facts()), "f32", 2)
    steps = list(study.steps())
    assert measured == [
        (1, 32, 1), (1, 32, 2), (1, 32, 4), (1, 32, 8), (1, 32, CHAINS),
        (1, 128, CHAINS), (1, 256, None), (2, 256, None),
    ]  # fmt: skip
    assert len(steps) == 1 + len(measured)
    shown = study.page()
    assert [rung.expected for rung in shown.rungs] == [0.5, 1, 2, 4, 4, 16, 32, 64]
    assert shown.stored is None


def test_without_known_costs_rates_are_shown_and_nothing_is_checked(measured, monkeypatch):
    monkeypatch.setattr(cycles, "instruction_costs", lambda _cpu, _names: {})
    study = Cycles(MachineModel(facts()), "f64", 1)
    list(study.steps())
    shown = study.page()
    assert {rung.expected for rung in shown.rungs} == {None}
    assert shown.product is None
    assert [bits for _, bits, _ in measured] == [64] * 5 + [128, 256]


def test_the_stored_peak_of_the_same_arithmetic_is_shown(measured, monkeypatch):
    other, same = peak(128, 1, 8.0), peak(256, 1, 16.0)
    stored = {1: Ceilings(1, 1e9, (other, same), ())}
    monkeypatch.setattr(cycles.ceilings_store, "load", lambda _: stored)
    study = Cycles(MachineModel(facts()), "f32", 1)
    list(study.steps())
    assert (study.page().stored, study.page().stored_at) == (same, 1e9)
    assert measured


def test_a_kernel_has_the_requested_number_of_chains():
    kernel = fma_kernel("f32", 128, chains=3)
    assert (kernel.chains, kernel.flops_per_iteration) == (3, 2 * 4 * 3 * UNROLL)
    assert fma_kernel("f32", 128).chains == CHAINS


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
def test_one_chain_waits_where_many_do_not():
    _, fused = peaks.widest(facts().cpu.simd)
    one = peaks.measure("f32", 1, 128, fused=fused, chains=1)
    many = peaks.measure("f32", 1, 128, fused=fused)
    assert one.flop_per_s < 0.7 * many.flop_per_s
