"""The page of HTML, read by a parser: no browser is needed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

pytest.importorskip("jinja2", reason="reports need jinja2: pip install 'convprof[report]'")
pytest.importorskip("matplotlib", reason="reports need matplotlib: pip install 'convprof[report]'")

from pages import DOCUMENT, EVIL, LINES, PAGE, TABLE

from convprof.errors import InputError
from convprof.render.report import file, raw

VOID = {"meta", "link", "input", "br"}


class Parsed(HTMLParser):
    """Tags in order, each with its attributes and its own text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append([tag, dict(attrs), ""])
        if tag not in VOID:
            self._open.append(self.tags[-1])

    def handle_startendtag(self, tag, attrs):
        self.tags.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for each in self._open:
            each[2] += data

    def of(self, *names):
        return [(attrs, text) for tag, attrs, text in self.tags if tag in names]


@pytest.fixture(scope="module")
def text():
    return file.html(PAGE)


@pytest.fixture(scope="module")
def page(text):
    return Parsed(text)


def test_markup_in_names_is_text_everywhere(page, text):
    assert EVIL not in text
    assert "<script>alert" not in text
    assert len(page.of("script")) == 1
    for tag in ("h1", "code", "th", "p", "li", "pre", "title", "td"):
        assert any("<script>alert(1)</script>" in content for _, content in page.of(tag)), tag


def test_ids_are_unique_and_every_link_has_its_target(page):
    ids = Counter(attrs["id"] for _, attrs, _ in page.tags if attrs.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    for _, attrs, _ in page.tags:
        for key in ("href", "xlink:href"):
            if attrs.get(key, "").startswith("#"):
                assert attrs[key][1:] in ids
        for key in ("aria-labelledby", "aria-describedby", "data-table"):
            if key in attrs:
                assert attrs[key] in ids


def test_nothing_is_loaded(page, text):
    for tag, attrs, _ in page.tags:
        for key in ("href", "xlink:href", "src", "action", "srcset", "data"):
            assert attrs.get(key, "#").startswith(("#", "data:")), (tag, key)
    assert "@import" not in text
    assert "url(http" not in text


def test_the_policy_allows_this_script_and_no_network(page):
    policy = next(a["content"] for a, _ in page.of("meta") if a.get("http-equiv"))
    digest = hashlib.sha256(page.of("script")[0][1].encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none';")


def test_every_row_has_all_cells_with_a_heading_for_each(page):
    rows = [attrs["id"] for attrs, _ in page.of("tr") if attrs.get("id", "").startswith("table-")]
    assert len(rows) == 2 * len(TABLE.rows)
    cells = [content for _, content in page.of("td", "th")]
    for row in TABLE.rows:
        for cell in row:
            assert cells.count(cell) >= 2
    scopes = Counter(attrs["scope"] for attrs, _ in page.of("th"))
    assert set(scopes) == {"row", "col"}
    assert len(page.of("caption")) == len(page.of("table"))


def test_every_point_has_its_values_as_title_and_links_to_its_row(page):
    points = [a for a, _ in page.of("a") if a.get("class") == "point"]
    rows = {attrs["id"]: content for attrs, content in page.of("tr") if attrs.get("id")}
    titles = [content for _, content in page.of("title")][1:]  # the first is the page's
    assert len(points) == len(titles) == 3 + 2
    for point, title in zip(points, titles, strict=True):
        assert point["data-key"] in rows[point["href"][1:]]
        assert point["data-key"] in title
    assert "tiled nhwc: 10.0 [9.00, 11.0] · GFLOP/s · 10 · 5 % of the peak" in titles


def test_a_row_has_the_name_of_its_point(page):
    keys = {attrs["id"]: attrs.get("data-key") for attrs, _ in page.of("tr") if "id" in attrs}
    assert keys["table-1-0-0"] == "tiled nhwc"
    assert keys["table-1-0-1"] == "packed"
    assert keys["table-1-0-2"] is None


def test_values_of_every_chart_are_there_as_text(page):
    cells = {content for _, content in page.of("td", "th")}
    assert {"10.0", "9.00", "11.0", "100", "1.20", "1.90", "2.10", "peak", "L1", "1.50"} <= cells


def test_lines_and_black_follow_the_page(page):
    svg = [attrs.get("style", "") for tag, attrs, _ in page.tags if tag in ("path", "use", "text")]
    assert any("var(--ink)" in style for style in svg)
    assert any("var(--paper)" in attrs.get("style", "") for attrs, _ in page.of("rect"))
    assert any("var(--grid)" in style for style in svg)


def test_the_document_can_be_saved_and_read_without_a_script(page):
    link = next(a["href"] for a, _ in page.of("a") if "download" in a)
    packed = base64.b64decode(link.removeprefix("data:application/gzip;base64,"))
    assert json.loads(gzip.decompress(packed)) == DOCUMENT
    assert json.loads(page.of("pre")[0][1]) == DOCUMENT


def test_a_large_document_is_left_out(monkeypatch):
    monkeypatch.setattr(raw, "MOST_SHOWN", 10)
    assert raw.raw(DOCUMENT).text is None
    assert raw.raw(DOCUMENT).link is not None
    monkeypatch.setattr(raw, "MOST_PACKED", 10)
    assert raw.raw(DOCUMENT) == raw.Raw(None, None)
    assert "too large for this page" in file.html(replace(PAGE, charts=()))


def test_facts_are_words_with_units(page):
    cells = [content for _, content in page.of("td")]
    assert "32 KiB" in cells
    assert "3.50 GHz" in cells
    assert "100 GFLOP/s" in cells
    assert "unknown" in cells


def test_a_name_with_control_characters_is_drawn():
    series = replace(LINES.series[0], label="a\x00\x1b[31m name")
    chart = replace(LINES, series=(series,))
    assert "a??[31m name" in file.html(replace(PAGE, charts=(chart,)))


def test_a_page_without_answer_chart_and_document(text):
    short = file.html(replace(PAGE, answer=None, charts=(), remarks=(), document=None, blocks=()))
    assert len(short) < len(text)
    assert [attrs["href"] for attrs, _ in Parsed(short).of("a")] == ["#answer", "#answer"]


def test_an_interrupted_command_is_said_first(text):
    said = "The command was interrupted"
    page = file.html(replace(PAGE, charts=(), document={**DOCUMENT, "interrupted": True}))
    assert said not in text
    assert page.index(said) < page.index('id="results"')


def test_the_same_page_gives_the_same_bytes(text):
    assert file.html(PAGE) == text


def test_a_file_that_is_no_page_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.pdf: the name ends in '\.pdf'; use \.html"):
        file.require(str(tmp_path / "x.pdf"))
    with pytest.raises(InputError, match="has no suffix"):
        file.require(str(tmp_path / "x"))


def test_without_a_package_its_name_and_the_command_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "PACKAGES", ("no_such_package", "matplotlib"))
    with pytest.raises(InputError, match=r"need no_such_package: pip install 'convprof\[report\]'"):
        file.require(str(tmp_path / "x.html"))


def test_the_file_is_written(tmp_path):
    page = replace(PAGE, charts=())
    file.write(page, str(tmp_path / "x.html"))
    assert (tmp_path / "x.html").read_text(encoding="utf-8") == file.html(page)
