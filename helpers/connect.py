"""`connect()`: a plain `openai.OpenAI` client for whichever endpoint is configured."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from helpers.sandbox import SandboxError, learner_key, start_sandbox
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
    options = _client_options(settings)
    if _is_loopback(options["base_url"]):
        # A proxy in the environment must not catch calls that stay on this machine.
        options["http_client"] = DefaultHttpxClient(trust_env=False)
    client = OpenAI(**options)
    if settings.provider == "sandbox":
        _check_key(client)
    if announce:
        print(_announcement(settings))
    return client


def connect_async() -> AsyncOpenAI:
    """The same as `connect()`, silently, for calls that run side by side with `await`."""
    options = _client_options(load_settings())
    if _is_loopback(options["base_url"]):
        options["http_client"] = DefaultAsyncHttpxClient(trust_env=False)
    return AsyncOpenAI(**options)


def _client_options(settings: Settings) -> dict[str, Any]:
    """The constructor's arguments: all explicit, so that no stray variable changes them."""
    if settings.base_url is None:
        base_url = start_sandbox().url
        key = read_key() or learner_key()
    else:
        base_url, key = settings.base_url, read_key()
    return {"api_key": key, "base_url": base_url, "timeout": TIMEOUT}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _check_key(client: OpenAI) -> None:
    """Say at once, and with a remedy, that a sandbox key is not valid any more."""
    try:
        client.models.list()
    except openai.AuthenticationError as error:
        client.close()
        raise SettingsError(
            "This sandbox does not know the key in OPENAI_API_KEY (keys are kept in its state "
            "folder). Make a new one with `heroes keys create`, or delete the line from .env."
        ) from error
    except openai.APIConnectionError as error:
        client.close()
        raise SandboxError("The sandbox does not answer. Is its address right?") from error


def _announcement(settings: Settings) -> str:
    if settings.base_url is None:
        who = f"{settings.title} on this machine (free)"
    elif settings.provider == "sandbox":
        who = "a shared sandbox (free)"
    else:
        who = f"{settings.title} ({urlsplit(settings.base_url).hostname}; calls cost money)"
    return f"Connected to {who}. Model: {settings.generator_model}"
