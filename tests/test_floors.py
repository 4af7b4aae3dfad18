"""The lower bounds of pyproject.toml: each has one, and CI installs exactly them."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("floors", ROOT / ".ci" / "floors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wanted():
    texts = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    for extra in ("test", "peers", "plot", "report", "onnx"):
        texts += EXTRAS[extra]
    return {requirement.name: requirement for requirement in map(Requirement, texts)}


def test_ci_installs_the_lowest_version_of_all_but_the_largest(script):
    pinned = {requirement.name: requirement for requirement in map(Requirement, script.floors())}
    assert set(wanted()) - set(pinned) == {"torch"}
    for name, requirement in pinned.items():
        (exact,) = requirement.specifier
        (bound,) = wanted()[name].specifier
        assert (exact.operator, exact.version) == ("==", bound.version)


@pytest.mark.parametrize("text", ["numpy", "numpy<3", "numpy>=1.26,<3", "numpy~=1.26"])
def test_a_requirement_without_a_plain_lower_bound_is_refused(script, tmp_path, text):
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    script.PROJECT = tmp_path / "pyproject.toml"
    script.PROJECT.write_text(lines.replace('"numpy>=1.26"', f'"{text}"'), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^'{text}' in pyproject.toml: write NAME>=VERSION"):
        script.floors()


def test_two_lists_that_name_a_package_name_the_same_version():
    bounds = {}
    texts = [text for extra in EXTRAS.values() for text in extra]
    for requirement in map(Requirement, [*PROJECT["project"]["dependencies"], *texts]):
        bounds.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}


def test_what_the_tests_run_with_is_allowed():
    for name, requirement in wanted().items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an extra, or setuptools where the package was built elsewhere
        if name != "setuptools":  # builds the package in an environment of its own
            assert Version(version) in requirement.specifier, f"{name} {version}"


def test_python_versions_are_listed_from_the_lowest_on():
    begins = "Programming Language :: Python :: 3."
    listed = [text for text in PROJECT["project"]["classifiers"] if text.startswith(begins)]
    minors = [int(text.removeprefix(begins)) for text in listed]
    assert PROJECT["project"]["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"
