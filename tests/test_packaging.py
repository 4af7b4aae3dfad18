"""What a package has besides the code: the licence, and documents that links lead to."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#\s]+)")
"""The target of a link in Markdown, without a place in the document."""


def test_the_licence_is_named_and_at_the_top():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) ")
    assert "The convprof authors\n" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "License :: OSI Approved :: MIT License" in project["classifiers"]


def test_links_of_the_readme_are_files_of_the_source_distribution():
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link
        assert link.startswith("docs/"), link
    assert "graft docs" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()


def test_every_measuring_script_has_a_row_in_their_readme():
    folder = ROOT / "tests" / "benchmarks"
    rows = re.findall(r"(?m)^\| `(\w+\.py)` \|", (folder / "README.md").read_text(encoding="utf-8"))
    scripts = {
        path.name for path in folder.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
    }
    assert len(rows) == len(set(rows))
    assert set(rows) == scripts
