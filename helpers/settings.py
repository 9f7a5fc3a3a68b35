"""Who answers the calls, and with which models: one place that the notebooks ask."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from helpers.env_file import clean_value, read_env_file, value_problem

ROOT = Path(__file__).resolve().parent.parent
SANDBOX_MODEL = "superhero-mini"
SANDBOX_KEY_START = "sk-sandbox-"
OPENAI_URL = "https://api.openai.com/v1"

Provider = Literal["sandbox", "openai", "nebius", "azure", "other"]

# generator: writes the training data; base: gets fine-tuned; None: the learner must name one.
PRESETS: dict[Provider, tuple[str | None, str | None]] = {
    "sandbox": (SANDBOX_MODEL, SANDBOX_MODEL),
    "openai": ("gpt-6-luna", "gpt-4.1-mini-2025-04-14"),
    "nebius": ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
    "azure": (None, "gpt-oss-20b"),
    "other": (None, None),
}
# What turns texts into embeddings. The sandbox's base model does it itself; where there is no
# entry, the course searches by words only.
EMBEDDING_MODELS: dict[Provider, str] = {"openai": "text-embedding-3-small"}
NAMES: dict[Provider, str] = {
    "sandbox": "the sandbox",
    "openai": "OpenAI",
    "nebius": "Nebius Token Factory",
    "azure": "Azure OpenAI",
    "other": "a provider of your own",
}


class SettingsError(ValueError):
    """Something in the environment or in `.env` cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What a notebook needs to know about the endpoint. The key is deliberately not in here.

    `base_url` is None for the embedded sandbox, whose port is chosen when it starts;
    `embedding_model` is None where no model for embeddings is known.
    """

    endpoint: Literal["sandbox", "hosted"]
    provider: Provider
    base_url: str | None
    generator_model: str
    base_model: str
    chat_options: dict[str, Any] = field(default_factory=dict)
    job_options: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    seeds: bool = False
    embedding_model: str | None = None

    def options_for(self, model: str) -> dict[str, Any]:
        """Extra keyword arguments that a chat call to `model` needs, for a tuned model too."""
        return chat_options_for(self.provider, model)

    def __str__(self) -> str:
        rows = {
            "endpoint": NAMES[self.provider],
            "generator_model": self.generator_model,
            "base_model": self.base_model,
            "embedding_model": self.embedding_model or "none",
            "chat_options": self.chat_options or "none needed",
            "calls at once": self.concurrency,
        }
        return "\n".join(f"{name:<16}{value}" for name, value in rows.items())


def env_path() -> Path:
    """The `.env` file: HEROES_ENV_FILE, else the one in the project's folder."""
    named = os.environ.get("HEROES_ENV_FILE", "").strip()
    return Path(named).expanduser() if named else ROOT / ".env"


def read_variable(name: str) -> str | None:
    """A variable from the real environment or else from `.env`; a blank one counts as unset.

    The file is read at every call, so that an edit takes effect without restarting anything.
    """
    for values in (os.environ, read_env_file(env_path())):
        if value := clean_value(values.get(name, "")):
            return value
    return None


def read_key() -> str | None:
    """OPENAI_API_KEY, or None if there is none. Raises SettingsError for one that can't be sent."""
    key = read_variable("OPENAI_API_KEY")
    if key and (problem := value_problem(key)):
        raise SettingsError(
            f"OPENAI_API_KEY: {' '.join(problem)} `heroes doctor` says where it is."
        )
    return key


def read_base_url() -> str | None:
    """OPENAI_BASE_URL, or None. A blank one is removed, since the openai package would use it."""
    url = read_variable("OPENAI_BASE_URL")
    blank_outside = "OPENAI_BASE_URL" in os.environ and not os.environ["OPENAI_BASE_URL"].strip()
    if blank_outside:
        del os.environ["OPENAI_BASE_URL"]
        print("OPENAI_BASE_URL is set but blank; it is ignored. Better delete it.")
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError("OPENAI_BASE_URL must be a whole address that begins with https://.")
    return url


def load_settings() -> Settings:
    """Decide from the environment and `.env` who answers.

    Without a key, and with a sandbox key but no address, it is the learner's own sandbox.
    Raises SettingsError, with a remedy, if the configuration makes no sense.
    """
    key, base_url = read_key(), read_base_url()
    if base_url and not key:
        raise SettingsError(
            "OPENAI_BASE_URL is set but OPENAI_API_KEY is not. Set both, or delete the address "
            "to use the sandbox on this machine."
        )
    provider = find_provider(key, base_url)
    generator, base = PRESETS[provider]
    generator = read_variable("HEROES_GENERATOR_MODEL") or generator
    base = read_variable("HEROES_BASE_MODEL") or base or generator
    if generator is None or base is None:
        raise SettingsError(
            f"Which model should {NAMES[provider]} use? Set HEROES_GENERATOR_MODEL (writes the "
            "data) and HEROES_BASE_MODEL (gets fine-tuned) in .env."
        )
    at_home = provider == "sandbox"
    return Settings(
        endpoint="sandbox" if at_home else "hosted",
        provider=provider,
        base_url=base_url or (None if at_home else OPENAI_URL),
        generator_model=generator,
        base_model=base,
        chat_options=chat_options_for(provider, generator),
        # Azure trains open-weight models only under its global standard.
        job_options={"extra_body": {"trainingType": "globalStandard"}}
        if provider == "azure"
        else {},
        concurrency=64 if at_home else 8,
        seeds=at_home,
        embedding_model=read_variable("HEROES_EMBEDDING_MODEL")
        or (base if at_home else EMBEDDING_MODELS.get(provider)),
    )


def find_provider(key: str | None, base_url: str | None) -> Provider:
    """The provider behind a key and an address."""
    if key is None or key.startswith(SANDBOX_KEY_START):
        return "sandbox"
    host = urlsplit(base_url or OPENAI_URL).hostname or ""
    if host == "api.openai.com" or host.endswith(".api.openai.com"):
        return "openai"
    if host.startswith("api.tokenfactory.") and host.endswith(".nebius.com"):
        return "nebius"
    if host.endswith((".openai.azure.com", ".services.ai.azure.com")):
        return "azure"
    return "other"


def chat_options_for(provider: Provider, model: str) -> dict[str, Any]:
    """What a chat call must add for this model.

    OpenAI's reasoning models accept a temperature only when they are told not to reason.
    """
    if provider in ("openai", "azure") and model.startswith(("gpt-6", "gpt-5.")):
        return {"reasoning_effort": "none"}
    return {}
