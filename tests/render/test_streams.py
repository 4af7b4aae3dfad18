from __future__ import annotations

import errno
import gc
import io
import os
import sys
from types import SimpleNamespace

import click
import pytest

from convprof.render import streams
from convprof.render.streams import Guarded, guarded


class Failing(io.StringIO):
    """A stream that fails from the second write on."""

    def __init__(self, error):
        super().__init__()
        self.error, self.calls = error, 0

    def write(self, text):
        self.calls += 1
        if self.calls > 1:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "the reader has gone"),
        (ValueError("I/O operation on closed file"), "I/O operation on closed file"),
    ],
)
def test_the_first_failure_is_noted_and_nothing_raises(error, reason):
    stream = Failing(error)
    guard = Guarded(stream, "stdout")
    for text in ("a", "b", "c"):
        assert guard.write(text) == 1
    guard.flush()
    assert stream.getvalue() == "a"
    assert stream.calls == 2
    assert guard.lost == reason


def test_a_closed_stream_has_lost_something_only_if_something_was_written():
    guard = Guarded(None, "stdout")
    guard.flush()
    assert (guard.lost, guard.isatty(), guard.closed_before) == (None, False, True)
    guard.write("x")
    assert guard.lost == "it is closed"
    with pytest.raises(io.UnsupportedOperation):
        guard.fileno()


def test_what_cannot_be_encoded_is_replaced():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    guard = Guarded(stream, "stdout")
    guard.write("±1 ─")
    guard.flush()
    assert raw.getvalue() == b"+/-1 -"


def test_click_and_print_go_through_it_and_the_streams_come_back(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with guarded() as (out, _):
        click.echo("echo")
        print("print")  # noqa: T201
        assert sys.stdout is out
    assert sys.stdout is stream
    assert stream.getvalue() == "echo\nprint\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_device_does_not_fail_again_when_it_is_closed():
    with open("/dev/full", "w", encoding="utf-8") as file:  # noqa: PTH123
        guard = Guarded(file, "stdout")
        guard.write("x")
        guard.flush()
        assert guard.lost == "No space left on device"


def test_closed_descriptors_are_occupied(monkeypatch):
    opened = []

    def fstat(number):
        if number == 1:
            raise OSError(errno.EBADF, "Bad file descriptor")

    system = SimpleNamespace(
        fstat=fstat, open=lambda *a: opened.append(a), devnull=os.devnull, O_RDWR=os.O_RDWR
    )
    monkeypatch.setattr(streams, "os", system)
    streams.occupy_closed()
    assert opened == [(os.devnull, os.O_RDWR)]


def test_a_guard_that_goes_does_not_touch_the_stream():
    """Python closes what it frees, and at the end of the process a closing flush is too late."""

    class Counted(io.StringIO):
        flushes = 0

        def flush(self):
            type(self).flushes += 1

    stream = Counted()
    guard = streams.Guarded(stream, "stdout")
    del guard
    gc.collect()
    assert (Counted.flushes, stream.closed) == (0, False)
