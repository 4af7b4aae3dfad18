"""Signals end a command as Ctrl-C does, and never between two halves of a file."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import pytest

from convprof import cli
from convprof.cli import signals
from convprof.cli.driver import Driver
from convprof.measure.session import Session
from convprof.render import files

SMALL = ["8x9:9x10", "9x9:9x9", "-s", "naive,packed", "-t", "1"]
RUN = ["run", *SMALL, "--budget", "0.001", "--rounds", "6"]
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(autouse=True)
def _not_ignored():
    """A shell ignores signals for what it runs in the background: not here."""
    names = [getattr(signal, name) for name in CODES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in names}
    for number in names:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(name):
    os.kill(os.getpid(), getattr(signal, name))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def after(monkeypatch):
    """Call something after a number of samples."""

    def plan(count, work):
        sample, taken = Session._sample, []

        def counted(self, participant):
            taken.append(1)
            if len(taken) == count:
                work()
            return sample(self, participant)

        monkeypatch.setattr(Session, "_sample", counted)

    return plan


@pytest.mark.parametrize("name", CODES)
def test_what_was_measured_is_printed_and_written(name, after, tmp_path, capsys):
    path = tmp_path / "o.json"
    after(5, lambda: send(name))
    assert cli._status([*RUN, "--json", str(path)]) == CODES[name]
    out, err = capsys.readouterr()
    assert "8x9:9x10" in out
    said = "interrupted" if name == "SIGINT" else f"interrupted by {name}"
    assert f"{said}: what was measured until then is above" in err
    document = read(path)
    assert document["interrupted"] is True
    assert sum(m["time_s"]["samples"] for m in document["measurements"]) == 4


def test_further_signals_wait_until_the_file_is_written(after, tmp_path, monkeypatch, capsys):
    path = tmp_path / "o.json"
    after(5, lambda: send("SIGTERM"))
    write = files.write_bytes_atomically

    def slowly(name, data):
        send("SIGTERM")
        write(name, data)
        send("SIGINT")

    monkeypatch.setattr(files, "write_bytes_atomically", slowly)
    assert cli._status([*RUN, "--json", str(path)]) == 143
    assert read(path)["interrupted"] is True
    assert "interrupted by SIGTERM" in capsys.readouterr().err


def test_a_signal_while_a_problem_is_taken_over_does_not_cost_it(tmp_path, monkeypatch):
    path = tmp_path / "o.json"
    results = Session.measurements

    def interrupted(self):
        send("SIGTERM")
        return results(self)

    monkeypatch.setattr(Session, "measurements", interrupted)
    assert cli._status([*RUN, "--json", str(path)]) == 143
    assert [m["strategy"] for m in read(path)["measurements"]] == ["naive", "packed"]


def test_a_signal_just_before_the_files_does_not_cost_them(tmp_path, monkeypatch, capsys):
    path = tmp_path / "o.json"
    end, ended = Driver._end, []

    def interrupted(self, work, *, interrupted):
        ended.append(1)
        if len(ended) == 1:
            send("SIGTERM")
        return end(self, work, interrupted=interrupted)

    monkeypatch.setattr(Driver, "_end", interrupted)
    assert cli._status([*RUN, "--json", str(path)]) == 143
    assert len(read(path)["measurements"]) == 4
    assert "interrupted by SIGTERM" in capsys.readouterr().err


def test_a_signal_that_somebody_swallowed_ends_the_command_all_the_same(after, tmp_path):
    def swallowed():
        try:
            send("SIGTERM")
        except KeyboardInterrupt:
            return

    path = tmp_path / "o.json"
    after(5, swallowed)
    assert cli._status([*RUN, "--json", str(path)]) == 143
    assert sum(m["time_s"]["samples"] for m in read(path)["measurements"]) == 5


@pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_destructor_prints_no_traceback_and_is_not_lost(capsys, monkeypatch):
    class Ending:
        def __del__(self):
            send("SIGTERM")

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    with signals.handled():
        Ending()
        assert capsys.readouterr().err == ""
        with pytest.raises(signals.Interrupted):
            signals.check()
    assert sys.unraisablehook is sys.__unraisablehook__


def test_handlers_are_put_back_and_an_ignored_signal_stays_ignored():
    before = signal.getsignal(signal.SIGTERM)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with signals.handled():
            assert signal.getsignal(signal.SIGTERM) is signals._arrived
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, hangup)


def test_a_disk_that_never_answers_can_be_left_by_insisting(monkeypatch):
    with signals.handled(), signals.held():
        for _ in range(3):
            send("SIGINT")  # in one second: they wait
        monkeypatch.setattr(signals.time, "monotonic", lambda: 1e12)
        with pytest.raises(signals.Interrupted):
            send("SIGINT")
        signals._state.waiting = 0


def test_nothing_is_raised_twice_before_the_files_are_written():
    with signals.handled():
        with pytest.raises(signals.Interrupted):
            send("SIGTERM")
        send("SIGINT")  # waits
        with signals.held():
            send("SIGINT")
        with pytest.raises(signals.Interrupted):
            signals.reopen()
        assert (signals.exit_code(), signals.name()) == (143, "SIGTERM")


def test_another_thread_may_run_a_command(capsys):
    status = []
    thread = threading.Thread(target=lambda: status.append(cli._status(["strategies"])))
    thread.start()
    thread.join()
    assert status == [0]
    assert "naive" in capsys.readouterr().out
