"""Contestants that crash, hang or reply garbage in processes of their own: the others go on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from misbehaving import LATE, MARK, InLibrary, Misbehaving, raised

from convprof.errors import ConvprofError, ToolchainError
from convprof.measure.bench import BenchError
from convprof.measure.contestant import Contestant
from convprof.measure.events import Failed, Refused, Sampled, Started
from convprof.measure.isolated import process
from convprof.measure.isolated.processes import HERE, Processes
from convprof.measure.isolated.service import USUAL_START_S
from convprof.measure.session import Session
from convprof.measure.settings import Settings
from convprof.problems import Conv2d
from convprof.strategies.base import Setting

SCRIPT = str(Path(__file__).with_name("misbehaving.py"))
PROBLEM = Conv2d(n=1, c=3, h=4, w=5, k=2, r=1, s=1)
OTHER_PROBLEM = Conv2d(n=1, c=3, h=5, w=4, k=2, r=1, s=1)
SHOWN = "; without isolation the crash is shown"
ANSWER = """read line; echo '{"cpu_s": 0, "first_s": -1}'"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


@pytest.fixture(autouse=True)
def _command(monkeypatch):
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", SCRIPT))


@pytest.fixture
def shared():
    """Return what builds sessions whose contestants are of one library."""
    with contextlib.closing(Processes(60.0, "libraries")) as processes:

        def build(*names, problem=PROBLEM):
            return session(*map(InLibrary, names), processes=processes, problem=problem)

        build.processes = processes
        yield build


def session(*strategies, layout="nchw", processes=None, problem=PROBLEM):
    """Return a session; each name is a contestant in a process of its own."""
    contestants = [
        Contestant(Misbehaving(each) if isinstance(each, str) else each, problem, Setting(layout))
        for each in strategies
    ]
    settings = Settings(budget_s=6e-3, rounds=6, processes=processes or Processes(60.0))
    return Session(contestants, settings)


def pids(measured):
    """Return the processes of the contestants that take part."""
    return [each.bench._service._process._process.pid for each in measured.participants]


