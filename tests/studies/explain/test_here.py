"""What the pages know about the machine, and what they assume where it does not tell."""

from __future__ import annotations

import dataclasses

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.machine import facts
from convprof.machine.caches import Cache
from convprof.studies.explain import here as module
from convprof.studies.explain.here import here


def _cache(level, kind, size, line):
    return Cache(level, kind, size, line, ways=None, shared_by=None, instances=None, core_kind=None)


def _with(monkeypatch, caches):
    machine = dataclasses.replace(facts(), caches=tuple(caches))
    monkeypatch.setattr(module, "facts", lambda: machine)
    return here()


def test_the_smallest_cache_of_each_level_counts_and_instructions_do_not(monkeypatch):
    found = _with(
        monkeypatch,
        [
            _cache(1, "data", 128 << 10, 128),
            _cache(1, "data", 64 << 10, 128),
            _cache(1, "instruction", 1 << 10, 32),
            _cache(2, "unified", 4 << 20, 128),
            _cache(3, "unified", None, None),
        ],
    )
    assert found.caches == (("L1", 64 << 10), ("L2", 4 << 20))
    assert (found.line_bytes, found.line_assumed) == (128, False)


def test_an_unknown_machine_says_what_is_assumed(monkeypatch):
    found = _with(monkeypatch, [])
    assert found.caches == ()
    assert (found.line_bytes, found.line_assumed) == (LINE_BYTES, True)


def test_vectors_are_those_that_kernels_are_generated_for():
    isa = isas.find("native")
    found = here()
    assert (found.isa, found.lanes, found.registers) == (isa.name, isa.lanes(4), isa.registers)
