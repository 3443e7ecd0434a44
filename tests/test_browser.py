"""The browser that other tests look through."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_browser import Browser

PAGE = """<!DOCTYPE html><title>t</title><style>body { color: black }
@media (prefers-color-scheme: dark) { body { color: white } }</style><body><div style="width: 700px">wide</div>
<script>setTimeout(() => { window.later = 6 * 7 }, 50); console.error("said", 1); undefinedFunction()</script>"""


@pytest.fixture
def address(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    return path


def test_it_sees_what_a_page_does(browser: Browser, address: Path) -> None:
    with browser.open_page(address, width=400) as page:
        assert page.wait_for("window.later") == 42
        assert page.evaluate("document.documentElement.scrollWidth") >= 700
        assert page.evaluate("Promise.resolve([1, {a: 'b'}])") == [1, {"a": "b"}]
        assert "said 1" in page.console_errors
        assert any("undefinedFunction" in error for error in page.console_errors)
        assert page.requests == [address.resolve().as_uri()]
        with pytest.raises(RuntimeError, match="nowhere"):
            page.evaluate("nowhere.at")


def test_it_looks_in_the_dark_and_on_paper(browser: Browser, address: Path, tmp_path: Path) -> None:
    with browser.open_page(address, dark=True) as page:
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(255, 255, 255)"
        page.prefer(dark=False)
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        page.screenshot(tmp_path / "page.png")
        page.print_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
