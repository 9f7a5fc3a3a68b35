"""The book in a real browser: it asks nobody, complains about nothing, and fits on a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pytest

from tests.support.book import Book, book

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["book"]

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
PROGRAM = os.environ.get("BROWSER_FOR_TESTS") or next(filter(None, map(shutil.which, NAMES)), None)
PATIENCE = 120_000  # milliseconds
SIZES = {"wide": (1280, 900), "phone": (390, 844)}
FRONT_DOOR = "index.html"  # it goes on by itself
LOCAL = ("file:", "data:", "blob:", "about:")
# Both the page's own pictures and those that a script has put there.
WITHOUT_WORDS = "[...document.images].filter(i => !i.hasAttribute('alt')).map(i => i.src)"
WIDTH = "document.documentElement.scrollWidth"
CUT = (
    "[...document.querySelectorAll('div.cell_input pre, .cell_output table:not(.dataframe)')]"
    ".filter(e => e.scrollWidth > e.clientWidth + 2).map(e => e.innerText.slice(0, 40))"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium or Chrome here"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # Chromium refuses its own sandbox to the administrator, who runs the tests in containers.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox"] if as_root else []
        )
        yield started
        started.close()


@pytest.mark.parametrize(("size", "colours"), [("wide", "dark"), ("phone", "light")])
def test_every_page(
    book: Book, browser: Browser, size: str, colours: Literal["dark", "light"]
) -> None:
    problems: list[str] = []
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colours,
    )
    page = context.new_page()
    page.on("request", lambda r: r.url.startswith(LOCAL) or problems.append(f"asks {r.url}"))
    # (What was still on its way when the test went on to the next page is no failure.)
    page.on(
        "requestfailed",
        lambda r: "ABORTED" in str(r.failure) or problems.append(f"{page.url} misses {r.url}"),
    )
    page.on("pageerror", lambda e: problems.append(f"{page.url}: {e}"))
    page.on(
        "console",
        lambda m: problems.append(f"{page.url}: {m.text}") if m.type == "error" else None,
    )
    for name in sorted(book.pages.keys() - {FRONT_DOOR}):
        page.goto((book.folder / name).as_uri(), wait_until="load")
        if (wide := page.evaluate(WIDTH)) > width:
            problems.append(f"{name} is {wide} wide on a screen of {width}")
        problems += [f"{name} cuts {what!r}" for what in page.evaluate(CUT)]
        problems += [f"{name}: no words for {src}" for src in page.evaluate(WITHOUT_WORDS)]
    context.close()
    assert not problems


def test_the_front_door_goes_on_by_itself(book: Book, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((book.folder / FRONT_DOOR).as_uri())
    page.wait_for_url("**/docs/index.html", timeout=PATIENCE)
    assert page.locator("h1").first.inner_text().startswith("Superheroes by fine-tuning")
    page.close()


def test_the_search_finds_a_term(book: Book, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((book.folder / "search.html").as_uri() + "?q=overfitting")
    page.wait_for_selector("#search-results li a", timeout=PATIENCE)
    found = page.eval_on_selector_all("#search-results li a", "each => each.map(a => a.href)")
    context.close()
    assert any("glossary.html" in each or "05_polling.html" in each for each in found)
