"""Threads that wait long at a barrier give way to other threads."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest

from convprof.codegen import threads_code
from convprof.codegen.threads import Program, Team


@pytest.fixture
def yields(monkeypatch):
    """Count how often a team's threads give way; new teams have the counting code."""
    counted = []

    @ctypes.CFUNCTYPE(ctypes.c_int)
    def give_way():
        counted.append(threading.get_ident())
        time.sleep(1e-4)
        return 0

    address = ctypes.cast(give_way, ctypes.c_void_p).value
    with monkeypatch.context() as patched:
        patched.setattr(threads_code, "yield_address", lambda: address)
        for cached in (threads_code._module, threads_code.functions):
            cached.cache_clear()
        yield counted
    for cached in (threads_code._module, threads_code.functions):
        cached.cache_clear()
    del give_way


def test_who_waits_long_at_a_barrier_gives_way(yields):
    done = []

    @ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    def late(lo, hi, _buffers, _dims):
        if lo == 0:  # the share of the leader, which the worker waits for
            before = time.monotonic()
            while not yields and time.monotonic() < before + 10:
                time.sleep(1e-3)
        done.extend(range(lo, hi))

    address = ctypes.cast(late, ctypes.c_void_p).value
    team = Team(2)
    team.run(Program([(address, 0, 2, 0, 0, True), (address, 2, 4, 0, 0, True)], 2))
    team.close()
    assert sorted(done) == [0, 1, 2, 3]
    assert yields
    assert threading.get_ident() not in yields[:1]


def test_a_system_without_yield_spins(monkeypatch):
    def refused(_name):
        raise TypeError("there is no C library of this process")

    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "CDLL", refused)
        assert threads_code.yield_address() is None
    monkeypatch.setattr(threads_code, "yield_address", lambda: None)
    assert threads_code._module.__wrapped__().address("launch")