def kill(pid):
    """End a process, and wait until all of its threads have ended."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


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
        f"segv-{LATE}": ("failed", f"SIGSEGV ended its process (segmentation fault){SHOWN}"),
        f"ill-{LATE}": ("failed", f"SIGILL ended its process (illegal instruction){SHOWN}"),
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
        "killed-1": ("failed", f"SIGKILL ended its process (killed){SHOWN}"),
        "exits-0": (
            "failed",
            rf"its process ended with exit code 3: says \x1b[31mgood-bye{SHOWN}",
        ),
        "raises-0": ("failed", "ValueError: first line"),
        "refuses-1": ("refused", "not today"),
    }


def test_one_that_hangs_is_ended_after_the_time_limit():
    measured = session("hangs-1", processes=Processes(1.0))
    start = time.monotonic()
    list(measured.events())
    assert 1.0 <= time.monotonic() - start < 60
    reason = "no answer for 1 s: its process was ended; a longer limit of isolation waits longer"
    assert reasons(measured) == {"hangs-1": ("failed", reason)}


class UntilItEnds:
    """A poll without an answer, whose time is over when a process has ended."""

    def __init__(self, crashed):
        self._crashed = crashed

    def poll(self, _):
        assert self._crashed._has_ended(60.0)
        return []


@pytest.mark.parametrize("pipe", ["", ">&-"], ids=["the pipe stays open", "the pipe is closed"])
def test_what_a_crashed_process_has_started_is_ended(tmp_path, pipe):
    script = f"sleep 1000 {pipe} & echo $! >{tmp_path}/pid; read line; kill -SEGV $$"
    crashed = process.Process(60.0, ("sh", "-c", script))
    if not pipe:  # no end of the pipe says that the process has ended
        crashed._poll = UntilItEnds(crashed)
    with pytest.raises(BenchError, match="SIGSEGV ended its process"):
        crashed.exchange({})
    started = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
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
    (pid,) = pids(measured)
    assert running(pid)
    with pytest.raises(ConvprofError, match="another process"):
        _ = participant.prepared
    events.close()
    assert not running(pid)


def test_a_library_has_one_process_in_all_sessions_of_a_command(shared):
    first, second = shared("honest", "prints-1"), shared("honest", problem=OTHER_PROBLEM)
    assert shared.processes.starts(first._contestants) == [1, 0]
    for measured in (first, second):
        list(measured.events())
        assert {status for status, _ in reasons(measured).values()} == {"ok"}
    assert len({*pids(first), *pids(second)}) == 1
    assert shared.processes.starts(second._contestants) == [0]
    assert 0 < shared.processes.spent.total_s == shared.processes.spent.usual_start_s
    shared.processes.close()
    assert not running(pids(first)[0])


def test_a_crash_of_one_contestant_of_a_library_leaves_the_others(shared, monkeypatch, tmp_path):
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    measured = shared("honest", f"segv-{LATE}", "again-0", "raises-1")
    list(measured.events())
    assert reasons(measured) == {
        "honest": ("ok", None),
        f"segv-{LATE}": ("failed", f"SIGSEGV ended its process (segmentation fault){SHOWN}"),
        "again-0": ("failed", f"SIGILL ended its process (illegal instruction){SHOWN}"),
        "raises-1": ("failed", "ValueError: first line"),
    }
    assert measured.measurements()[0].time_s.samples == 6


def test_a_process_that_is_killed_between_two_samples_is_started_again_once(shared):
    measured = shared("honest", "prints-1")
    ended = []
    for event in measured.events():
        if isinstance(event, Sampled) and event.round in {2, 4} and len(ended) < event.round / 2:
            ended.append(pids(measured)[0])
            kill(ended[-1])
    assert len(set(ended)) == 2
    statuses = sorted(reasons(measured).values())
    killed = ("failed", f"SIGKILL ended its process (killed){SHOWN}")
    assert statuses == [killed, ("ok", None)]


def test_own_strategies_compute_here_where_only_libraries_have_processes():
    processes = Processes(60.0, "libraries")
    measured = session("honest", InLibrary("honest"), processes=processes)
    own, of_library = measured._contestants
    assert (processes.take(own), processes.take(of_library)) == (False, True)
    assert not HERE.take(of_library)
    assert Processes(60.0).starts([own, own, of_library, of_library]) == [1, 1, 1, 0]


def test_the_starts_of_processes_are_expected_before_they_happen():
    names = ("honest", "prints-1")
    for strategies, starts in ((names, 2), (tuple(map(InLibrary, names)), 1)):
        measured = session(*strategies)
        event = next(measured.events())
        assert isinstance(event, Started)
        assert event.starting_s == starts * USUAL_START_S


def test_a_library_whose_refusal_fails_is_a_row(shared):
    class Confused(InLibrary):
        def why_not(self, *_):
            raise ValueError("which version is this?")

    contestants = [Contestant(Confused("honest"), PROBLEM, Setting())]
    measured = Session(contestants, Settings(processes=shared.processes))
    list(measured.events())
    assert reasons(measured) == {"honest": ("failed", "ValueError: which version is this?")}


def test_a_library_that_cannot_change_its_threads_has_a_process_for_each_number():
    class Fixed(InLibrary):
        parallel = True
        fixes_threads = True

    contestants = [
        Contestant(Fixed("honest"), PROBLEM, Setting(threads=threads)) for threads in (1, 2, 1)
    ]
    processes = Processes(60.0)
    assert processes.starts(contestants) == [1, 1, 0]
    first, second, third = (processes.bench(each, 0)._service for each in contestants)
    assert first is third
    assert first is not second


def test_a_signal_during_a_request_ends_the_process(monkeypatch):
    """Else what is left of the reply would be taken for the next one."""
    slow = process.Process(60.0, ("sh", "-c", "read line; sleep 1000"))
    monkeypatch.setattr(slow, "_line", lambda *_: raised(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        slow.exchange({})
    assert not slow.runs
    assert not running(slow._process.pid)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            (sys.executable, "-P", SCRIPT, "garbage"),
            "its process did not answer in the agreed form: it is not JSON",
        ),
        (("false",), f"its process ended with exit code 1{SHOWN}"),
        (
            ("sh", "-c", "read line; yes | tr -d '\\n'"),
            "its process did not answer in the agreed form: its line is too long",
        ),
        (
            ("sh", "-c", f"{ANSWER}; {ANSWER}; read line"),
            "its process answered without sense: a number is below 0 or not finite",
        ),
        (
            ("sh", "-c", """read line; echo '{"cpu_s": "much"}'; read line"""),
            "its process did not answer in the agreed form: a number is missing",
        ),
    ],
    ids=["garbage", "dead", "endless", "senseless", "no time"],
)
def test_a_process_that_answers_garbage_is_ended(monkeypatch, command, reason):
    monkeypatch.setattr(process, "COMMAND", command)
    measured = session("honest")
    list(measured.events())
    assert reasons(measured) == {"honest": ("failed", reason)}


def test_a_process_that_closes_its_pipe_is_ended(monkeypatch):
    monkeypatch.setattr(process, "END_S", 0.1)  # it does not end by itself
    monkeypatch.setattr(process, "COMMAND", ("sh", "-c", "read line; exec 1>&-; sleep 1000"))
    measured = session("honest")
    list(measured.events())
    reason = "it closed its pipe: its process was ended"
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
