from __future__ import annotations

import csv
from importlib import resources

import pytest

from convprof.codegen.probes.instructions import Instruction, catalogue, x86_short
from convprof.machine import published

ARCHS = ("x86_64", "aarch64")


def latencies(name, architecture="x86_64"):
    (core,) = (core for core in published.cores(architecture) if core.name == name)
    return {row: figures.latency for row, figures in core.figures.items()}


@pytest.mark.parametrize("architecture", ARCHS)
def test_every_figure_is_of_a_row_that_is_measured(architecture):
    names = {row.key.name for row in catalogue(architecture)}
    for core in published.cores(architecture):
        assert core.figures.keys() <= names
        assert len(core.figures) > 20


@pytest.mark.parametrize("architecture", ARCHS)
def test_every_column_says_where_it_comes_from(architecture):
    columns = published.cores(architecture)
    assert len({core.name for core in columns}) == len(columns)
    for core in columns:
        label = "LLVM" if core.source == published.LLVM else "OSACA"
        assert core.name.endswith(f" ({label})")
        assert core.model
        assert core.vendor in {"GenuineIntel", "AuthenticAMD", "ARM"}


def needs_avx512(row):
    return any(extension.startswith("AVX512") for extension in row.needs)


def is_short(row):
    """Whether the columns, which have floats of full length, leave a row out."""
    short = {"bf16", "f16", "i8", "u8", "s8"}
    in_x86 = row.key.name in {other.key.name for other in x86_short.catalogue()}
    return in_x86 or not short.isdisjoint((row.key.dtype, row.key.source))


@pytest.mark.parametrize("architecture", ARCHS)
def test_a_scheduling_model_has_every_row_of_its_core(architecture):
    every = [row for row in catalogue(architecture) if isinstance(row, Instruction)]
    rows = [row for row in every if not is_short(row)]
    for core in published.cores(architecture):
        if core.source == published.LLVM:
            narrow = core.name.startswith("Zen 3")
            names = {row.key.name for row in rows if not (narrow and needs_avx512(row))}
            assert core.figures.keys() == names


@pytest.mark.parametrize("architecture", ARCHS)
def test_figures_are_possible(architecture):
    for core in published.cores(architecture):
        for name, figures in core.figures.items():
            known = [f for f in (figures.latency, figures.reciprocal_throughput) if f is not None]
            assert known, name
            assert min(known) > 0, name
            if len(known) == len(("latency", "throughput")):
                assert figures.reciprocal_throughput <= figures.latency, name


def test_no_core_before_avx512_has_its_instructions():
    rows = [row for row in catalogue("x86_64") if isinstance(row, Instruction)]
    wide = {row.key.name for row in rows if needs_avx512(row)}
    assert "mul i64 128" in wide
    for core in published.cores("x86_64"):
        assert core.figures.keys().isdisjoint(wide) == core.name.startswith("Zen 3"), core.name


def test_the_rows_that_distinguish_the_cores():
    """Multiply-adds are alike; additions are not, nor are the two sources of one core."""
    llvm, measured = latencies("Golden Cove (LLVM)"), latencies("Golden Cove (OSACA)")
    assert (llvm["fma f32 512"], measured["fma f32 512"]) == (4, 4)
    assert (llvm["add f64 256"], measured["add f64 256"]) == (3, 2)
    assert latencies("Ice Lake (LLVM)")["add f64 256"] == 4
    assert latencies("Zen 4 (LLVM)")["mul f32 256"] == 3
    assert latencies("Neoverse V2 (LLVM)", "aarch64")["fma f32 128"] == 2


def test_what_a_source_does_not_say_is_unknown():
    measured = latencies("Golden Cove (OSACA)")
    assert "div i64 scalar small" not in measured
    assert measured["i32->f64 512"] is None


def test_an_unknown_architecture_has_no_columns():
    assert published.cores("riscv64") == ()


def test_every_line_of_the_file_is_about_another_figure():
    path = resources.files(published.__package__).joinpath(published.FILE)
    lines = [tuple(line[:6]) for line in csv.reader(path.read_text("utf-8").splitlines())]
    assert lines[0] == ("architecture", "core", "vendor", "source", "model", "instruction")
    assert (
        len(lines)
        == len(set(lines))
        == 1
        + sum(len(core.figures) for architecture in ARCHS for core in published.cores(architecture))
    )


def test_the_most_ports_of_known_cores():
    assert published.most_ports("x86_64", "f32", 512) == 2
    assert published.most_ports("x86_64", "f32", 31) is None
    assert published.most_ports("z80", "f32", 512) is None
