"""The page in a browser: headless Chromium, driven by Playwright. Skips without either of them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

pytest.importorskip("jinja2", reason="reports need jinja2: pip install 'convprof[report]'")
pytest.importorskip("matplotlib", reason="reports need matplotlib: pip install 'convprof[report]'")
from pages import EVIL, PAGE, TABLE

from convprof.render.report import file

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser is driven without playwright: pip install playwright"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "x.html"
    file.write(replace(PAGE, blocks=PAGE.blocks[:2]), str(path))
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Open the page with options; at the end: no message, no dialog, no request left it."""
    contexts, messages, requests = [], [], []

    def opening(*, scripts=True, **options):
        context = browser.new_context(java_script_enabled=scripts, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: (messages.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert messages == []
    assert {url for url in requests if not url.startswith(("data:", address))} == set()


def names(page):
    return page.locator("table").first.locator("tbody tr:visible th").all_inner_texts()


def heading(page, text):
    return page.locator("table").first.locator("thead th", has_text=text)


def test_a_column_of_numbers_is_sorted_by_value_with_unknown_last(opened):
    page = opened()
    heading(page, "time").get_by_role("button").click()
    assert names(page)[0] == EVIL
    assert names(page)[-2:] == ["tiled", "naive"]
    assert heading(page, "time").get_attribute("aria-sort") == "ascending"
    heading(page, "time").get_by_role("button").click()
    assert names(page)[0] == "tiled"
    assert names(page)[-1] == "naive"
    assert heading(page, "time").get_attribute("aria-sort") == "descending"


def test_a_column_of_texts_is_sorted_with_the_keyboard(opened):
    page = opened()
    heading(page, "strategy").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert names(page)[1:] == sorted(row[0] for row in TABLE.rows if row[0] != EVIL)


def test_a_filter_keeps_rows_with_all_words_and_says_how_many(opened):
    page = opened()
    page.get_by_label("Show rows with").first.fill("NCHW pack")
    assert names(page) == ["packed"]
    assert page.get_by_role("status").first.inner_text() == "1 of 7 rows"
    page.get_by_label("Show rows with").first.fill("")
    assert len(names(page)) == len(TABLE.rows)


def test_a_point_shows_its_row_and_the_row_shows_its_point(opened):
    page = opened()
    point = page.locator("a.point[data-key='tiled nhwc']").first
    point.hover()
    row = page.locator("tr#table-1-0-0")
    assert "linked" in row.get_attribute("class")
    row.hover()
    assert "linked" in point.get_attribute("class")
    assert not page.locator("tr#chart-1-values-0").is_visible()
    point.click()
    assert page.locator("tr#chart-1-values-0").is_visible()
    assert page.url.endswith("#chart-1-values-0")


def test_without_scripts_everything_can_be_read(opened):
    page = opened(scripts=False)
    assert len(names(page)) == len(TABLE.rows)
    assert page.locator("svg").count() == len(PAGE.charts)
    assert not page.get_by_label("Show rows with").first.is_visible()
    page.locator("summary", has_text="The document as JSON").click()
    assert page.locator("pre").is_visible()


def test_the_document_is_saved(opened):
    page = opened(scripts=False)
    with page.expect_download() as download:
        page.get_by_text("Save the document").click()
    assert download.value.suggested_filename == "ladder.json.gz"


def test_the_first_key_leads_to_the_answer(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_window_and_texts_can_be_read(opened, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])"
    )
    assert _contrast(ink, paper) > 7  # WCAG 2, level AAA
    label = page.locator("svg text").first
    fill = label.evaluate("element => getComputedStyle(element).fill")
    assert _contrast(fill, paper) > 7


def test_a_long_name_leaves_room_for_the_other_columns_on_a_phone(opened):
    page = opened(viewport={"width": 400, "height": 900})
    name = page.locator("#table-1-0-0 th")
    name.evaluate("element => element.textContent = 'layer1.0.conv2 '.repeat(9)")
    assert name.bounding_box()["width"] < 200
    region = page.locator("#results .scroll").first
    region.evaluate("element => element.scrollLeft = 300")
    assert name.bounding_box()["x"] == region.bounding_box()["x"]  # the name stays


def _contrast(one, other):
    """Return the ratio of contrast that WCAG 2 defines."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color):
    shares = [int(word) / 255 for word in color[4:-1].split(",")]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
