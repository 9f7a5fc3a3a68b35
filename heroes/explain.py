"""The errors we expect, each in one line that ends in a remedy. No key ever stands in one."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import httpx2
import openai

from course.passed import ProgressError
from helpers.asking import GenerationError
from helpers.follow import ConnectionLost
from helpers.jobs import WIND_DOWN, UploadError
from helpers.ledger import LedgerBusy
from helpers.money import BudgetExceeded
from helpers.sandbox import SandboxError
from helpers.settings import SettingsError, load_settings, read_variable
from heroes.new_job import JobLost

# These carry their own remedy.
OUR_OWN = (
    BudgetExceeded,
    SandboxError,
    SettingsError,
    UploadError,
    GenerationError,
    LedgerBusy,
    ConnectionLost,
    JobLost,
    ProgressError,
    OSError,
)


def explain(error: Exception) -> str | None:
    """One line for an error we expect, None for any other (a bug, to be shown in full)."""
    if isinstance(error, openai.OpenAIError):
        return hide_keys(_of_the_api(error))
    if isinstance(error, httpx2.HTTPError):
        return f"The answer broke off ({type(error).__name__}). Try the same command again."
    if isinstance(error, UnicodeDecodeError):
        return "The file is no text in UTF-8. Is it the right one? Else save it as UTF-8."
    if isinstance(error, OUR_OWN):
        return hide_keys(str(error))
    return None


def hide_keys(text: str) -> str:
    """The text without our keys, in case somebody quotes them."""
    for secret in (read_variable("OPENAI_API_KEY"), os.environ.get("OPENAI_ADMIN_KEY")):
        if secret and len(secret) >= 8:
            text = text.replace(secret, "(your key)")
    return text


def _of_the_api(error: openai.OpenAIError) -> str:
    if isinstance(error, openai.APITimeoutError):
        return f"{_endpoint()} took too long to answer. {_nobody_there()}"
    if isinstance(error, openai.APIConnectionError):
        return f"{_endpoint()} does not answer. {_nobody_there()}"
    if isinstance(error, openai.APIStatusError):
        return _of_a_status(error)
    if not isinstance(error, openai.APIError):
        return str(error)  # our own, such as BudgetExceeded
    return f"The answer broke off: {_said(error)} Try the same command again."


def _of_a_status(error: openai.APIStatusError) -> str:
    status, said = error.status_code, _said(error)
    if status == 401:
        # Not what the server said: it may quote the key.
        remedy = "Put a valid one into .env as OPENAI_API_KEY; `heroes doctor` looks at the file."
        return f"{_endpoint()} does not accept the key (401). {remedy}"
    if error.code == "training_not_available":
        return f"{said} {WIND_DOWN}"
    if status == 403:
        return f"Not allowed (403): {said} Ask whoever gave you the key what it may do."
    if status == 404:
        return f"Not found (404): {said} {_where_to_look(error)}"
    if status == 429:
        return f"{said} {_patience(error)}"
    if status >= 500:
        return f"{_endpoint()} failed ({status}): {said} Try the same command again in a minute."
    return f"Refused ({status}): {said}"


def _said(error: openai.APIError | openai.OpenAIError) -> str:
    """The server's own words in one line, ending in a full stop."""
    words = getattr(error, "body", None)
    text = words.get("message") if isinstance(words, dict) else None
    text = " ".join(str(text or getattr(error, "message", error)).split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _where_to_look(error: openai.APIStatusError) -> str:
    path = error.request.url.path
    if "/fine_tuning/jobs" in path and error.request.method == "GET":
        return "`heroes jobs list` shows what there is."
    if "/files" in path or error.param in ("training_file", "validation_file", "file_id"):
        return "`heroes files list` shows what there is."
    if error.code == "model_not_found" or "/models" in path:
        return "`heroes models list` shows what there is."
    return "Look at the id, and at OPENAI_BASE_URL (it usually ends in /v1)."


def _patience(error: openai.APIStatusError) -> str:
    if error.code == "insufficient_quota":
        return "Waiting does not help: look at the plan and the billing page of your provider."
    asked = error.response.headers.get("retry-after", "")
    wait = f"{asked} s" if asked.isdigit() else "a minute"
    return f"Too many calls at once (429): wait {wait} and try the same command again."


def _nobody_there() -> str:
    if _base_url() is None:
        return "`heroes sandbox status` says how it is, `heroes sandbox start` starts it."
    return "Look at the network, and at OPENAI_BASE_URL in .env."


def _endpoint() -> str:
    url = _base_url()
    return "The sandbox" if url is None else str(urlsplit(url).hostname)


def _base_url() -> str | None:
    try:
        return load_settings().base_url
    except SettingsError:
        return read_variable("OPENAI_BASE_URL")
