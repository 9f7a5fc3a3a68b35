"""The table of errors: every entry leads to its cell in notebook 10, and fits what stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import httpx2
import openai
import pytest
from nbformat import NotebookNode

from course.album import Album
from course.errors import (
    NOTEBOOK,
    UNKNOWN,
    Entry,
    entries,
    explain,
    lookup_table,
    section_titles,
)
from helpers.data import my
from tools.notebooks import NOTEBOOKS, output_text, read

ALL = entries()
BY_ID = {entry.id: entry for entry in ALL}


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    return read(NOTEBOOKS / f"{NOTEBOOK}.ipynb")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))


def cell(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.get("id") == cell_id)


def said(cell: NotebookNode) -> str:
    """What a cell's stored output says: the type and the words of an error, or what it printed."""
    parts = []
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
        else:
            parts.append(output_text(output))
    return "\n".join(parts)


def read_cell(entry: Entry) -> str:
    """The id of the cell that reads what the entry's cell has broken."""
    return f"{entry.id}-read"


def test_ids_and_numbers_are_in_order() -> None:
    assert len(BY_ID) == len(ALL) >= 30
    places = [tuple(map(int, entry.number.split("."))) for entry in ALL]
    for (section, place), (next_section, next_place) in pairwise(places):
        assert (next_section, next_place) in ((section, place + 1), (section + 1, 1))
    assert places[0] == (1, 1)
    assert sorted(section_titles()) == [str(n) for n in range(1, places[-1][0] + 1)]


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.id)
def test_the_entry_leads_to_its_heading_and_its_cell(entry: Entry, notebook: NotebookNode) -> None:
    ids = [cell.get("id") for cell in notebook.cells]
    assert entry.cell in ids
    above = [c.source for c in notebook.cells[: ids.index(entry.cell)] if c.cell_type == "markdown"]
    headings = re.findall(r"^### (.+)$", "\n".join(above), re.MULTILINE)
    assert headings[-1] == f"{entry.number} {entry.title}"


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.id)
def test_the_entry_fits_what_is_stored(entry: Entry, notebook: NotebookNode) -> None:
    shown = said(cell(notebook, entry.cell)) + "\n" + said(cell(notebook, read_cell(entry)))
    own = said(cell(notebook, entry.cell))
    if entry.id != "rambling":  # its cell shows a model's words; the next one says what they are
        assert entry.fits(own), own
    for part in re.split(r" ?… ?", entry.message):
        assert part in shown, f"{part!r} is not shown there"
    if entry.cause:
        assert entry.explains(said(cell(notebook, read_cell(entry))))
    assert entry in explain(shown).entries
    assert entry.title in said(cell(notebook, read_cell(entry))), "the album has not kept it"


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.id)
def test_its_own_message_finds_the_entry(entry: Entry) -> None:
    found = explain(entry.message).entries
    assert entry in found
    assert len(found) <= 2 or entry.message.startswith("Connection error"), [e.id for e in found]


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.id)
def test_the_words_are_plain(entry: Entry) -> None:
    for text in (entry.meaning, entry.remedy):
        assert text.endswith(".") and 20 < len(text) < 130
    assert entry.where and not entry.where.endswith(".")


def connection_error(cause: Exception) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=httpx2.Request("GET", "http://sandbox/v1/models"))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "wanted"),
    [
        (httpx2.ConnectError("[Errno 111] Connection refused"), "server-down"),
        (httpx2.UnsupportedProtocol("Request URL is missing an 'http://' …"), "blank-base-url"),
        (httpx2.LocalProtocolError("Illegal header value b'Bearer x\\n'"), "key-newline"),
        (httpx2.RemoteProtocolError("peer closed connection"), "broken-stream"),
    ],
)
def test_the_cause_decides_between_connection_errors(cause: Exception, wanted: str) -> None:
    assert explain(connection_error(cause)).entries == (BY_ID[wanted],)


