"""The explainer: every message that a learner can meet gets its own entry, and only that."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import httpx2
import openai
import pytest
from nbformat import NotebookNode

from course.album import Album
from course.errors import NOTEBOOK, UNKNOWN, ErrorEntry, entries, explain, lookup_table
from helpers.data import my
from sandbox.api.errors import ApiError
from tools.notebooks import NOTEBOOKS, output_text, read

BY_ID = {entry.id: entry for entry in entries()}
IN_NOTEBOOK = [entry for entry in entries() if entry.cell]
# An entry's id, a tab, a message of it: from the sandbox, the openai package, Python, pip, Jupyter.
MESSAGES = [
    line.split("\t")
    for line in (Path(__file__).parent / "error_messages.tsv").read_text("utf-8").splitlines()
]


def ids(error: BaseException | str) -> list[str]:
    return [entry.id for entry in explain(error).entries]


def api_error(status: int, message: str, code: str | None = None) -> openai.APIStatusError:
    """The error that the openai package makes of such an answer."""
    request = httpx2.Request("POST", "http://sandbox/v1/x")
    response = httpx2.Response(status, request=request, json={"error": {"message": message}})
    body = {"message": message, "code": code}
    with openai.OpenAI(api_key="none") as client:
        return client._make_status_error(
            f"Error code: {status} - {message}", body=body, response=response
        )


@pytest.mark.parametrize(("wanted", "message"), MESSAGES)
def test_every_message_has_the_right_entry(wanted: str, message: str) -> None:
    assert ids(message) == [wanted]
    # The same words at the end of a coloured traceback whose code names other errors.
    noise = (
        "\x1b[31mAPIConnectionError\x1b[0m      Traceback (most recent call last)\n"
        "File ~/openai/_base_client.py:986, in request()\n"
        "    985     raise APITimeoutError(request=request) from err\n"
        "--> 986 raise APIConnectionError(request=request) from err\n\n"
    )
    assert ids(noise + message) == [wanted]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_every_entry_is_met_and_says_what_to_do(entry: ErrorEntry) -> None:
    met = {wanted for wanted, _ in MESSAGES}
    assert entry.id in met or (entry.message and entry.id in ids(entry.message))
    for text in (entry.meaning, entry.remedy, entry.shell or entry.remedy):
        assert re.search(r"[.…]$", text)
        assert 20 < len(text) < 130


def test_the_sandbox_raises_nothing_that_is_not_explained() -> None:
    """Each family of the sandbox's errors, with words that no entry knows, still gets an entry."""
    for error in domain_errors():
        assert ids(api_error(error.status, "Words of tomorrow.", error.code)), error


@pytest.mark.parametrize(
    ("status", "message", "code", "wanted"),
    [
        (401, "Incorrect API key provided: sk-…", "invalid_api_key", "wrong-key"),
        (401, "Nobody knows you.", None, "wrong-key"),
        (403, "You are not allowed to sample.", None, "forbidden"),
        (403, "No.", "training_not_available", "training-not-available"),
        (404, "Not here.", "model_not_found", "wrong-model"),
        (409, "Not now.", None, "file-in-use"),
        (422, "Not so.", None, "invalid-value"),
        (429, "Geld alle", "insufficient_quota", "quota"),
        (429, "Slowly.", "rate_limit_exceeded", "rate-limit"),
        (503, "Later.", None, "server-error"),
    ],
)
def test_codes_and_statuses_are_enough(
    status: int, message: str, code: str | None, wanted: str
) -> None:
    assert ids(api_error(status, message, code)) == [wanted]
    old_style = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    assert ids(f"Error code: {status} - {old_style}") == [wanted]


def domain_errors() -> list[type[ApiError]]:
    families = [ApiError]
    for family in families:
        families += family.__subclasses__()
    return families


