from __future__ import annotations

import pytest

from convprof.machine import published
from convprof.simd.instructions import catalogue

ARCHS = ("x86_64", "aarch64")


@pytest.mark.parametrize("architecture", ARCHS)
def test_every_figure_is_of_a_row_that_is_measured(architecture):
    names = {row.key.name for row in catalogue(architecture)}
    for core in published.cores(architecture):
        assert core.source
        assert core.figures.keys() <= names
        assert len(core.figures) > 20


@pytest.mark.parametrize("architecture", ARCHS)
def test_figures_are_possible(architecture):
    for core in published.cores(architecture):
        for name, figures in core.figures.items():
            known = [r for r in (figures.latency, figures.reciprocal_throughput) if r]
            assert known, name
            assert all(0 < low <= high for low, high in known), name
            if figures.latency and figures.reciprocal_throughput:
                assert figures.reciprocal_throughput[0] <= figures.latency[1], name


def test_no_core_before_avx512_has_512_bits():
    cores = {core.name: core for core in published.cores("x86_64")}
    assert not [name for name in cores["Zen 3"].figures if " 512" in name]
    assert "fma f32 512" in cores["Zen 4"].figures


def test_what_the_literature_agrees_on():
    golden = next(core for core in published.cores("x86_64") if core.name == "Golden Cove")
    latencies = {name: figures.latency for name, figures in golden.figures.items()}
    assert latencies["add i64 scalar"] == (1, 1)
    assert latencies["mul i64 scalar"] == (3, 3)
    assert latencies["fma f32 512"] == latencies["mul f32 256"] == (4, 4)
    assert latencies["load f32 256"] is None


def test_an_unknown_architecture_has_no_columns():
    assert published.cores("riscv64") == ()
