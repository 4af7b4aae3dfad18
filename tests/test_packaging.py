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


PLACE = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
"""The document, empty for the same one, and the place of a link."""
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text):
    """Return the places of a document, as GitHub names them."""
    names = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(text))
    return [name.replace(" ", "-") for name in names]


def test_links_into_documents_lead_to_headings():
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for document, place in PLACE.findall(file.read_text(encoding="utf-8")):
            if document.startswith("https:"):
                continue
            target = file.parent / document if document else file
            assert place in anchors(target.read_text(encoding="utf-8")), f"{file.name}: {place}"


def test_the_contents_of_the_decisions_are_its_headings_in_order():
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    _, contents, entries = re.split("<!-- (?:end of )?contents -->\n", text)
    places = [place for _, place in PLACE.findall(contents)]
    assert anchors(entries) == places
    assert len(set(places)) == len(places)


def test_no_entry_of_the_changelog_and_of_the_decisions_is_there_twice():
    for name in ("changelog.md", "decisions.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        beginnings = [line[:50] for line in text.splitlines() if line.startswith("- ")]
        assert [each for each in beginnings if beginnings.count(each) > 1] == [], name
