"""Settings of one server, and the base models it offers."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHIPPED_BASE = Path(__file__).parent / "base_model" / "weights"
ORGANIZATION = "org-sandbox"
MEBIBYTE = 1024 * 1024


class ConfigError(Exception):
    """The server cannot start like this; the message says what to change."""


@dataclass(frozen=True)
class BaseModel:
    """A base model: a Hugging Face folder and the name it answers to."""

    name: str
    path: Path
    created: int  # Unix seconds
    context: int  # the longest sequence, in tokens
    vocab_size: int
    advice: dict[str, Any] = field(default_factory=dict)  # learning_rate, n_epochs, batch_size


@dataclass(frozen=True)
class Settings:
    """Everything that can be set on one server."""

    state_dir: Path = Path(".sandbox")
    host: str = "127.0.0.1"
    port: int = 8765  # 0 = any free one
    seed: int | None = None
    base_models: tuple[str, ...] = (str(SHIPPED_BASE),)  # folders or Hugging Face ids
    trainers: int = 1  # jobs that train at the same time, each in a process of its own
    requests_per_minute: int | None = None  # for each key; None = no limit
    max_file_bytes: int = 512 * MEBIBYTE
    max_body_bytes: int = 8 * MEBIBYTE


def usual_trainers(base_models: Sequence[str]) -> int:
    """How many jobs train at the same time if nobody says it.

    Two of the shipped model's jobs side by side, on two cores, end in about half the time of one
    after the other. A larger model fills the machine (or its GPU's memory) alone.
    """
    return min(2, os.cpu_count() or 1) if list(base_models) == [str(SHIPPED_BASE)] else 1


def load_base_models(settings: Settings) -> tuple[BaseModel, ...]:
    """Return the base models of a server; the first one is the default.

    Raises ConfigError for a folder that is not a model, or a name used twice.
    """
    bases = tuple(load_base_model(source) for source in settings.base_models)
    names = [base.name for base in bases]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two base models are called {name!r}. Give one another folder name.")
    return bases


def load_base_model(source: str) -> BaseModel:
    """Describe the base model in a folder, or fetch the one with this Hugging Face id first."""
    folder = Path(source)
    if folder.is_dir():
        return _describe(folder.resolve(), folder.resolve().name)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return _describe(_fetch(source), source)
    raise ConfigError(
        f"There is no base model at {source}. Give a Hugging Face folder (with config.json and "
        "model.safetensors) or an id such as HuggingFaceTB/SmolLM2-135M-Instruct."
    )


def _describe(folder: Path, name: str) -> BaseModel:
    config = _read_json(folder / "config.json")
    notes = _read_json(folder / "sandbox.json") if (folder / "sandbox.json").is_file() else {}
    if not isinstance(config.get("vocab_size"), int):
        raise ConfigError(f"{folder / 'config.json'} names no vocab_size: not a language model.")
    return BaseModel(
        name=str(notes.get("name", name)),
        path=folder,
        created=int(notes.get("created", (folder / "config.json").stat().st_mtime)),
        context=int(config.get("max_position_embeddings", 1024)),
        vocab_size=config["vocab_size"],
        advice={k: v for k, v in notes.items() if k not in ("name", "created")},
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a JSON object.")
    return content


def _fetch(hub_id: str) -> Path:
    # Imported here: only servers with a model of the Hub pay for it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except (OSError, HfHubHTTPError, ValueError) as error:
        raise ConfigError(
            f"The base model {hub_id} could not be fetched from the Hugging Face Hub: {error}"
        ) from error
