from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convprof.studies.trace import torch_hook
from convprof.studies.trace.loggers import LineLoggers, LogFile, TorchLogger, keep

TORCH = """
from . import autograd, profiler
class ProfilerActivity: CPU = 1
"""
PROFILER = """
class ProfilerActivity: CPU = 1
class profile:
    def __init__(self, **options): self.options = options
    def start(self): print("start", sorted(self.options))
    def stop(self): print("stop")
    def export_chrome_trace(self, path):
        open(path, "w").write('{"traceEvents": []}')
"""
AUTOGRAD = """
class profiler:
    class profile:
        def _prepare_trace(self): print("the program's own")
"""


@pytest.fixture
def run(tmp_path):
    """Return what runs Python code with the hook, a made-up torch and a sitecustomize."""
    packages, logs = tmp_path / "packages", tmp_path / "logs"
    (packages / "torch").mkdir(parents=True)
    logs.mkdir()
    (packages / "torch" / "__init__.py").write_text(TORCH)
    (packages / "torch" / "autograd.py").write_text(AUTOGRAD)
    logger = TorchLogger(logs)
    environment = logger.environment({**os.environ, "PYTHONPATH": str(packages)})

    def execute(code, *, hidden=None, profiler=PROFILER):
        (packages / "torch" / "profiler.py").write_text(profiler)
        if hidden is not None:
            (packages / "sitecustomize.py").write_text(hidden)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False,
            env=environment,
        )  # fmt: skip
        return done, logger.logs()

    return execute


def test_torch_is_profiled_from_its_import_to_the_end(run):
    done, logs = run("print('before'); import torch; print('work')")
    assert done.stdout.split("\n") == [
        "before", "start ['activities', 'record_shapes']", "work", "stop", "",
    ]  # fmt: skip
    assert done.stderr == ""
    assert [json.loads(log.read_text()) for log in logs] == [{"traceEvents": []}]


def test_a_program_without_torch_is_left_alone(run):
    done, logs = run("import sys, json; print([p for p in sys.path if 'python' in p[-7:]])")
    assert (done.stdout, done.stderr, logs) == ("[]\n", "", [])


def test_the_programs_own_sitecustomize_runs(run):
    done, _ = run(
        "import sitecustomize; print(sitecustomize.NAME)",
        hidden="print('hidden'); NAME = __name__",
    )
    assert done.stdout == "hidden\nsitecustomize\n"
    done, _ = run("print('work')", hidden="raise ValueError('as ever')")
    assert done.stdout == "work\n"
    assert "ValueError: as ever" in done.stderr


def test_the_programs_own_profiler_has_precedence(run):
    done, logs = run(
        "import torch\n"
        "profile = torch.autograd.profiler.profile()\n"
        "profile._prepare_trace()\n"
        "print('work')\n"
    )
    assert done.stdout.split("\n")[1:] == ["stop", "the program's own", "work", ""]
    assert len(logs) == 1


def test_a_torch_that_cannot_be_profiled_works(run):
    done, logs = run("import torch; print('work')", profiler="")
    assert (done.stdout, done.stderr, logs) == ("work\n", "", [])


def test_the_exit_code_and_errors_are_the_programs(run):
    done, _ = run("import torch; raise SystemExit(7)")
    assert done.returncode == 7
    done, _ = run("import torch; 1 / 0")
    assert done.returncode == 1
    assert "torch_hook" not in done.stderr


def test_the_hook_imports_nothing_of_convprof():
    text = Path(torch_hook.__file__).read_text(encoding="utf-8")
    assert "import convprof" not in text
    assert "from convprof" not in text


def test_variables_of_the_loggers(tmp_path):
    logger = LineLoggers(tmp_path)
    variables = logger.environment({"HOME": "x", "ONEDNN_VERBOSE": "0"})
    assert variables["HOME"] == "x"
    assert {variables[name] for name in variables if name.endswith("_VERBOSE")} == {"1", "2"}
    assert logger.logs() == []


def test_kept_logs(tmp_path):
    logs = [tmp_path / "lines.log", tmp_path / "mkl.log"]
    for log in logs:
        log.write_text(f"{log.name}\n")
    assert keep(logs, tmp_path / "kept") == [tmp_path / "kept"]
    assert (tmp_path / "kept").read_text() == "lines.log\nmkl.log\n"
    traces = [tmp_path / "trace-1.json", tmp_path / "trace-2.json"]
    for trace in traces:
        trace.write_text(trace.name)
    kept = keep(traces, tmp_path / "kept.json")
    assert [(path.name, path.read_text()) for path in kept] == [
        ("kept.json", "trace-1.json"),
        ("kept.json.2", "trace-2.json"),
    ]


def test_a_full_disk_ends_the_log_and_not_the_program(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no device that is always full")
    with LogFile(full) as log:
        log.write(b"line\n")
        log.write(b"line\n")
    assert log.lost == "No space left on device"
    with LogFile(tmp_path / "log") as log:
        log.write(b"line\n")
    assert (log.lost, (tmp_path / "log").read_bytes()) == (None, b"line\n")
