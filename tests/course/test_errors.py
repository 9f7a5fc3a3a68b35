"""The explainer: every message that a learner can meet gets its own entry, and only that."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import openai
import pytest

from course.errors import NOTEBOOK, UNKNOWN, ErrorEntry, entries, explain, sections
from sandbox.api.errors import ApiError
from tools.notebooks import NOTEBOOKS, output_text, read

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
def test_every_entry_is_found_by_its_message_and_says_what_to_do(entry: ErrorEntry) -> None:
    assert ids(entry.message) == [entry.id]
    assert entry.section in sections()
    assert len(entry.message) < 120
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


def test_notebook_11_shows_the_errors_that_it_is_named_for() -> None:
    shown: dict[str, str] = {}
    section = ""
    for cell in read(NOTEBOOKS / f"{NOTEBOOK}.ipynb").cells:
        if cell.cell_type == "markdown":
            section = "".join(re.findall(r"^## (\d+)\.", cell.source, re.MULTILINE)) or section
        else:
            shown[section] = shown.get(section, "") + "\n".join(map(output_text, cell.outputs))
    met = [entry for entry in entries() if entry.met]
    assert {entry.met for entry in met} == set(shown) - {""}
    for entry in met:
        assert str(entry) in shown[entry.met], entry.id


def test_a_notebook_shows_a_card_that_opens() -> None:
    error = openai.APIConnectionError(request=httpx2.Request("POST", "http://sandbox"))
    error.__cause__ = openai.OpenAIError("sk-secret in <b>words</b>")
    shown = explain(error)._repr_html_()
    assert "APIConnectionError" in shown and "behind it: OpenAIError" in shown
    assert "sk-secret" not in shown, "a cause can quote the key"
    assert shown.count("<details>") == len(explain(error).entries) > 0
    known = explain("ModuleNotFoundError: No module named 'openai'")._repr_html_()
    assert "No module named &#x27;openai&#x27;" in known.split("<details>")[0]
    unknown = explain("<b>no such error</b>")._repr_html_()
    assert UNKNOWN in unknown and "<b>" not in unknown and "<details>" not in unknown
