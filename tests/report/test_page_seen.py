"""The page in a real browser: nothing fails, everything is there to be seen, on every screen and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_browser import Browser, Page
from helpers_pages import PageMaker

PAGES = [
    "small",
    "deep",
    "spoilt",
    "hybrid",
    "several",
    "of_any_size",
    "torchts16__unet-qcfs16-dyadic-dyn",
    "torchts13__dense-qcfs8c-dyn",
    "torchts11__conv3d-qcfs4pc-dyn",
    "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
    "brevitas__inq-a8w8pc-qcdq",
]
#: Figures, pictures and map rows that are too small to be seen, by what they are.
SMALL = """[...document.querySelectorAll("figure, figure svg, figure img, .map li")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width < 20 || box.height < 20 || getComputedStyle(e).visibility !== "visible";
}).map(e => e.outerHTML.slice(0, 80))"""
#: Elements that stick out to the right of the window.
OUTSIDE = """[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 80))"""
#: Boxes with more in them than they show, where that could be scrolled sideways.
SCROLLED = """[...document.querySelectorAll("body *")].filter(e => e.scrollWidth > e.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)).map(e => e.outerHTML.slice(0, 80))"""
#: Lines of the map and tiles of which not all is to be seen.
CUT = """[...document.querySelectorAll(innerWidth < 400 ? ".map .name, dl *" : ".map .name, .map .detail, dl *")].filter(e =>
    e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1).map(e => e.textContent)"""
#: Lowest contrast of text on the page's cards, as WCAG counts it.
CONTRAST = """(() => {
    const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = c => rgb(c).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const card = light(getComputedStyle(document.querySelector(".card")).backgroundColor);
    const texts = [...document.querySelectorAll(
        ".card td, .card figcaption, .card h3, .card .detail, #raster svg text, #energy svg text")];
    return Math.min(...texts.map(e => light(e.closest("svg") ? getComputedStyle(e).fill : getComputedStyle(e).color))
        .map(l => (Math.max(l, card) + 0.05) / (Math.min(l, card) + 0.05)));
})()"""


def assert_sound(page: Page) -> None:
    assert page.console_errors == []
    assert page.evaluate(SMALL) == []
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(SCROLLED) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_desk_and_phone(page: PageMaker, browser: Browser, name: str) -> None:
    with browser.open_page(page(name), width=1280) as tab:
        assert_sound(tab)
        tab.resize(400, 800)
        assert_sound(tab)
        assert [url for url in tab.requests if not url.startswith("data:")] == [page(name).as_uri()]


def test_light_and_dark(page: PageMaker, browser: Browser) -> None:
    with browser.open_page(page("small")) as tab:
        background = "getComputedStyle(document.body).backgroundColor"
        light = tab.evaluate(background)
        assert tab.evaluate(CONTRAST) > 4.5
        tab.prefer(dark=True)
        assert tab.evaluate(background) != light
        assert tab.evaluate(CONTRAST) > 4.5
        tab.prefer(dark=True, media="print")
        assert tab.evaluate(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [320, 600, 960, 1200, 1920])
def test_windows_between(page: PageMaker, browser: Browser, width: int) -> None:
    with browser.open_page(page("brevitas__inq-a8w8pc-qcdq"), width=width) as tab:
        assert_sound(tab)


def test_on_paper(page: PageMaker, browser: Browser, tmp_path: Path) -> None:
    with browser.open_page(page("small"), dark=True) as tab:
        tab.print_pdf(tmp_path / "report.pdf")
        content = (tmp_path / "report.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        assert 2 <= content.count(b"/Type /Page\n") <= 5
        tab.prefer(media="print")
        tab.resize(700, 1000)
        assert_sound(tab)
        assert (
            tab.evaluate("getComputedStyle(document.querySelector('table.layers tr')).display") == "table-row"
        )


def test_numbers_unfold(page: PageMaker, browser: Browser) -> None:
    with browser.open_page(page("small"), width=400) as tab:
        assert tab.evaluate("[...document.querySelectorAll('details')].map(d => d.open = true).length") >= 7
        assert_sound(tab)
