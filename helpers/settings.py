"""Who answers the calls, and with which models: read from the environment and from `.env`."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from platformdirs import user_cache_path

from helpers.providers import OTHER, PROVIDERS, find_provider

ROOT = Path(__file__).resolve().parent.parent
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00a0"


class SettingsError(ValueError):
    """Something in the environment or in `.env` cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What a notebook needs to know about the endpoint. The key is deliberately not in here.

    `provider` is a name in data/providers.toml, or "other"; `base_url` is None for the learner's
    own sandbox, whose port is chosen when it starts.
    """

    endpoint: Literal["sandbox", "hosted"]
    provider: str
    base_url: str | None
    generator_model: str
    base_model: str
    chat_options: dict[str, Any] = field(default_factory=dict)
    job_options: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    seeds: bool = False
    embedding_model: str | None = None

    @property
    def title(self) -> str:
        """The provider's name for people."""
        return PROVIDERS.get(self.provider, OTHER).title

    def options_for(self, model: str) -> dict[str, Any]:
        """What `chat_options` are for another model, such as a tuned one."""
        return PROVIDERS.get(self.provider, OTHER).chat_options(model)


def load_settings() -> Settings:
    """Decide from the environment and `.env` who answers.

    Without a key, and with a sandbox key but no address, it is the learner's own sandbox. Raises
    SettingsError, with a remedy.
    """
    if not os.environ.get("OPENAI_BASE_URL", "unset").strip():
        del os.environ["OPENAI_BASE_URL"]  # the openai package would call nowhere
        print("OPENAI_BASE_URL is set but blank; it is ignored. Better delete it.")
    key, base_url = read_key(), read_variable("OPENAI_BASE_URL")
    if base_url and not base_url.startswith(("http://", "https://")):
        raise SettingsError("OPENAI_BASE_URL must be a whole address that begins with https://.")
    if base_url and not key:
        raise SettingsError(
            "OPENAI_BASE_URL is set but OPENAI_API_KEY is not. Set both, or delete the address "
            "to use the sandbox on this machine."
        )
    provider = find_provider(key, base_url)
    generator = read_variable("HEROES_GENERATOR_MODEL") or provider.generator_model
    usual = provider.base_model
    if provider.name == "sandbox" and base_url is None and usual and not fetched_model(usual):
        usual = None  # no registry could be reached: the course goes on with the generator
    base = read_variable("HEROES_BASE_MODEL") or usual or generator
    if generator is None or base is None:
        raise SettingsError(
            f"Which model should {provider.title} use? Set HEROES_GENERATOR_MODEL (writes the "
            "data) and HEROES_BASE_MODEL (gets fine-tuned) in .env."
        )
    at_home = provider.name == "sandbox"
    return Settings(
        endpoint="sandbox" if at_home else "hosted",
        provider=provider.name,
        base_url=base_url or (None if at_home else provider.base_url),
        generator_model=generator,
        base_model=base,
        chat_options=provider.chat_options(generator),
        job_options=provider.job_options,
        concurrency=provider.concurrency,
        seeds=provider.seeds,
        embedding_model=read_variable("HEROES_EMBEDDING_MODEL") or provider.embedding_model,
    )


def fetched_model(name: str) -> Path | None:
    """The folder of a model that was fetched for the sandbox, or None if it is not there."""
    named = os.environ.get("SANDBOX_MODELS", "").strip()
    cache = user_cache_path("superhero-sandbox", appauthor=False) / "models"
    folder = (Path(named).expanduser() if named else cache) / name
    return folder if (folder / "config.json").is_file() else None


def read_key() -> str | None:
    """OPENAI_API_KEY, or None if there is none. Raises SettingsError for one that can't be sent."""
    key = read_variable("OPENAI_API_KEY")
    if key and not (key.isascii() and key.isprintable() and not set(key) & set(" \"'\\")):
        raise SettingsError(
            "OPENAI_API_KEY contains something that no key has, such as a blank, a quote or a long "
            "dash. `heroes doctor` says what it is and what to do."
        )
    return key


def read_variable(name: str) -> str | None:
    """A variable from the environment, else from `.env` as it is now; a blank one is unset."""
    outside = clean_value(os.environ.get(name, ""))
    return outside or clean_value(read_env_file(env_path()).get(name, "")) or None


def env_path() -> Path:
    """The `.env` file: HEROES_ENV_FILE, else the one in the project's folder."""
    named = os.environ.get("HEROES_ENV_FILE", "").strip()
    return Path(named).expanduser() if named else ROOT / ".env"


def read_env_file(path: Path) -> dict[str, str]:
    """The file's variables; an empty dictionary if there is no file."""
    text = read_saved_text(path) if path.is_file() else ""
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def read_saved_text(path: Path) -> str:
    """The file's text, in whichever encoding an editor saved it."""
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def clean_value(value: str) -> str:
    """The value without what copying and pasting adds: blanks, invisible characters, quotes."""
    cleaned = value.strip(" \t\r\n" + INVISIBLE)
    while len(cleaned) > 1 and cleaned[0] == cleaned[-1] and cleaned[0] in "\"'":
        cleaned = cleaned[1:-1].strip()
    return cleaned
