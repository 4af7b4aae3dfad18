import io

import pytest
from rich.console import Console

from convprof import units
from convprof.measure.events import Auxiliary, Part, Sampled, Started
from convprof.render import progress
from convprof.render.progress import Progress


def plain(monkeypatch, *, quiet=False, every_s=0.0):
    """Return what is printed of some steps where a line cannot be redrawn."""
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", every_s)
    stream = io.StringIO()
    with Progress(Console(file=stream, width=40), quiet=quiet) as shown:
        shown.show("measuring this machine's peak")
        shown.show(Part.of("problem 1/2", 0, 2))
        shown.show(Started("microkernel nhwc 1 thread", 0, 3, 20.0))
        shown.show(Sampled("microkernel nhwc 1 thread", 2, 25, 0.1, 10.0))
        shown.show(Auxiliary("the phases of each strategy"))
    return stream.getvalue().splitlines()


def test_a_plain_line_from_time_to_time(monkeypatch):
    lines = plain(monkeypatch)
    assert lines[0] == "convprof: measuring this machine's peak"
    assert lines[1].startswith("convprof: problem 1/2, preparing 1/3, 40 s left: microkernel")
    assert lines[2].startswith("convprof: problem 1/2, round 2/25, 20 s left: microkernel nhwc")
    assert lines[3].startswith("convprof: problem 1/2, measuring the phases of each strategy, ")


def test_not_before_its_time(monkeypatch):
    assert plain(monkeypatch, every_s=1000.0) == []


def test_quiet(monkeypatch):
    assert plain(monkeypatch, quiet=True) == []


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, _environ={"TERM": "dumb"})
    with Progress(console) as shown:
        shown.show("drawing")
    assert stream.getvalue() == "convprof: drawing\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (8.4, "8 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s")],
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text
