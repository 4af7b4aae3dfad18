"""What is found in another environment, and the one line that refuses it."""

from __future__ import annotations

import dataclasses
import os
import sys
import tomllib
from pathlib import Path

import pytest
from environment_folders import FACTS, answering, same, script

from convprof.errors import InputError
from convprof.measure.bench import Facts
from convprof.measure.contestant import Contestant
from convprof.measure.isolated import PROTOCOL, start
from convprof.measure.isolated.examination import REQUIRED, distinguished, examine
from convprof.measure.isolated.messages import contestant_fields
from convprof.measure.stopwatch import Sample
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


def refusal(path, limit_s=30.0):
    with pytest.raises(InputError) as caught:
        examine("A", path, ["torch"], limit_s)
    return str(caught.value).removeprefix(f"python={path}: ")


def test_the_versions_are_told(tmp_path):
    packages = {**FACTS["packages"], "torch": "2.13.0+cpu", "llvmlite": "0.47"}
    facts = {**FACTS, "packages": packages, "modules": ["torch"]}
    path = answering(tmp_path, "python", facts, {"blas": "openblas 0.3", "cpu_s": 0})
    found = examine("B", path, ["torch", "jax"], 30.0)
    assert dict(found.versions) == {
        "Python": "3.12.1",
        "convprof": "9.9",
        "numpy": "1.26",
        "numba": "0.62",
        "llvmlite": "0.47",
        "BLAS": "openblas 0.3",
        "torch": "2.13.0+cpu",
    }
    assert (found.name, found.python, found.modules, found.lent) == ("B", path, ("torch",), False)
    assert found.command == (path, "-I", start.__file__)


def test_a_folder_means_the_python_in_it(tmp_path):
    (tmp_path / "bin").mkdir()
    path = answering(tmp_path / "bin", "python", FACTS, {"blas": None, "cpu_s": 0})
    assert examine("A", str(tmp_path), [], 30.0).python == path
    assert refusal(str(tmp_path / "bin")) == "this folder has no bin/python"


def test_what_is_not_a_python_is_refused_in_a_line(tmp_path):
    assert refusal(str(tmp_path / "none")) == "there is no program of this name"
    dead = script(tmp_path, "dead", "echo 'no such flag: -I' >&2; exit 7")
    assert refusal(dead) == (
        "convprof cannot run in it: its process ended with exit code 7: no such flag: -I"
    )
    text = answering(tmp_path, "text", "hello?")
    assert refusal(text) == (
        "convprof cannot run in it: its process did not answer in the agreed form: it is not JSON"
    )
    other = answering(tmp_path, "other", {"cpu_s": 0})
    assert "convprof cannot run in it" in refusal(other)
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    assert "cannot be started" in refusal(str(broken))


def test_one_that_hangs_is_refused_after_the_time_limit(tmp_path):
    hangs = script(tmp_path, "hangs", "sleep 100")
    assert refusal(hangs, 0.2) == (
        "convprof cannot run in it: no answer for 0.2 s: its process was ended"
    )


def test_one_that_dies_when_convprof_is_imported_is_refused(tmp_path):
    text = "echo \"ImportError: no module 'numba'\" >&2; exit 1"
    dies = answering(tmp_path, "dies", FACTS)
    Path(dies).write_text(f"{Path(dies).read_text()}{text}\n")
    assert refusal(dies).endswith("exit code 1: ImportError: no module 'numba'")


def test_an_old_python_is_refused(tmp_path):
    facts = {**FACTS, "python": [3, 8, 10], "protocol": None, "convprof": None}
    path = answering(tmp_path, "python", facts)
    assert refusal(path) == "it is Python 3.8.10, and convprof needs 3.11"


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1])
def test_a_convprof_with_other_messages_is_refused(tmp_path, protocol):
    path = answering(tmp_path, "python", {**FACTS, "protocol": protocol})
    text = refusal(path)
    assert text.startswith("its convprof 9.9 cannot be compared with convprof")
    assert f"({protocol} and {PROTOCOL})" in text
    assert "\n" not in text


def test_packages_that_are_missing_or_too_old_are_named_with_the_way_out(tmp_path):
    packages = {**FACTS["packages"], "numpy": "1.25.9"}
    del packages["numba"]
    path = answering(tmp_path, "python", {**FACTS, "lent": True, "packages": packages})
    assert refusal(path) == (
        "numpy 1.25.9 is too old, numba is not installed: "
        f"{path} -m pip install 'numpy>=1.26' 'numba>=0.62'"
    )


def test_a_python_without_packages_gets_this_convprof_and_lacks_the_rest(tmp_path):
    bare = same(tmp_path, "bare", "-S")  # without site-packages
    text = refusal(bare)
    assert all(f"{name} is not installed" in text for name in REQUIRED)


def test_two_working_copies_of_one_version_are_told_apart_by_their_folders(tmp_path):
    copies = []
    for number, folder in enumerate(("/one", "/other")):
        facts = {**FACTS, "folder": folder}
        path = answering(tmp_path, f"python{number}", facts, {"blas": None, "cpu_s": 0})
        copies.append(examine("AB"[number], path, [], 30.0))
    told = [dict(each.versions)["convprof"] for each in distinguished(copies)]
    assert told == ["9.9 of /one", "9.9 of /other"]
    assert distinguished([copies[0], copies[0]]) == (copies[0], copies[0])
    one, other = (each.variables["CONVPROF_CACHE_DIR"] for each in distinguished(copies))
    assert one != other  # what `auto` of one copy has chosen is not what the other one computes
    assert copies[0].variables == {}


def test_the_required_packages_are_the_dependencies_that_processes_use():
    pyproject = Path(__file__).parents[3] / "pyproject.toml"
    declared = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    known = {name: ".".join(map(str, least)) for name, least in REQUIRED.items()}
    interface = {"click", "rich"}
    lowest = dict(text.split(">=") for text in declared)
    for name in interface:
        lowest.pop(name)
    assert {n: v.removesuffix(".0") for n, v in known.items()} == {
        n: v.removesuffix(".0") for n, v in lowest.items()
    }


def test_the_messages_have_the_fields_of_their_number():
    """A change here makes another protocol: raise `PROTOCOL`."""
    contestant = Contestant(registry.find("gemm", "blas"), Gemm(m=2, n=2, k=2), Setting())
    fields = {
        "contestant": sorted(contestant_fields(contestant)),
        "setting": [field.name for field in dataclasses.fields(Setting)],
        "sample": [field.name for field in dataclasses.fields(Sample)],
        "facts": [field.name for field in dataclasses.fields(Facts)],
    }
    assert (PROTOCOL, fields) == (3, MESSAGES)


MESSAGES = {
    "contestant": ["cache", "problem", "setting", "strategy"],
    "setting": ["layout", "dtype", "threads", "isa", "tune", "max_error", "alone"],
    "sample": ["seconds", "core_hz", "cycles", "source"],
    "facts": [
        "executed_flops",
        "bytes_moved",
        "prepare_s",
        "compile_s",
        "workspace_bytes",
        "times_phases",
        "explanation",
        "note",
    ],
}


def test_the_processes_import_only_required_packages_and_the_standard_library():
    import subprocess

    code = (
        "import sys; from convprof.measure.isolated import worker;"
        "print(*{name.partition('.')[0] for name, m in sys.modules.items()"
        " if 'site-packages' in str(getattr(m, '__file__', ''))})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    brought = {"llvmlite", "cpuinfo"}  # by numba, and the module of py-cpuinfo
    ours = {"convprof", *brought, *REQUIRED}
    assert {name for name in run.stdout.split() if not name.startswith("_")} <= ours
