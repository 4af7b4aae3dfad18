from __future__ import annotations

import ctypes
import errno
import os
import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.machine import counters
from convprof.machine.counters import Count, CycleCounter


@pytest.fixture
def kernel(monkeypatch):
    """A Linux kernel that answers perf_event_open with a pipe of readings, or with an error."""
    monkeypatch.setattr(CycleCounter, "last_refusal", None)
    monkeypatch.setattr(counters.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(counters.sys, "platform", "linux")
    fake = SimpleNamespace(calls=[], descriptor=None, error=errno.EACCES, closed=[])

    def syscall(*arguments):
        fake.calls.append(arguments)
        if fake.descriptor is None:
            ctypes.set_errno(fake.error)
            return -1
        return fake.descriptor

    def count(*readings):
        fake.descriptor, end = os.pipe()
        for reading in readings:
            raw = reading if isinstance(reading, bytes) else struct.pack("=QQQ", *reading)
            os.write(end, raw)
        os.close(end)

    fake.count = count
    monkeypatch.setattr(counters.ctypes, "CDLL", lambda *_, **__: SimpleNamespace(syscall=syscall))
    yield fake
    if fake.descriptor is not None and is_open(fake.descriptor):
        os.close(fake.descriptor)


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.EACCES, "perf_event_paranoid"),
        (errno.EPERM, "perf_event_paranoid"),
        (errno.ENOENT, "offers no cycle counter"),
        (errno.ENOSYS, "no perf_event_open"),
        (errno.EMFILE, os.strerror(errno.EMFILE)),
    ],
)
def test_a_kernel_that_refuses(kernel, error, reason):
    kernel.error = error
    assert CycleCounter.open() is None
    assert reason in CycleCounter.last_refusal
    assert len(kernel.calls) == 1


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_other_systems(kernel, monkeypatch, platform):
    monkeypatch.setattr(counters.sys, "platform", platform)
    assert CycleCounter.open() is None
    assert CycleCounter.last_refusal == f"perf_event_open is not known on {platform}"
    assert kernel.calls == []


def test_other_architectures(kernel, monkeypatch):
    monkeypatch.setattr(counters.platform, "machine", lambda: "riscv64")
    assert CycleCounter.open() is None
    assert CycleCounter.last_refusal
    assert kernel.calls == []


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 298), ("aarch64", 241)])
def test_the_arguments_of_the_system_call(kernel, monkeypatch, machine, number):
    monkeypatch.setattr(counters.platform, "machine", lambda: machine)
    kernel.count((1, 1, 1))
    CycleCounter.open().close()
    ((call, attributes, *rest),) = kernel.calls
    assert number == call
    assert rest == [0, -1, -1, 0]  # this thread, any CPU, no group, no flags
    kind, size, config, period, sample, read, flags = struct.unpack_from("=IIQQQQQ", attributes)
    assert (kind, size, config) == (0, 64, 0)  # hardware, the first version's size, cycles
    assert len(attributes) == 64
    assert (period, sample, read) == (0, 0, 3)  # a count, with the times enabled and running
    assert flags == 0b1100000  # without kernel and hypervisor, running from the start


def test_a_counter_that_counts(kernel):
    kernel.count((5, 1, 1), (100, 50, 50), (2**40, 99, 60))
    counter = CycleCounter.open()
    assert counter.read() == Count(100, 50, 50)
    assert counter.read() == Count(2**40, 99, 60)
    counter.close()
    assert not is_open(kernel.descriptor)
    assert CycleCounter.last_refusal is None


@pytest.mark.parametrize("reading", [(0, 10, 10), (0, 10, 0), b"", b"1234", bytes(8)])
def test_a_counter_that_does_not_count_is_none(kernel, reading):
    kernel.count(reading)
    assert CycleCounter.open() is None
    assert CycleCounter.last_refusal == "the counter does not count"
    assert not is_open(kernel.descriptor)


def test_a_counter_that_stops_counting(kernel):
    kernel.count((5, 1, 1), (0, 2, 1))
    counter = CycleCounter.open()
    assert counter.read() is None
    assert counter.read() is None  # the pipe is empty
    counter.close()


def test_a_counter_that_cannot_be_read(kernel, monkeypatch):
    kernel.count((5, 1, 1), (6, 2, 2))
    counter = CycleCounter.open()

    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(counters.os, "read", refuse)
    assert counter.read() is None


@pytest.mark.parametrize(
    ("count", "whole"),
    [
        (Count(1000, 500, 500), True),
        (Count(1000, 500, 499), True),  # a context switch
        (Count(500, 500, 250), False),  # shared with other events
        (Count(0, 500, 0), False),  # on a core of the other kind
        (Count(0, 500, 500), False),
        (Count(5, 0, 0), False),
        (Count(-5, 500, 500), False),
    ],
)
def test_whether_a_count_is_whole(count, whole):
    assert whole == count.whole


@given(*[st.lists(st.integers(0, 2**40), min_size=3, max_size=3) for _ in range(2)])
def test_counts_add_up(first, second):
    a, b = Count(*first), Count(*second)
    assert a == (a + b) - b


def test_this_machine():
    counter = CycleCounter.open()
    if counter is None:
        assert CycleCounter.last_refusal
        return
    first = counter.read()
    second = counter.read()
    counter.close()
    assert 0 < first.cycles < second.cycles
