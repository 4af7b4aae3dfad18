"""Whole programs: their time, and how they fail."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from convprof.measure.programs import ProgramError, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


def sh(script, limit_s=30.0):
    return run(["sh", "-c", script], {**os.environ, "WORD": "a word"}, limit_s)


def test_the_time_is_from_start_to_end():
    slept = sh("sleep 0.2")
    assert 0.2 <= slept.seconds < 30
    assert slept.processor_s < slept.seconds


def test_processor_time_has_the_programs_that_it_starts():
    spun = sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    assert spun.processor_s > 0.02


def test_it_gets_the_variables_and_reads_nothing():
    sh('[ "$WORD" = "a word" ] && ! read line')


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first >&2; echo 'last words' >&2; exit 3", "exit code 3: last words"),
        ("kill -SEGV $$", "SIGSEGV ended its process"),
    ],
)
def test_a_failure_is_one_line(script, reason):
    with pytest.raises(ProgramError, match=reason):
        sh(script)


def test_one_that_cannot_be_started_says_why():
    with pytest.raises(ProgramError, match="it cannot be started: No such file"):
        run(["/nowhere/program"], {}, 1.0)


def test_what_a_late_program_has_started_ends_with_it(tmp_path):
    start = time.monotonic()
    with pytest.raises(ProgramError, match=r"it did not end within 0\.2 s"):
        sh(f"sleep 100 & echo $! >{tmp_path}/pid; wait", 0.2)
    assert time.monotonic() - start < 20
    _has_ended(int((tmp_path / "pid").read_text()))


def _has_ended(pid):
    deadline = time.monotonic() + 10
    while True:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)
