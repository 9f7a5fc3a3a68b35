"""An error in one line: what went wrong, and what to do, which `course.errors` knows."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import openai

from course.errors import explain
from helpers.settings import SettingsError, load_settings, read_variable

HEADS = {400: "Refused", 403: "Not allowed", 404: "Not found", 409: "Not now", 429: "Not so fast"}


def one_line(error: Exception) -> str:
    """The line, without any key of ours. For an error that nobody expected: its type and words."""
    text = " ".join(_words(error).split())
    for secret in (read_variable("OPENAI_API_KEY"), os.environ.get("OPENAI_ADMIN_KEY")):
        if secret and len(secret) >= 8:
            text = text.replace(secret, "(your key)")
    return text


def _words(error: Exception) -> str:
    package = type(error).__module__.split(".")[0]
    if package in ("helpers", "course", "heroes") or (
        type(error) is FileNotFoundError and not error.errno
    ):
        return str(error)  # ours: they say what to do
    if isinstance(error, openai.APIStatusError):
        return _of_a_status(error)
    if isinstance(error, openai.APIConnectionError):
        late = isinstance(error, openai.APITimeoutError)
        how = "took too long to answer" if late else "does not answer"
        return f"{_endpoint()} {how}. {_remedy(error)}"
    if isinstance(error, openai.OpenAIError | OSError | UnicodeError) or package == "httpx2":
        return f"{_sentence(str(error))} {_remedy(error)}"
    if str(error).startswith("'str' object has no attribute"):  # what the SDK makes of a web page
        return f"{_endpoint()} answers with a web page. {_remedy('answers with a web page')}"
    return (
        f"{type(error).__name__}: {_sentence(str(error))} This is a mistake in heroes; please "
        "report it. With HEROES_DEBUG=1 in the environment it shows where."
    )


def _of_a_status(error: openai.APIStatusError) -> str:
    status = error.status_code
    if status == 401:  # not what the server said: it may quote the key
        return f"{_endpoint()} does not accept the key (401). {_remedy(error)}"
    body = error.body if isinstance(error.body, dict) else {}
    said = _sentence(str(body.get("message") or error.message))
    head = f"{_endpoint()} failed" if status >= 500 else HEADS.get(status, "Refused")
    wait = error.response.headers.get("retry-after", "")
    if status == 429 and wait.isdigit():
        return f"{head} (429): {said} Wait {wait} s and try the same command again."
    return f"{head} ({status}): {said} {_remedy(error)}"


def _remedy(error: Exception | str) -> str:
    """What to do, if that is certain."""
    found = explain(error).entries
    return (found[0].shell or found[0].remedy) if len(found) == 1 else "`heroes doctor` may help."


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _endpoint() -> str:
    try:
        url = load_settings().base_url
    except SettingsError:
        url = read_variable("OPENAI_BASE_URL")
    return "The sandbox" if url is None else str(urlsplit(url).hostname)
