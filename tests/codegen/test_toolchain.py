from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import convprof
from convprof.codegen import toolchain
from convprof.errors import ToolchainError

WAY_OUT = "python -m pip install --upgrade 'numba>=0.62'"


@pytest.fixture(autouse=True)
def _asked_anew():
    toolchain.llvm.cache_clear()
    toolchain.numba.cache_clear()
    yield
    toolchain.llvm.cache_clear()
    toolchain.numba.cache_clear()


@pytest.fixture
def packages(monkeypatch):
    """Return what imports of this name give: a module, or an exception that they raise."""
    found = {
        "llvmlite": SimpleNamespace(__version__="0.45.0"),
        "llvmlite.binding": SimpleNamespace(llvm_version_info=(20, 1, 8)),
        "numba": SimpleNamespace(__version__="0.62.0"),
    }

    def import_module(name):
        if isinstance(found[name], Exception):
            raise found[name]
        return found[name]

    monkeypatch.setattr(toolchain.importlib, "import_module", import_module)
    return found


def test_the_oldest_that_will_do(packages):
    assert toolchain.llvm() is packages["llvmlite.binding"]
    assert toolchain.numba() is packages["numba"]


@pytest.mark.parametrize("version", ["0.62.0rc1", "0.63.1", "0.68.1", "1.0.0", "1.0"])
def test_newer_ones_will_do(packages, version):
    packages["numba"].__version__ = version
    assert toolchain.numba() is packages["numba"]


def test_an_old_llvm(packages):
    packages["llvmlite"].__version__ = "0.44.0"
    packages["llvmlite.binding"].llvm_version_info = (15, 0, 7)
    for load in (toolchain.llvm, toolchain.numba):
        with pytest.raises(ToolchainError) as caught:
            load()
        assert str(caught.value) == (
            "llvmlite 0.44.0 has LLVM 15, which is too old: convprof needs numba 0.62 or newer, "
            f"with LLVM 20 or newer. Upgrade both: {WAY_OUT}"
        )


@pytest.mark.parametrize("version", ["0.61.2", "0.9.0", "", "unknown"])
def test_an_old_numba(packages, version):
    packages["numba"].__version__ = version
    with pytest.raises(ToolchainError) as caught:
        toolchain.numba()
    needs = f"convprof needs numba 0.62 or newer. Upgrade: {WAY_OUT}"
    assert str(caught.value) == f"numba {version} is too old: {needs}"


@pytest.mark.parametrize("name", ["numba", "llvmlite"])
def test_an_absent_package(packages, name):
    missing = ModuleNotFoundError(f"No module named '{name}'", name=name)
    packages["numba" if name == "numba" else "llvmlite.binding"] = missing
    with pytest.raises(ToolchainError) as caught:
        toolchain.numba()
    assert str(caught.value) == (
        f"{name} cannot be imported (No module named '{name}'): "
        f"convprof needs numba 0.62 or newer. Install: {WAY_OUT}"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImportError("Numba needs NumPy 2.3 or less.\nx"), "Numba needs NumPy 2.3 or less."),
        (OSError("Could not load libllvmlite.so"), "Could not load libllvmlite.so"),
        (SystemError(), "SystemError"),
        (ModuleNotFoundError("No module named 'x'", name="x"), "No module named 'x'"),
    ],
)  # fmt: skip
def test_a_broken_package_is_to_be_installed_again(packages, error, reason):
    packages["numba"] = error
    with pytest.raises(ToolchainError) as caught:
        toolchain.numba()
    again = "python -m pip install --upgrade --force-reinstall 'numba>=0.62'"
    assert str(caught.value) == (
        f"numba cannot be imported ({reason}): "
        f"convprof needs numba 0.62 or newer. Install again: {again}"
    )


def test_a_package_without_memory_need_not_be_installed_again(packages):
    packages["numba"] = ImportError("_a.so: failed to map segment from shared object")
    with pytest.raises(ToolchainError, match=r"more memory \(ulimit -v\)") as caught:
        toolchain.numba()
    assert "pip" not in str(caught.value)


def test_the_oldest_numba_is_the_lower_bound_of_the_package():
    bound = ".".join(map(str, toolchain.OLDEST_NUMBA))
    project = Path(__file__).parents[2] / "pyproject.toml"
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert f"numba>={bound}" in wanted


def test_what_is_installed_will_do():
    assert toolchain.numba() is importlib.import_module("numba")


@pytest.mark.parametrize("words", [["run", "--gemm", "8x8x8", "-s", "naive"], ["strategies"]])
def test_a_command_ends_in_one_line(tmp_path, words):
    fake = tmp_path / "llvmlite"
    fake.mkdir()
    (fake / "__init__.py").write_text("__version__ = '0.44.0'\n", encoding="utf-8")
    (fake / "binding.py").write_text("llvm_version_info = (15, 0, 7)\n", encoding="utf-8")
    above = str(Path(convprof.__file__).parents[1])
    start = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {above!r}]; "
    done = subprocess.run(
        [sys.executable, "-c", f"{start}from convprof.cli import main; main({words!r})"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("convprof: llvmlite 0.44.0 has LLVM 15, which is too old: ")
    assert len(done.stderr.splitlines()) == 1
