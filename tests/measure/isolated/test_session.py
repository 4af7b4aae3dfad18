"""Contestants that crash, hang or reply garbage in processes of their own: the others go on."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from misbehaving import LATE, Misbehaving

from convprof.errors import ConvprofError, ToolchainError
from convprof.measure.bench import BenchError
from convprof.measure.contestant import Contestant
from convprof.measure.events import Failed, Refused, Sampled
from convprof.measure.isolated import process
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.problems import Conv2d
from convprof.strategies.base import Setting

SCRIPT = str(Path(__file__).with_name("misbehaving.py"))
PROBLEM = Conv2d(n=1, c=3, h=4, w=5, k=2, r=1, s=1)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


@pytest.fixture(autouse=True)
def _command(monkeypatch):
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", SCRIPT))


def session(*names, layout="nchw", limit_s=60.0):
    contestants = [Contestant(Misbehaving(name), PROBLEM, Setting(layout)) for name in names]
    return Session(contestants, Settings(budget_s=6e-3, rounds=6, isolate_s=limit_s))


def reasons(measured):
    return {m.strategy: (m.status, m.reason) for m in measured.measurements()}


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def computes(pid):
    """Whether a process goes on; one that has ended may wait for its parent."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_crash_in_a_round_takes_nothing_down():
    measured = session("honest", f"segv-{LATE}", f"ill-{LATE}", layout="nhwc")
    events = list(measured.events())
    assert reasons(measured) == {
        "honest": ("ok", None),
        f"segv-{LATE}": ("failed", "SIGSEGV ended its process (segmentation fault)"),
        f"ill-{LATE}": ("failed", "SIGILL ended its process (illegal instruction)"),
    }
    honest = measured.measurements()[0]
    assert honest.time_s.samples == 6
    assert honest.time_s.min >= 1e-3
    assert honest.max_rel_error < 1e-6
    assert (honest.note, dict(honest.phases)) == ("computes here", {"all": 1e-3})
    assert sum(isinstance(event, Failed) for event in events) == 2


def test_what_happens_before_the_rounds_is_a_row_too():
    names = ("killed-1", "exits-0", "raises-0", "refuses-1")
    measured = session(*names)
    kinds = [type(event) for event in measured.events() if isinstance(event, (Failed, Refused))]
    assert kinds == [Failed, Failed, Failed, Refused]
    assert reasons(measured) == {
        "killed-1": ("failed", "SIGKILL ended its process (killed)"),
        "exits-0": (
            "failed",
            r"its process ended with exit code 3: says \x1b[31mgood-bye",
        ),
        "raises-0": ("failed", "ValueError: first line"),
        "refuses-1": ("refused", "not today"),
    }


def test_one_that_hangs_is_ended_after_the_time_limit():
    measured = session("hangs-1", limit_s=3.0)
    start = time.monotonic()
    list(measured.events())
    assert 3.0 <= time.monotonic() - start < 60
    assert reasons(measured) == {"hangs-1": ("failed", "no answer for 3 s: its process was ended")}


@pytest.mark.parametrize("pipe", ["", ">&-"], ids=["the pipe stays open", "the pipe is closed"])
def test_what_a_crashed_process_has_started_is_ended(tmp_path, pipe):
    script = f"sleep 1000 {pipe} & echo $! >{tmp_path}/pid; read line; kill -SEGV $$"
    crashed = process.Process(0.2, ("sh", "-c", script))
    with pytest.raises(BenchError, match="SIGSEGV ended its process"):
        crashed.exchange({})
    started = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while computes(started):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_time_limit_in_the_message_has_the_expected_time_of_the_work():
    slow = process.Process(0.1, ("sh", "-c", "read line; sleep 1000"))
    with pytest.raises(BenchError, match=r"no answer for 0\.3 s: its process was ended"):
        slow.exchange({}, expected_s=0.2)
    with pytest.raises(BenchError, match="its process was ended before"):
        slow.exchange({})


def test_a_missing_compiler_ends_the_session():
    with pytest.raises(ToolchainError, match="no LLVM"):
        list(session("toolchain-0").events())


def test_no_process_is_left_when_the_session_is_left():
    measured = session("prints-1")
    events = measured.events()
    next(event for event in events if isinstance(event, Sampled))
    (participant,) = measured.participants
    pid = participant.bench._process._process.pid
    assert running(pid)
    with pytest.raises(ConvprofError, match="a process of its own"):
        _ = participant.prepared
    events.close()
    assert not running(pid)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            (sys.executable, "-P", SCRIPT, "garbage"),
            "its process did not answer in the agreed form: it is not JSON",
        ),
        (("false",), "its process ended with exit code 1"),
        (
            ("sh", "-c", "read line; yes | tr -d '\\n'"),
            "its process did not answer in the agreed form: its line is too long",
        ),
        (
            ("sh", "-c", """read line; echo '{"cpu_s": 0, "first_s": -1}'; read line"""),
            "its process answered without sense: a number is below 0 or not finite",
        ),
        (
            ("sh", "-c", "read line; exec 1>&-; sleep 1000"),
            "it closed its pipe: its process was ended",
        ),
        (
            ("sh", "-c", """read line; echo '{"cpu_s": "much"}'; read line"""),
            "its process did not answer in the agreed form: a number is missing",
        ),
    ],
    ids=["garbage", "dead", "endless", "senseless", "closed", "no time"],
)
def test_a_process_that_answers_garbage_is_ended(monkeypatch, command, reason):
    monkeypatch.setattr(process, "COMMAND", command)
    measured = session("honest")
    list(measured.events())
    assert reasons(measured) == {"honest": ("failed", reason)}


@pytest.mark.parametrize(
    ("code", "memory", "text"),
    [
        (-9, True, "SIGKILL ended its process (out of memory)"),
        (-9, False, "SIGKILL ended its process (killed)"),
        (-6, True, "SIGABRT ended its process (aborted)"),
        (-45, False, "signal 45 ended its process"),
        (1, False, "its process ended with exit code 1"),
    ],
)
def test_the_words_for_an_end(code, memory, text):
    assert process.ending(code, memory=memory) == text
