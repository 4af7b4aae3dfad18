"""Every file that the package reads at run time is installed with it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import convprof

PACKAGE = Path(convprof.__file__).parent
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_every_file_that_is_no_module_is_package_data():
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["convprof"]
    installed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix != ".py" and "__pycache__" not in path.parts}
    assert data == installed
