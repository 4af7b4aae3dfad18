"""The tile ceiling of AMX: in the ceilings, in results, in the stored file and in tables."""

from __future__ import annotations

import functools
import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.kernels import tile_registers
from convprof.codegen.probes.tile_products import L1, REGISTERS, TILE_BITS
from convprof.codegen.target import target
from convprof.errors import InputError
from convprof.machine import ceilings_store, facts, peaks
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.render import tables
from convprof.render.ceilings import ceilings_report
from convprof.render.compare import dtypes, peers
from convprof.render.sysinfo import system
from convprof.render.sysinfo.hardware import Lookup
from convprof.results import Measurement
from convprof.studies import ceilings, sysinfo
from convprof.studies.roofline_session import with_limits

x86 = pytest.mark.skipif(target().arch != X86, reason="x86 instructions")


@pytest.fixture
def _with_amx(monkeypatch):
    """Give this CPU tile registers; nothing is compiled for them."""
    host = replace(target(), features="+amx-bf16,+amx-int8")
    monkeypatch.setattr(tile_registers, "target", lambda: host)
    monkeypatch.setattr(isas, "available", lambda: ("sse", "avx2", "avx512", "amx"))


@x86
@pytest.mark.usefixtures("_with_amx")
def test_the_peak_of_short_types_is_the_one_of_tile_registers():
    machine = MachineModel(facts())
    for isa in ("native", "amx"):
        assert machine.arithmetic("bf16", isa).bits == TILE_BITS
        assert machine.arithmetic("f32", isa).bits < TILE_BITS
    assert machine.arithmetic("bf16", "avx512").bits < TILE_BITS
    assert ceilings.kinds()[-1] == ("amx", TILE_BITS, True)
    assert ceilings._computes("u8:s8:s32", "amx", TILE_BITS, fused=True)
    assert not ceilings._computes("f32", "amx", TILE_BITS, fused=True)


def a_peak(name, dtype, threads, bits=TILE_BITS, **_):
    """Return the figures of a machine whose tile ceiling is 80 % of the instruction's peak."""
    ceiling = name == "measure_tile_ceiling"
    rate, operands = (1.6e12, L1) if ceiling else (2e12, REGISTERS)
    return Peak("amx", bits, dtype, threads, rate, None, None, None, operands=operands)


@x86
@pytest.mark.usefixtures("_with_amx")
def test_ceilings_and_results_show_the_tile_ceiling(monkeypatch):
    for name in ("measure", "measure_tile_ceiling"):
        monkeypatch.setattr(peaks, name, functools.partial(a_peak, name))
    machine = MachineModel(facts())
    machine.measure_peaks("bf16", [1])
    assert machine.tile_ceiling("bf16", 1).flop_per_s == 1.6e12
    assert machine.tile_ceiling("bf16", 1, "avx512") is None
    assert machine.tile_ceiling("f32", 1) is None
    seen = [Lookup(each) for each in sysinfo._peaks(machine, "bf16", 1, [])]
    assert [system._peak(each)[0] for each in seen] == ["bf16", "bf16 tiles"]
    listed = [of.operands for isa, of in ceilings._arithmetics() if isa == "amx"]
    assert listed == [REGISTERS, L1, REGISTERS, L1]  # bf16, int8

    problem = {"kind": "gemm", "descriptor": "1"}
    row = Measurement(problem, "packed", None, "bf16", 1, "hot", "ok", flop_per_s=8e11)
    row = with_limits(row, machine)
    assert (row.peak_fraction, row.tile_fraction) == (0.4, 0.5)
    assert [c.cell(row) for c in tables.run_columns([row]) if c.heading == "% tiles"] == ["50.0"]
    plain = replace(row, tile_fraction=None)
    for shown in (row, plain):
        every = (
            tables.run_columns([shown]),
            peers._contestant_columns([shown], frozenset()),
            dtypes._columns([dtypes._Row(shown, None)]),
        )
        headings = [[column.heading for column in columns] for columns in every]
        assert ["% tiles" in names for names in headings] == [shown is row] * 3


def test_a_stored_tile_ceiling_is_read_again():
    stored = a_peak("measure_tile_ceiling", "bf16", 2)
    assert ceilings_store.read_peak(asdict(stored)) == stored
    assert stored.is_tile_ceiling
    with pytest.raises(InputError, match="an unknown place of operands"):
        ceilings_store.read_peak(asdict(replace(stored, operands="L9")))
    before = {key: value for key, value in asdict(stored).items() if key != "operands"}
    assert not ceilings_store.read_peak(before).is_tile_ceiling


def test_the_table_of_ceilings_says_what_the_tile_ceiling_is():
    console = Console(file=io.StringIO(), width=120)
    sets = [Ceilings(1, 1e9, (a_peak("measure_tile_ceiling", "bf16", 1),), ())]
    ceilings_report(console, sets, ["bf16"], now=1e9, machine="m")
    text = console.file.getvalue()
    assert "from L1" in text
    assert "the tile ceiling, of 2 x 2 tiles" in text