def test_words_alone_can_be_several_errors() -> None:
    found = explain("openai.APIConnectionError: Connection error.")
    assert {e.id for e in found.entries} == {
        "key-newline", "blank-base-url", "server-down", "broken-stream",
    }  # fmt: skip
    assert str(found).startswith("This message can be one of 4 errors:")


def test_a_code_is_enough() -> None:
    response = httpx2.Response(429, request=httpx2.Request("POST", "http://sandbox/v1/x"))
    body = {"message": "Geld alle", "code": "insufficient_quota"}
    error = openai.RateLimitError("Error code: 429 - Geld alle", response=response, body=body)
    assert [entry.id for entry in explain(error).entries] == ["quota"]


def test_a_whole_traceback_can_be_pasted() -> None:
    pasted = "httpx2.ConnectError: [Errno 111] Connection refused\n…\nConnection error.\n"
    assert [entry.id for entry in explain(pasted).entries] == ["server-down"]


@pytest.mark.parametrize("unknown", ["", "It rains.", ZeroDivisionError("division by zero")])
def test_the_unknown_is_called_that(unknown: str | Exception) -> None:
    found = explain(unknown)
    assert not found
    assert str(found) == repr(found) == UNKNOWN


def test_an_error_that_caused_itself_is_no_endless_loop() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert not explain(one)


def test_the_table_has_all() -> None:
    table = lookup_table()
    rows = [line.split(" | ") for line in table.splitlines()]
    assert [row[0] for row in rows[2:]] == [f"| {entry.number}" for entry in ALL]
    assert all(len(row) == 3 for row in rows[2:])


def test_the_album_keeps_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    album = Album()
    album.keep("leak", "42 of 42 exam questions were among the exercises")
    assert capsys.readouterr().out == f"Kept: {BY_ID['leak']}\n"
    album.keep("quota", "It rains.")
    assert capsys.readouterr().out.startswith("Not kept: run the cell above first")
    pages = json.loads(my("errors_met.json").read_text(encoding="utf-8"))
    assert [(page["id"], page["section"], page["type"]) for page in pages] == [
        ("leak", "4.8", None)
    ]
    assert len(album) == 1
    assert len(album.missing()) == len(ALL) - 1
    with pytest.raises(KeyError, match="no-key"):
        album.keep("nothing", "x")


def test_the_album_takes_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    error = connection_error(httpx2.ConnectError("refused"))
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    album = Album()
    album.keep("broken-stream")
    assert len(album) == 0
    album.keep("server-down")
    assert len(album) == 1
    monkeypatch.delattr(sys, "last_value")
    album.keep("server-error")
    assert len(album) == 1


def test_earlier_pages_stay_in_order_and_without_keys() -> None:
    key = "sk-" + "sandbox-" + "k" * 40
    Album().keep("too-few", "must have at least 10 examples")
    Album().keep("wrong-key", f"Incorrect API key provided: {key}")
    text = my("errors_met.json").read_text(encoding="utf-8")
    assert [page["id"] for page in json.loads(text)] == ["wrong-key", "too-few"]
    assert key not in text


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"id": 1}', "null", '[{"id": "gone"}]'])
def test_a_damaged_album_is_begun_anew(content: str) -> None:
    my("errors_met.json").write_text(content, encoding="utf-8")
    Album().keep("job-twice", "2 jobs for one order")
    pages = json.loads(my("errors_met.json").read_text(encoding="utf-8"))
    assert [page["id"] for page in pages] == ["job-twice"]


def heroes(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heroes", "explain", *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_command() -> None:
    told = heroes("Rate limit reached")
    assert (told.returncode, told.stdout) == (0, f"{BY_ID['rate-limit']}\n")
    piped = heroes("-", "--json", given="openai.APITimeoutError: Request timed out.\n")
    assert [entry["id"] for entry in json.loads(piped.stdout)] == ["timeout"]
    unknown = heroes("It rains.")
    assert (unknown.returncode, unknown.stdout) == (3, f"{UNKNOWN}\n")
    empty = heroes(" ")
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
