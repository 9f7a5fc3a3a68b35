"""The built book for the tests that look at it: built once, and read as plain HTML.

Import the fixture into a test module: `from tests.support.book import book`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock

from tools import build_docs

# Elements that load something as soon as the page is shown, and the attribute that says what.
LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


@dataclass
class Page(HTMLParser):
    """What the tests want to know of one page."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    drawings: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get(LOADING.get(tag, "")):
            self.loads.append(found[LOADING[tag]])
        if tag == "img":
            self.images.append(found)
        if tag == "svg":
            self.drawings.append(found)


@dataclass(frozen=True)
class Book:
    """The pages of the book by their path below the book's folder."""

    folder: Path
    pages: dict[str, Page]


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Book:
    """The book, built as `make docs` builds it: any warning fails here.

    The workers of pytest-xdist share it: the first that asks builds, the other one waits.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    folder = shared / "book"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            assert build_docs.build(draft) == 0, "the book was not built: see above"
            draft.rename(folder)
    paths = sorted(folder.rglob("*.html"))
    pages = {
        path.relative_to(folder).as_posix(): Page(path)
        for path in paths
        if not path.is_relative_to(folder / "_static")
    }
    return Book(folder, pages)