def connection_error(cause: Exception) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=httpx2.Request("GET", "http://sandbox/v1/models"))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "wanted"),
    [
        (httpx2.ConnectError("[Errno 111] Connection refused"), "server-down"),
        (httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "certificate"),
        (httpx2.ProxyError("407 Proxy Authentication Required"), "proxy-refuses"),
        (httpx2.UnsupportedProtocol("Request URL is missing an 'http://' …"), "blank-base-url"),
        (httpx2.LocalProtocolError("Illegal header value b'Bearer x\\n'"), "key-newline"),
        (httpx2.RemoteProtocolError("peer closed connection"), "broken-stream"),
    ],
)
def test_the_cause_decides_between_connection_errors(cause: Exception, wanted: str) -> None:
    assert ids(connection_error(cause)) == [wanted]
    pasted = (
        f"Traceback (most recent call last):\nhttpx2.{type(cause).__name__}: {cause}\n\n"
        "Traceback (most recent call last):\n  File x\nopenai.APIConnectionError: Connection error."
    )
    assert ids(pasted) == [wanted]


@pytest.mark.parametrize(
    "unknown",
    ["", "It rains.", "The model answers well.", "ValueError: could not convert string to float",
     "I paid 401 dollars.", ZeroDivisionError("division by zero"), AssertionError()],
)  # fmt: skip
def test_the_unknown_gets_a_next_step(unknown: str | Exception) -> None:
    assert not explain(unknown)
    assert str(explain(unknown)) == repr(explain(unknown)) == UNKNOWN


def test_an_error_that_caused_itself_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert not explain(one)


def said(notebook: NotebookNode, cell_id: str) -> str:
    """What a cell's stored output says: the type and the words of an error, or what it printed."""
    cell = next(cell for cell in notebook.cells if cell.get("id") == cell_id)
    return "\n".join(
        f"{output.ename}: {output.evalue}" if output.output_type == "error" else output_text(output)
        for output in cell.outputs
    )


def test_notebook_10_shows_what_its_entries_say() -> None:
    notebook = read(NOTEBOOKS / f"{NOTEBOOK}.ipynb")
    headings = re.findall(
        r"^### (.+)$", "\n".join(c.source for c in notebook.cells), flags=re.MULTILINE
    )
    assert [f"{entry.number} {entry.title}" for entry in IN_NOTEBOOK] == headings[
        : len(IN_NOTEBOOK)
    ]
    for entry in IN_NOTEBOOK:
        shown = said(notebook, entry.cell)
        kept = said(notebook, f"{entry.id}-read")
        assert f"Kept: {entry.title}\n" in kept
        assert entry.id == "rambling" or entry.id in ids(f"{shown}\n{kept.split('Kept:')[0]}")
    assert lookup_table().count("\n") == len(IN_NOTEBOOK) + 1


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))


def stored() -> list[dict[str, str]]:
    return json.loads(my("errors_met.json").read_text(encoding="utf-8"))


def test_the_album_keeps_what_fits(
    own_folder: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-" + "sandbox-" + "k" * 40
    album = Album()
    album.keep("too-few", "must have at least 10 examples")
    assert capsys.readouterr().out == f"Kept: {BY_ID['too-few']}\n"
    album.keep("quota", "It rains.")
    assert capsys.readouterr().out.startswith("Not kept: run the cell above first")
    refused = connection_error(httpx2.ConnectError("refused"))
    monkeypatch.setattr(sys, "last_value", refused, raising=False)
    album.keep("broken-stream")
    album.keep("server-down")
    assert (len(album), len(album.missing())) == (2, len(IN_NOTEBOOK) - 2)
    Album().keep("wrong-key", f"Incorrect API key provided: {key}")
    assert [page["id"] for page in stored()] == ["wrong-key", "server-down", "too-few"]
    assert key not in str(stored())
    with pytest.raises(KeyError, match="no-key"):
        album.keep("socks-proxy", "x")  # explained, but not met in notebook 11


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"id": 1}', "null", '[{"id": "gone"}]'])
def test_a_damaged_album_is_begun_anew(own_folder: None, content: str) -> None:
    my("errors_met.json").write_text(content, encoding="utf-8")
    Album().keep("job-twice", "2 jobs for one order")
    assert [page["id"] for page in stored()] == ["job-twice"]
