"""What tests of strategies share: the latency between cores, a model of AMX."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import replace
from weakref import WeakValueDictionary

import pytest
from tile_model import TileModel, emulated

from convprof.codegen import isa as isas
from convprof.codegen import tile_list
from convprof.codegen.kernels import tile_registers
from convprof.codegen.target import target
from convprof.machine import ceilings_store
from convprof.strategies import memory, plan


@pytest.fixture
def model(monkeypatch):
    """Give this CPU tile registers, executed by a model; no kernel stays for other tests."""
    host = replace(target(), features=f"{target().features},+amx-bf16,+amx-fp16,+amx-int8")
    monkeypatch.setattr(tile_registers, "target", lambda: host)
    monkeypatch.setattr(isas, "available", lambda: ("sse", "avx2", "avx512", "amx"))
    unit = TileModel()
    monkeypatch.setattr(tile_list, "Module", emulated(unit))
    monkeypatch.setattr(tile_list, "_KERNELS", OrderedDict())
    monkeypatch.setattr(plan, "_alive", WeakValueDictionary())
    return unit


@pytest.fixture(autouse=True)
def _usual_latency(monkeypatch):
    """No choice depends on ceilings that another test stored: a transfer takes 200 cycles."""
    monkeypatch.setattr(ceilings_store, "load", lambda _machine: {})


@pytest.fixture
def _usual_core(monkeypatch):
    """A core has AVX-512 and 1 MiB of L2: a model makes the same choices on every machine.

    For tests that execute nothing.
    """
    monkeypatch.setattr(isas, "available", lambda: ("sse", "avx2", "avx512"))
    smallest = memory._smallest
    monkeypatch.setattr(
        memory, "_smallest", lambda level, known: 1 << 20 if level == 2 else smallest(level, known)
    )
    memory.l2_bytes.cache_clear()
    yield
    memory.l2_bytes.cache_clear()


class NotCompiled:
    """Machine code that is never called: only an address."""

    addresses = itertools.count(64, 64)

    def __init__(self, ir, without=()):
        """Compile nothing."""

    def address(self, name):  # noqa: ARG002
        return next(self.addresses)


@pytest.fixture
def _on_paper(monkeypatch):
    """Plans with lists of tiles, without machine code; none stays for other tests."""
    monkeypatch.setattr(tile_list, "Module", NotCompiled)
    monkeypatch.setattr(tile_list, "_KERNELS", OrderedDict())
    monkeypatch.setattr(plan, "_alive", WeakValueDictionary())
    tile_list._runner.cache_clear()
    yield
    tile_list._runner.cache_clear()
