"""`connect()`: a plain `openai.OpenAI` client for whichever endpoint is configured."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from helpers.sandbox import (
    SandboxError,
    run_keys,
    start_sandbox,
    state_folder,
    state_lock,
)
from helpers.settings import Settings, SettingsError, load_settings, read_key

# Long enough for the slowest answer, short enough to notice that there is no server.
TIMEOUT = openai.Timeout(180.0, connect=5.0)


def connect(announce: bool = True) -> OpenAI:
    """A client for the configured endpoint; starts the sandbox if nothing else is configured.

    The sandbox goes on running after the notebook is closed: `heroes sandbox stop` ends it.
    Prints one line (unless `announce` is False): who answers, and with which model. Raises
    SettingsError or SandboxError, each with a remedy.
    """
    settings = load_settings()
    client = OpenAI(**_options(settings, DefaultHttpxClient))
    if settings.provider == "sandbox":
        _check_key(client)
    if announce:
        print(_announcement(settings))
    return client


def connect_async() -> AsyncOpenAI:
    """The same as `connect()`, silently, for calls that run side by side with `await`."""
    return AsyncOpenAI(**_options(load_settings(), DefaultAsyncHttpxClient))


def _options(settings: Settings, http_client: Any) -> dict[str, Any]:
    """The constructor's arguments: all explicit, so that no stray variable changes them."""
    url = settings.base_url or str(start_sandbox().url)
    options = {"api_key": read_key() or _learner_key(), "base_url": url, "timeout": TIMEOUT}
    host = urlsplit(url).hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        # A proxy in the environment must not catch calls that stay on this machine.
        options["http_client"] = http_client(trust_env=False)
    return options


def _learner_key(renew: bool = False) -> str:
    """The key that the notebooks use on the learner's own sandbox; made at the first call."""
    path = state_folder() / "learner.key"
    with state_lock():
        key = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if renew or not key:
            key = run_keys("create", "--project", "learner", "--name", "notebooks")["key"]
            path.touch(mode=0o600)  # only its owner can read it
            path.write_text(key + "\n", encoding="ascii")
    return key


def _check_key(client: OpenAI) -> None:
    """Replace a key of ours that was revoked; say what to do about one in OPENAI_API_KEY."""
    try:
        client.models.list()
    except openai.AuthenticationError as error:
        if read_key() is None:
            client.api_key = _learner_key(renew=True)
            return
        client.close()
        raise SettingsError(
            "This sandbox does not know the key in OPENAI_API_KEY. Ask its owner for one (if that "
            "is you: `heroes keys create`), or delete the key and the address from .env."
        ) from error
    except openai.APIConnectionError as error:
        client.close()
        raise SandboxError(f"No sandbox answers at {client.base_url}. Is it running?") from error


def _announcement(settings: Settings) -> str:
    if settings.base_url is None:
        who = f"{settings.title} on this machine (free)"
    elif settings.provider == "sandbox":
        who = "a shared sandbox (free)"
    else:
        who = f"{settings.title} ({urlsplit(settings.base_url).hostname}; calls cost money)"
    return f"Connected to {who}. Base model: {settings.base_model}"
