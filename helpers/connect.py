"""`connect()`: a plain `openai.OpenAI` client for whichever endpoint is configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from helpers.money.metering import async_hooks, sync_hooks
from helpers.sandbox import (
    SandboxError,
    SandboxStatus,
    learner_key,
    sandbox_status,
    start_sandbox,
    stop_sandbox,
)
from helpers.settings import NAMES, Settings, SettingsError, load_settings, read_key

__all__ = [
    "SandboxError",
    "SandboxStatus",
    "SettingsError",
    "connect",
    "connect_async",
    "sandbox_status",
    "start_sandbox",
    "stop_sandbox",
]

# Long enough for the slowest answer, short enough to notice that nobody is there.
TIMEOUT = openai.Timeout(180.0, connect=5.0)


def connect(announce: bool = True) -> OpenAI:
    """A client for the configured endpoint; starts the sandbox if nothing else is configured.

    The sandbox goes on running after the notebook is closed: `heroes sandbox stop` ends it.
    Prints one line (unless `announce` is False): who answers, and with which model. Raises
    SettingsError or SandboxError, each with a remedy.
    """
    settings = load_settings()
    options = _client_options(settings)
    if http_options := _http_options(settings, options["base_url"], sync_hooks):
        options["http_client"] = DefaultHttpxClient(**http_options)
    client = OpenAI(**options)
    if settings.provider == "sandbox":
        _check_key(client)
    if announce:
        print(_announcement(settings))
    return client


def connect_async() -> AsyncOpenAI:
    """The same as `connect()`, silently, for calls that run side by side with `await`."""
    settings = load_settings()
    options = _client_options(settings)
    if http_options := _http_options(settings, options["base_url"], async_hooks):
        options["http_client"] = DefaultAsyncHttpxClient(**http_options)
    return AsyncOpenAI(**options)


def _client_options(settings: Settings) -> dict[str, Any]:
    """The constructor's arguments: all explicit, so that no stray variable changes them."""
    if settings.base_url is None:
        base_url = start_sandbox().url
        key = read_key() or learner_key()
    else:
        base_url, key = settings.base_url, read_key()
    return {"api_key": key, "base_url": base_url, "timeout": TIMEOUT}


def _http_options(
    settings: Settings, base_url: str, hooks: Callable[[], dict[str, list[Any]]]
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if _is_loopback(base_url):
        # A proxy set in the environment must not catch calls that stay on this machine.
        options["trust_env"] = False
    if settings.provider != "sandbox":
        # Whatever is paid is written down, and stopped where there is a ceiling.
        options["event_hooks"] = hooks()
    return options


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _check_key(client: OpenAI) -> None:
    """Say at once, and in the learner's words, that a sandbox key is not valid any more."""
    try:
        client.models.list()
    except openai.AuthenticationError as error:
        client.close()
        raise SettingsError(
            "This sandbox does not know the key in OPENAI_API_KEY (keys live in its state folder). "
            "Make a new one with `heroes keys create`, or delete the line from .env."
        ) from error
    except openai.APIConnectionError as error:
        client.close()
        raise SandboxError("The sandbox does not answer. Is its address right?") from error


def _announcement(settings: Settings) -> str:
    if settings.base_url is None:
        who = f"{NAMES['sandbox']} on this machine (free)"
    elif settings.provider == "sandbox":
        who = "a sandbox that somebody shares (free)"
    else:
        who = (
            f"{NAMES[settings.provider]} ({urlsplit(settings.base_url).hostname}; calls cost money)"
        )
    return f"Connected to {who}. Model: {settings.generator_model}"
