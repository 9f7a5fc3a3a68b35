"""The book: it is built, complete, loads nothing from elsewhere, and no link leads nowhere."""

from __future__ import annotations

import hashlib
import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from course.errors import entries
from tests.support.book import Book, book
from tools import build_docs, pages
from tools.notebooks import NOTEBOOKS, ROOT, code_cells, read

__all__ = ["book"]

DOCS = ROOT / "docs"
VENDOR = DOCS / "_static" / "vendor"
sys.path.insert(0, str(DOCS / "_ext"))

import course_notebooks  # noqa: E402
import data_tables  # noqa: E402
import helpers_reference  # noqa: E402

pytestmark = pytest.mark.slow
NOTEBOOK_FILES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
VENDORED = re.compile(
    r"^\| (\S+) \| (\S+) \| (\S+) \| npm \| .+ \| ([0-9a-f]{64}) \|$", re.MULTILINE
)


def words(html: str) -> str:
    """The text of a page, without tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_every_source_has_its_page(book: Book) -> None:
    sources = [*NOTEBOOK_FILES, *DOCS.glob("*.md")]
    expected = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in sources}
    assert expected | {"index.html", "search.html"} <= book.pages.keys()


def test_the_front_door_leads_to_the_landing_page(book: Book) -> None:
    assert book.pages["index.html"].links == ["docs/index.html"]


def test_nothing_is_loaded_from_elsewhere(book: Book) -> None:
    found = {
        name: [target for target in page.loads if ELSEWHERE.match(target)]
        for name, page in book.pages.items()
    }
    assert not {name: targets for name, targets in found.items() if targets}


def test_styles_load_nothing_from_elsewhere(book: Book) -> None:
    for style in book.folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        targets = re.findall(r"url\(\s*['\"]?([^'\")]+)", text)
        targets += re.findall(r"@import\s+['\"]([^'\"]+)", text)
        assert not [each for each in targets if ELSEWHERE.match(each)], style.name


def test_what_is_loaded_is_there(book: Book) -> None:
    for name, page in book.pages.items():
        for target in page.loads:
            if target.startswith("data:"):
                continue
            path = page.path.parent / unquote(urlsplit(target).path)
            assert path.exists(), f"{name} loads {target}"


def test_links_lead_somewhere(book: Book) -> None:
    for name, page in book.pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme in ("http", "https", "mailto"), f"{name}: {link}"
                continue
            goal = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            assert goal.exists(), f"{name}: nothing is at {link}"
            inside = goal.relative_to(book.folder.resolve()).as_posix() if parts.path else name
            if parts.fragment and inside in book.pages:
                anchor = unquote(parts.fragment)
                assert anchor in book.pages[inside].ids, f"{name}: no such place: {link}"


def test_pictures_are_told_in_words(book: Book) -> None:
    for name, page in book.pages.items():
        for image in page.images:
            # The logo is beside the book's name, which says the same.
            if "logo__image" not in image.get("class", ""):
                assert len(image.get("alt", "").split()) > 2, f"{name}: {image.get('src')}"
        for drawing in page.drawings:
            assert drawing.get("aria-hidden") == "true" or drawing.get("aria-label"), name


def test_pictures_of_outputs_are_told_as_the_notebooks_tell_them(book: Book) -> None:
    for path in NOTEBOOK_FILES:
        told = course_notebooks.described(course_notebooks.load(path), path.name).values()
        expected = {" ".join(words.split()) for words in told}
        images = book.pages[f"notebooks/{path.stem}.html"].images
        shown = {" ".join((image.get("alt") or "").split()) for image in images}
        assert expected <= shown, path.name


def test_a_picture_without_words_stops_the_build() -> None:
    output = {"data": {"image/png": "aGVybw==", "text/plain": "<Figure>"}, "metadata": {}}
    notebook = {"cells": [{"id": "chart", "outputs": [output]}]}
    with pytest.raises(course_notebooks.ExtensionError, match="chart"):
        course_notebooks.described(notebook, "00")


def test_a_chart_says_once_what_it_shows() -> None:
    picture = {"metadata": {"image/png": {"alt": "Two of ten."}}, "data": {"image/png": ""}}
    outputs = [{"text": ["before\n", "Two of ten.\n"]}, picture, {"text": "Two of ten.\n"}]
    course_notebooks.leave_out_what_alt_texts_say(outputs)
    assert outputs == [{"text": "before\n"}, picture]


def test_widgets_are_left_out_and_their_twins_stay(book: Book) -> None:
    for path in NOTEBOOK_FILES:
        html = book.pages[f"notebooks/{path.stem}.html"].text
        assert "jupyter.widget" not in html, path.name
        text = words(html)
        for cell in code_cells(read(path)):
            if any(course_notebooks.WIDGET in each.get("data", {}) for each in cell.outputs):
                told = [each.data["text/plain"] for each in cell.outputs if "data" in each]
                assert told[0].startswith("("), f"{path.name}, {cell.id}: a widget without a twin"
                assert " ".join(told[0].split())[:40] in text, f"{path.name}, {cell.id}"


def test_every_code_cell_has_an_anchor(book: Book) -> None:
    for path in NOTEBOOK_FILES:
        ids = book.pages[f"notebooks/{path.stem}.html"].ids
        assert {f"cell-{cell.id}" for cell in code_cells(read(path))} <= ids


def test_no_page_asks_for_formulas(book: Book) -> None:
    for name, page in book.pages.items():
        assert not [each for each in page.loads if "mathjax" in each.lower()], name


def test_the_landing_page_shows_the_stored_hero(book: Book) -> None:
    notebook = course_notebooks.load(ROOT / data_tables.PREDICTION)
    cell = course_notebooks.cell(notebook, "before")
    [table] = [each for each in cell["outputs"] if "text/markdown" in each.get("data", {})]
    stored = course_notebooks.text_of(table["data"]["text/markdown"])
    _, note, before, after, _ = stored.splitlines()[2].split("|")
    shown = words(book.pages["docs/index.html"].text)
    for part in (note.strip(" `"), before.strip(), after.strip()):
        assert part in shown


def test_a_cell_that_is_gone_stops_the_build() -> None:
    with pytest.raises(course_notebooks.ExtensionError, match="no cell 'x'"):
        course_notebooks.cell({"cells": [{"id": "y"}]}, "x")


def test_docstrings_keep_their_code_marks() -> None:
    lines = ["Gives `x` and ``y``, see :func:`z`."]
    helpers_reference.code_marks(None, "function", "f", None, None, lines)  # type: ignore[arg-type]
    assert lines == ["Gives ``x`` and ``y``, see :func:`z`."]


def test_vendored_files_are_the_published_ones() -> None:
    table = VENDORED.findall((VENDOR / "VENDORED.md").read_text(encoding="utf-8"))
    told = {name: digest for name, _, _, digest in table}
    assert told
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name not in ("VENDORED.md", "LICENSE")
    }
    assert found == told


def test_every_vendored_package_has_its_licence() -> None:
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert (folder / "LICENSE").read_text(encoding="utf-8").strip(), folder.name


def test_the_book_is_light(book: Book) -> None:
    assert sum(path.stat().st_size for path in DOCS.rglob("*") if path.is_file()) < 1_000_000
    assert sum(path.stat().st_size for path in book.folder.rglob("*") if path.is_file()) < 30e6


def test_a_warning_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book of one page, which names another one that does not exist."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_text("root_doc = 'index'\n", encoding="utf-8")
    (tmp_path / "index.rst").write_text("A page\n======\n\n:doc:`elsewhere`\n", encoding="utf-8")
    monkeypatch.setattr(build_docs, "ROOT", tmp_path)
    assert build_docs.build(tmp_path / "out") != 0


def test_every_error_is_told(book: Book) -> None:
    told = words(book.pages["docs/errors.html"].text)
    for entry in entries():
        assert " ".join(entry.title.replace("`", "").split()) in told, entry.id
        assert " ".join(entry.message.split()) in told, entry.id


def test_the_reference_has_every_helper(book: Book) -> None:
    told = words(book.pages["docs/helpers.html"].text)
    for path in [*(ROOT / "helpers").glob("[a-z]*.py"), *(ROOT / "course").glob("[a-z]*.py")]:
        assert f"{path.parent.name}.{path.stem}" in told


def test_made_pages_are_up_to_date(tmp_path: Path) -> None:
    """They are made from data, from the notebooks' links and from the command line's help."""
    remedy = "run tools/build_docs.py"
    made = pages.old_and_new(pages.old_calls())
    assert pages.OLD_AND_NEW.read_text(encoding="utf-8") == made, remedy
    assert pages.ERRORS.read_text(encoding="utf-8") == pages.errors(), remedy
    glossary = pages.GLOSSARY.read_text(encoding="utf-8")
    assert pages.with_notebooks(glossary) == glossary, remedy
    pages.write_commands(tmp_path / "heroes.md")
    fresh = (tmp_path / "heroes.md").read_text(encoding="utf-8")
    assert pages.COMMANDS.read_text(encoding="utf-8") == fresh, remedy


def test_the_glossary_is_in_order_and_each_term_one_sentence() -> None:
    text = pages.GLOSSARY.read_text(encoding="utf-8")
    terms = {found["term"]: found for found in pages.TERM.finditer(text)}
    assert len(terms) == len(re.findall(r"^## ", text, re.MULTILINE)) > 60
    assert list(terms) == sorted(terms)
    wrong = []
    for term, found in terms.items():
        told = found["told"]
        # Capitals and marks are turned into anchors differently by GitHub and by JupyterLab.
        good = re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", term)
        good = good and re.match(rf"(?:An? |The )?\*\*{re.escape(term)}\*\* ", told, re.IGNORECASE)
        one_sentence = told.endswith(".") and not re.search(r"[.!?] [A-Z]", told)
        if not (good and one_sentence and len(told.split()) <= 45):
            wrong.append(term)
    assert not wrong


def test_links_into_the_glossary_hit_a_term_and_no_term_is_linked_twice() -> None:
    text = pages.GLOSSARY.read_text(encoding="utf-8")
    terms = {pages.anchor(found["term"]) for found in pages.TERM.finditer(text)}
    linked = {path.name: pages.links(path) for path in NOTEBOOK_FILES}
    assert {name: set(found) - terms for name, found in linked.items() if set(found) - terms} == {}
    assert [name for name, found in linked.items() if len(found) != len(set(found))] == []
    assert terms == {anchor for found in linked.values() for anchor in found}, "no notebook says it"
