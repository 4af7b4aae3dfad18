"""Where no memory may be made executable, a line says so; LLVM would end the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from convprof.codegen import executable
from convprof.codegen.jit import Module
from convprof.errors import ConvprofError
from convprof.strategies import kernels
from convprof.studies import sysinfo

CODE = "define i64 @one() { ret i64 1 }"
FORBIDDEN = """
import ctypes, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
from convprof.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def forbidden(monkeypatch):
    """A process that may not create executable memory, as far as convprof can tell."""
    monkeypatch.setattr(executable, "possible", lambda: False)


def one(lo, hi, buffers, dims):
    """Use every argument."""
    buffers[0][lo] = hi + dims[0]


def test_it_is_possible_here():
    assert executable.possible()
    executable.require()
    assert Module(CODE).address("one")


@pytest.mark.usefixtures("forbidden")
def test_no_compiler_is_called_where_it_is_not():
    for compile_ in (lambda: Module(CODE), lambda: kernels.address(one, "f32")):
        with pytest.raises(
            ConvprofError, match=r"may not create executable memory \(Memory.*: run"
        ):
            compile_()


def test_sysinfo_says_it_once_and_goes_on():
    def fail():
        raise ConvprofError("no memory for code")

    notes = []
    assert [sysinfo._attempt(what, fail, notes) for what in ("peak", "clock")] == [None, None]
    assert notes == ["no memory for code"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize(
    ("arguments", "code", "channel"),
    [
        (("run", "--gemm", "8x8x8", "-s", "naive"), 1, "stderr"),
        (("sysinfo", "--json", "-"), 0, "stdout"),
    ],
)
def test_a_real_process_without_executable_memory(arguments, code, channel):
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert done.returncode == code
    assert "this process may not create executable memory" in getattr(done, channel)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("busy: ")]
    assert len(lines) == code
