from __future__ import annotations

import io
import os
import signal

import pytest

from convprof.errors import InputError
from convprof.studies.trace.program import Program, executable

ONEDNN = "onednn_verbose,v1,primitive,exec,cpu,relu,x,y,,,,,1x2,0.5"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs run as POSIX has them")


@pytest.fixture
def pipe():
    """Return both ends of a pipe, which is closed afterwards."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def run(pipe, script, *, log=None):
    program = Program(["sh", "-c", script], os.environ)
    ended = program.run(pipe[1], log)
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0]), "rb") as file:
        return ended, file.read()


def test_lines_of_libraries_are_taken_out_of_stdout(pipe):
    log = io.BytesIO()
    ended, output = run(pipe, f"printf 'step 1: {ONEDNN}\\nloss 3\\n\\377'; exit 3", log=log.write)
    assert ended.exit_code == 3
    assert ended.seconds > 0
    assert output == b"step 1: loss 3\n\xff"
    assert log.getvalue() == f"{ONEDNN}\n".encode()


def test_without_a_log_stdout_is_not_looked_at(pipe):
    _, output = run(pipe, f"echo {ONEDNN}")
    assert output == f"{ONEDNN}\n".encode()


def test_a_run_that_nobody_sees(capfd):
    program = Program(["sh", "-c", "echo out; echo err >&2; cat"], os.environ)
    assert program.run(None).exit_code == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_that_ends_the_program_is_in_its_exit_code(pipe, number):
    ended, _ = run(pipe, f"kill -{int(number)} $$", log=io.BytesIO().write)
    assert ended.exit_code == 128 + number


def test_a_signal_is_sent_to_the_program(pipe):
    program = Program(["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done"], os.environ)
    # The trap may not be set when an early signal arrives: then the signal itself ends the shell.
    program.send(signal.SIGTERM)
    assert program.run(pipe[1], io.BytesIO().write).exit_code in (5, 128 + signal.SIGTERM)


def test_a_program_that_writes_to_a_terminal_sees_one():
    import pty
    import termios

    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (33, 77))
    script = f"test -t 1 && echo {ONEDNN} && stty size <&1"
    ended = Program(["sh", "-c", script], os.environ).run(writer, io.BytesIO().write)
    assert ended.exit_code == 0
    assert os.read(reader, 100) == b"33 77\r\n"
    os.close(writer)
    os.close(reader)


def test_a_program_whose_reader_has_gone_ends(pipe):
    os.close(pipe[0])
    ended = Program(["sh", "-c", "yes"], os.environ).run(pipe[1], io.BytesIO().write)
    assert ended.exit_code == 128 + signal.SIGPIPE


def test_a_process_that_is_left_behind_does_not_stop_the_report(pipe, monkeypatch):
    monkeypatch.setattr("convprof.studies.trace.program._AFTER_S", 0.1)
    ended, output = run(pipe, "sleep 1 & echo over", log=io.BytesIO().write)
    assert (ended.exit_code, output) == (0, b"over\n")
    assert ended.seconds < 1


def test_half_a_line_is_shown_while_the_program_waits(tmp_path):
    """The program ends as soon as the half line has arrived in its output."""
    output = tmp_path / "output"
    wait = f"for i in $(seq 200); do grep -q y/o {output} && exit; sleep 0.02; done; exit 9"
    script = f"printf 'more? [y/o'; {wait}"
    with output.open("wb") as file:
        ended = Program(["sh", "-c", script], os.environ).run(file.fileno(), io.BytesIO().write)
    assert ended.exit_code == 0
    assert output.read_bytes() == b"more? [y/o"


def test_a_program_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="there is no such program"):
        executable([str(tmp_path / "nothing")])
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    broken.chmod(0o755)
    with pytest.raises(InputError, match="Exec format"):
        Program([str(broken)], os.environ).run(None)
