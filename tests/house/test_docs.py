"""The book: it is built, complete, loads nothing from elsewhere, and no link leads nowhere."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer.main

from heroes.app import app
from tests.support.book import Book, book
from tools import build_docs, glossary, old_and_new
from tools.notebooks import NOTEBOOKS, ROOT, code_cells, read

__all__ = ["book"]

DOCS = ROOT / "docs"
VENDOR = DOCS / "_static" / "vendor"
sys.path.insert(0, str(DOCS / "_ext"))

import course_notebooks  # noqa: E402
import data_tables  # noqa: E402
import errors_table  # noqa: E402
import helpers_reference  # noqa: E402
import heroes_reference  # noqa: E402
import scripts_page  # noqa: E402

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
            # The logo stands beside the book's name, which is words enough.
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


def test_stored_outputs_are_shown(book: Book) -> None:
    for path in NOTEBOOK_FILES:
        text = words(book.pages[f"notebooks/{path.stem}.html"].text)
        for cell in code_cells(read(path)):
            for output in cell.outputs:
                if output.output_type == "stream" and "\x1b" not in output.text:
                    first = " ".join(output.text.split())[:30]
                    assert first in text, f"{path.name}, {cell.id}: {first}"


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
    stored = course_notebooks.text_of(cell["outputs"][0]["data"]["text/markdown"])
    _, note, before, after, _ = stored.splitlines()[2].split("|")
    shown = words(book.pages["docs/index.html"].text)
    for part in (note.strip(" `"), before.strip(), after.strip()):
        assert part in shown


def test_a_cell_that_is_gone_stops_the_build() -> None:
    with pytest.raises(course_notebooks.ExtensionError, match="no cell 'x'"):
        course_notebooks.cell({"cells": [{"id": "y"}]}, "x")


def test_the_reference_tells_every_command(book: Book) -> None:
    told = words(book.pages["docs/heroes.html"].text)
    for name, command in heroes_reference.commands(typer.main.get_command(app)):
        assert command.help, f"{name} does not say what it does"
        assert name in told
        for written, what in heroes_reference.parameters(command):
            assert what.strip(), f"{name} {written} does not say what it does"


def test_the_reference_tells_what_notebooks_import(book: Book) -> None:
    told = book.pages["docs/helpers.html"].ids
    for module, names in helpers_reference.imported(NOTEBOOK_FILES).items():
        for name in names:
            assert f"{module}.{name}" in told, f"{module}.{name}"


def test_every_script_is_shown(book: Book) -> None:
    page = book.pages["docs/scripts.html"]
    shown = words(page.text)
    scripts = sorted((ROOT / "scripts").glob("[0-9][0-9]_*.py"))
    assert scripts
    for path in scripts:
        sentence, calls = scripts_page.told(path)
        assert sentence, f"{path.name} does not say what it does"
        for part in (sentence, *calls):
            assert " ".join(part.split()) in shown, path.name


def test_docstrings_keep_their_code_marks() -> None:
    lines = ["Gives `x` and ``y``, see :func:`z`."]
    helpers_reference.code_marks(None, "function", "f", None, None, lines)  # type: ignore[arg-type]
    assert lines == ["Gives ``x`` and ``y``, see :func:`z`."]


def test_seconds_become_a_table() -> None:
    measured = {
        "machine": "2 cores",
        "date": "2026-11-20",
        "install": 84.0,
        "notebooks": {"01_api_key_setup": 4.0, "00_start_here": 8.06},
    }
    table = data_tables.seconds_table(measured)
    assert table.index("00 start here") < table.index("01 api key setup")
    for part in ("2026-11-20: 2 cores", "| 8.1 |", "**12**", "0.2 minutes", "84 seconds"):
        assert part in table


def test_measured_seconds_name_notebooks_that_exist() -> None:
    path = ROOT / data_tables.MEASURED
    if path.is_file():
        named = json.loads(path.read_text(encoding="utf-8"))["notebooks"]
        assert named.keys() <= {each.stem for each in NOTEBOOK_FILES}


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
    """With a setting that nobody knows, Sphinx warns; and `make docs` must notice."""
    monkeypatch.setattr(build_docs, "STRICT", (*build_docs.STRICT, "-D", "no_such_setting=1"))
    monkeypatch.setattr(build_docs, "ROOT", small_book(tmp_path))
    monkeypatch.setattr(build_docs, "DOCS", tmp_path)
    assert build_docs.build(tmp_path / "out") != 0


def small_book(folder: Path) -> Path:
    """A book of one page, which is built in a moment."""
    (folder / "conf.py").write_text("root_doc = 'index'\n", encoding="utf-8")
    (folder / "index.rst").write_text("A page\n======\n", encoding="utf-8")
    return folder


def test_a_book_without_warnings_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for made in (glossary, old_and_new):  # which would write into the repository
        monkeypatch.setattr(made, "write", lambda: False)
    monkeypatch.setattr(build_docs, "ROOT", small_book(tmp_path))
    monkeypatch.setattr(build_docs, "DOCS", tmp_path)
    assert build_docs.main(["--out", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out" / "index.html") in capsys.readouterr().out


def test_every_error_is_told(book: Book) -> None:
    page = book.pages["docs/errors.html"]
    told = words(page.text)
    notebook = book.pages.get(f"notebooks/{errors_table.NOTEBOOK}.html")
    for entry in errors_table.entries():
        for part in (entry.title, errors_table.phrase(entry.pattern)):
            assert part in told, f"{entry.id}: {part}"
        if notebook and entry.cell:
            assert f"cell-{entry.cell}" in notebook.ids, entry.id


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("Missing credentials|api_key must be set", "Missing credentials"),
        (r"Invalid URL \(", "Invalid URL ("),
        (r"Error code: 5\d\d|InternalServerError", "Error code: 5…"),
        (r"has [\d,]+ tokens, but", "has … tokens, but"),
        ("The model `[^`]*` does not exist", "The model '…' does not exist"),
        ("The model .{1,200} does not exist", "The model … does not exist"),
        ("JSONL format(?!.*line starts with: \\[)", "JSONL format"),
        ("must be bytes.*received", "must be bytes…received"),
    ],
)
def test_a_pattern_becomes_words_to_search_for(pattern: str, expected: str) -> None:
    assert errors_table.phrase(pattern) == expected
