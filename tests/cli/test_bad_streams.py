"""A stream that fails costs what was to be printed there, and nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convprof import cli
from convprof.measure.session import Session

PRODUCT = ["--gemm", "8x9x10", "-s", "naive", "-t", "1", "--budget", "0.001", "--rounds", "2"]
RUN = ["run", *PRODUCT]
SEVERAL = ["run", "4x4:4x4", "5x5:5x5", "6x6:6x6", *PRODUCT[2:], "--all"]
"""With ``--all`` each table is printed as soon as its problem is measured."""
COMMANDS = {
    "run": RUN,
    "compare layouts": ["compare", "layouts", "mb1ic3ih6oc4kh3", "-s", "tiled", *PRODUCT[4:]],
    "compare peers": ["compare", "peers", "8x9:9x10", "-s", "naive,blas", *PRODUCT[4:]],
    "ladder": ["ladder", "gemm", "8x9:9x10", "-s", "naive", *PRODUCT[4:]],
    "network --summary": ["network", "lenet5", "--summary"],
    "network --list": ["network", "--list"],
    "explain": ["explain", "im2col"],
    "strategies": ["strategies"],
}
"""One command for each way in which a command ends."""
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@pytest.fixture
def stdout(monkeypatch):
    """Put a stream in the place of stdout; stderr is what the test reads."""

    def put(stream):
        monkeypatch.setattr(sys, "stdout", stream)

    return put


class Full(io.StringIO):
    """A stream on a disk without room."""

    def write(self, text):  # noqa: ARG002
        raise OSError(28, "No space left on device")


class Gone(io.StringIO):
    """A pipe whose reader ends after a number of writes."""

    def __init__(self, writes):
        super().__init__()
        self.left = writes

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return len(text)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", list(COMMANDS)[:6])
def test_every_command_writes_its_file_when_stdout_is_full(name, stdout, tmp_path, capsys):
    path = tmp_path / "o.json"
    stdout(Full())
    assert cli._status([*COMMANDS[name], "--json", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == "convprof: stdout cannot be written: No space left on device"
    assert "Traceback" not in err
    assert read(path)["schema_version"]


@pytest.mark.parametrize("words", [["--help"], ["strategies"], ["run", "--dry-run"], [*RUN]])
def test_without_a_file_it_is_one_line(words, stdout, capsys):
    stdout(Full())
    assert cli._status(words) == 1
    assert "stdout cannot be written: No space left" in capsys.readouterr().err


def test_a_closed_stdout(stdout, tmp_path, capsys):
    path = tmp_path / "o.json"
    stdout(None)
    assert cli._status([*RUN, "--json", str(path), "--quiet"]) == 1
    assert capsys.readouterr().err == "convprof: stdout cannot be written: it is closed\n"
    assert len(read(path)["measurements"]) == 1


@pytest.mark.parametrize("stream", [None, Full(), Gone(0)], ids=["closed", "full", "gone"])
def test_a_bad_stderr_costs_no_file(stream, monkeypatch, tmp_path, capsys):
    path = tmp_path / "o.json"
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("convprof.machine.activity.others", lambda *_: 0.9)  # there is a remark
    status = cli._status([*RUN, "--json", str(path)])
    assert status == (0 if stream is None else 1)  # who closes stderr wants no remarks
    assert len(read(path)["measurements"]) == 1
    assert "gemm" in capsys.readouterr().out


def test_both_gone_and_the_file_is_whole(monkeypatch, stdout, tmp_path):
    path = tmp_path / "o.json"
    stdout(Gone(1))
    monkeypatch.setattr(sys, "stderr", Gone(0))
    assert cli._status([*SEVERAL, "--json", str(path)]) == 1
    assert len(read(path)["measurements"]) == 3


def test_a_reader_that_has_gone_stops_nothing_where_there_is_a_file(stdout, tmp_path):
    path = tmp_path / "o.json"
    stdout(Gone(2))
    assert cli._status([*SEVERAL, "--json", str(path)]) == 1
    document = read(path)
    assert len(document["measurements"]) == 3
    assert document["interrupted"] is False


@pytest.mark.parametrize("words", [RUN, SEVERAL, ["network", "lenet5", "--summary"]])
def test_the_file_is_there_before_the_last_table_is_printed(words, stdout, tmp_path):
    path = tmp_path / "o.json"
    found = []

    class Looking(io.StringIO):
        def write(self, text):
            found.append(path.exists())
            return len(text)

    stdout(Looking())
    assert cli._status([*words, "--json", str(path)]) == 0
    assert found[-1] is True
    assert found[0] is (words is not SEVERAL)  # there the first tables come while it measures


def test_without_a_file_and_a_reader_measuring_stops(stdout, monkeypatch, capsys):
    begun = []
    begin = Session.__init__
    monkeypatch.setattr(Session, "__init__", lambda self, *a: begun.append(1) or begin(self, *a))
    stdout(Gone(2))
    assert cli._status(SEVERAL) == 1
    assert len(begun) == 1
    assert "stdout cannot be written: the reader has gone" in capsys.readouterr().err


@full
def test_each_file_is_written_whatever_happens_to_the_others(tmp_path, capsys):
    csv, markdown = tmp_path / "o.csv", tmp_path / "o.md"
    words = ["--json", "/dev/full", "--csv", str(csv), "--markdown", str(markdown), "--quiet"]
    assert cli._status([*RUN, *words]) == 1
    out, err = capsys.readouterr()
    assert err == "convprof: /dev/full: cannot be written: No space left on device\n"
    assert "naive" in out
    assert csv.read_text().count("\n") == 2
    assert "| naive |" in markdown.read_text()


IN_ASCII = [(name, "ascii") for name in COMMANDS]
IN_OTHERS = [("run", name) for name in ("latin-1", "cp437", "cp1252")]


@pytest.mark.parametrize(("name", "encoding"), IN_ASCII + IN_OTHERS)
def test_every_command_prints_into_every_encoding(name, encoding, stdout, capsys):
    raw = io.BytesIO()
    stdout(io.TextIOWrapper(raw, encoding=encoding))
    assert cli._status(COMMANDS[name]) == 0, capsys.readouterr().err
    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert text.count("\n") > 1
    assert "?" not in text.replace("±?", "").replace("+/-?", "")


def test_only_the_driver_writes_files_and_makes_the_streams_of_results():
    folder = Path(cli.__file__).parent
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    writers = {name for name, text in sources.items() if "write_atomically" in text}
    printers = {name for name, text in sources.items() if "console.stdout" in text}
    assert writers == {"driver.py"}
    assert printers == {"driver.py", "explain.py", "strategies.py", "study.py"}  # no file there


def test_json_on_a_stdout_without_unicode_keeps_its_values(stdout, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["convprof", "größe"])
    raw = io.BytesIO()
    stdout(io.TextIOWrapper(raw, encoding="ascii"))
    assert cli._status([*RUN, "--json", "-"]) == 0
    sys.stdout.flush()
    assert json.loads(raw.getvalue())["settings"]["argv"] == ["größe"]


def test_a_deleted_working_directory(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    try:
        folder.rmdir()
    except OSError:
        pytest.skip("this system keeps a folder that is in use")
    monkeypatch.setattr("convprof.studies.run.Run", None)  # nothing may be measured
    assert cli._status([*RUN, "--json", "o.json"]) == 2
    assert capsys.readouterr().err == (
        "convprof: --json o.json: cannot be written: the working directory does not exist any "
        "more. Give a full path, or '-' for stdout\n"
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="descriptors as a shell has them")
def test_a_process_with_closed_descriptors_ends_without_a_word_of_python(tmp_path):
    path = tmp_path / "o.json"
    program = "import sys; from convprof.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", program, "network", "lenet5", "--summary", "--json", str(path)]
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *words], stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 1
    assert done.stderr == b"convprof: stdout cannot be written: it is closed\n"
    assert read(path)["network"]["name"] == "lenet5"


NOISY = """
import ctypes, os
from convprof.measure.session import Session
events = Session.events
def noisy(self):
    os.write(1, b"written,by a library\\n")
    if os.name == "posix":
        ctypes.CDLL(None).puts(b"printed,by a library")  # buffered in C
    yield from events(self)
Session.events = noisy
from convprof.cli import main
main({arguments})
"""


@pytest.mark.parametrize("words", [["--json", "-"], ["--json=-"]])
def test_what_libraries_print_does_not_reach_a_document_on_stdout(words):
    program = NOISY.format(arguments=[*RUN, "--quiet", *words])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["measurements"]
    assert b"written,by a library" in done.stderr
    if os.name == "posix":
        assert b"printed,by a library" in done.stderr


def test_stdout_is_given_back_to_a_program_that_calls_main(tmp_path):
    path = tmp_path / "out"
    program = (
        "import os, sys\nfrom convprof.cli import main\n"
        f"try: main({[*RUN, '--quiet', '--json', '-']})\n"
        "except SystemExit: pass\nprint('after'); sys.stdout.flush(); os.write(1, b'last')\n"
    )
    with path.open("wb") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    document, _, rest = path.read_text().rpartition("after\n")
    assert json.loads(document)["measurements"]
    assert rest == "last"
