"""numba's settings and its cache on disk: neither may cost a result, or change one unseen."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from convprof.codegen import numba_setup, target
from convprof.errors import ConvprofError
from convprof.strategies import kernels

PROGRAM = """
import warnings
warnings.simplefilter("error")
from convprof.codegen import numba_setup

def run():
    import convprof
    import numpy as np
    g = convprof.Gemm(m=8, n=8, k=8)
    prepared = convprof.prepare(g, strategy="naive")
    prepared.bind(np.ones((8, 8), np.float32), np.ones((8, 8), np.float32))
    prepared.run()
    assert (prepared.output() == 8).all()

run()
print(numba_setup.deviations())
"""
DAMAGES = {
    "emptied": lambda _: b"",
    "cut": lambda data: data[:40],
    "half": lambda data: data[: len(data) // 2],
    "other bytes": lambda data: bytes(255 - byte for byte in data),
    "another pickle": lambda _: b"\x80\x04N.",
}


def run(folder, program=PROGRAM, **environment):
    """Compile and run the naive product in a process of its own; return what it prints."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**variables, "NUMBA_CACHE_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def files(folder, ending="*.nb?"):
    return sorted(folder.rglob(ending))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder with a sound cache."""
    folder = tmp_path_factory.mktemp("numba")
    assert run(folder) == "{}"
    assert len(files(folder, "*.nbi")) == len(files(folder, "*.nbc")) > 0
    return folder


def test_a_process_replaces_damaged_files(cache):
    names = {path.name for path in files(cache)}
    for path in files(cache):
        path.write_bytes(DAMAGES["half"](path.read_bytes()))
    damaged = {path: path.read_bytes() for path in files(cache)}
    assert run(cache) == "{}"
    assert {path.name for path in files(cache)} == names
    assert all(path.read_bytes() != damaged[path] for path in files(cache))


def test_a_cached_loop_nest_runs_without_all_that_numba_can_compile(cache):
    """Importing it takes longer than importing the rest of numba."""
    module = "numba.typed.typeddict"
    program = PROGRAM + f"import sys; print({module!r} in sys.modules)"
    assert run(cache, program=program).splitlines() == ["{}", "False"]


def write_eight(first, last, buffers, words):  # noqa: ARG001
    """Write 8: a kernel that compiles in little time, for the tests within this process."""
    buffers[0][0] = 8


def compile_and_run():
    made = kernels._compile(write_eight, ("f32",), cached=True)
    result = ctypes.c_float()
    buffers = (ctypes.c_void_p * 1)(ctypes.addressof(result))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 2, *[ctypes.c_void_p] * 2)(made.address)
    call(0, 1, ctypes.addressof(buffers), None)
    assert result.value == 8
    return made


@pytest.fixture
def small_cache(monkeypatch, tmp_path):
    """Return a folder with a sound cache of the small kernel, which this process uses."""
    numba_setup.load()
    from numba.core import config

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert compile_and_run().cache_hits == 0
    assert compile_and_run().cache_hits == 1
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ending", ["*.nb?", "*.nbi", "*.nbc"])
def test_damaged_files_are_replaced(small_cache, damage, ending):
    names = {path.name for path in files(small_cache)}
    for path in files(small_cache, ending):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    damaged = {path: path.read_bytes() for path in files(small_cache, ending)}
    assert damaged
    assert compile_and_run().cache_hits == 0
    assert all(path.read_bytes() != data for path, data in damaged.items())
    assert {path.name for path in files(small_cache)} == names
    assert compile_and_run().cache_hits == 1


def test_slow_code_is_cached_apart(cache):
    """Without the level in the key, all later processes would run unoptimised code."""
    before = {path: path.read_bytes() for path in files(cache, "*.nbc")}
    assert run(cache, NUMBA_OPT="0") == "{'NUMBA_OPT': '0'}"
    after = files(cache, "*.nbc")
    assert len(after) == 2 * len(before)
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_variable_for_debugging_does_not_keep_numba_from_compiling(tmp_path):
    assert run(tmp_path, NUMBA_DISABLE_JIT="1") == "{}"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file" / "below") == "{}"


@pytest.fixture
def config(monkeypatch):
    """Return a stand-in for ``numba.core.config`` as it usually is."""
    usual = {"OPT": 3, "ENABLE_AVX": True, "DISABLE_JIT": 0, "CPU_NAME": None, "CPU_FEATURES": None}
    fake = SimpleNamespace(**usual, BOUNDSCHECK=None)
    monkeypatch.setitem(sys.modules, "numba.core.config", fake)
    host = target.Target("x86_64", "sandybridge", "+avx,+avx2,-avx512f", "22.1.0")
    monkeypatch.setattr(numba_setup, "target", lambda: host)
    for name in numba_setup._CPU:
        monkeypatch.delenv(name, raising=False)
    return fake


def test_what_deviates(config):
    assert numba_setup.deviations() == {}
    config.OPT, config.CPU_NAME, config.CPU_FEATURES = 1, "generic", ""
    config.ENABLE_AVX, config.BOUNDSCHECK = 0, 1
    expected = {
        "NUMBA_OPT": "1",
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_ENABLE_AVX": "0",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
    }
    assert numba_setup.deviations() == expected


def test_nothing_deviates_before_numba_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "numba.core.config", raising=False)
    assert numba_setup.deviations() == {}


def test_avx_that_numba_turns_off_for_an_old_name_is_turned_on_again(config):
    config.ENABLE_AVX = False
    numba_setup.load()
    assert config.ENABLE_AVX == 1
    assert numba_setup.deviations() == {}


def test_avx_that_the_user_turns_off_stays_off(config, monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_AVX", "0")
    config.ENABLE_AVX = 0
    numba_setup.load()
    assert numba_setup.deviations() == {"NUMBA_ENABLE_AVX": "0"}


def test_numba_that_compiles_nothing_is_said(config):
    config.DISABLE_JIT = 1
    with pytest.raises(ConvprofError, match=r"compile nothing \(NUMBA_DISABLE_JIT=1\): unset"):
        numba_setup.load()
