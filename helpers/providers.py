"""The providers that the course knows, and how they differ. The facts are in data/providers.toml.

A provider is recognised by the key and the address in the settings. Notebook 13 compares them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

TABLE = Path(__file__).resolve().parent.parent / "data" / "providers.toml"
SANDBOX_KEY_START = "sk-sandbox-"
# What learning_rate_multiplier=1 means where a provider wants the rate itself: a usual starting
# value for LoRA on models of 8 billion parameters. Try others on a validation set.
USUAL_RATE = 1e-4


@dataclass(frozen=True)
class Provider:
    """One provider; the table's head explains the fields."""

    name: str
    title: str
    base_url: str = ""
    hosts: list[str] = field(default_factory=list)
    generator_model: str | None = None
    base_model: str | None = None
    embedding_model: str | None = None
    reasoning_models: list[str] = field(default_factory=list)
    job_options: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 8  # calls at once
    seeds: bool = False  # does the same seed give the same text
    who: str = ""
    file_status: bool = True
    learning_rate: Literal["multiplier", "absolute"] = "multiplier"
    deploy: Literal["nothing", "one more call", "in its portal"] = "nothing"
    source: str = ""
    checked: str = ""

    def chat_options(self, model: str) -> dict[str, Any]:
        """What a chat call must add: no reasoning, where only that allows a temperature."""
        reasons = model.startswith(tuple(self.reasoning_models))
        return {"reasoning_effort": "none"} if reasons else {}

    def job_request(
        self,
        training_file: str,
        validation_file: str | None = None,
        *,
        n_epochs: int = 3,
        rate: float = 1.0,
        suffix: str | None = None,
    ) -> dict[str, Any]:
        """The arguments of `client.fine_tuning.jobs.create` as this provider wants them.

        `rate` is the multiplier: 1 for the usual learning rate, 2 for twice as much.
        """
        if self.learning_rate == "absolute":
            numbers = {"n_epochs": n_epochs, "learning_rate": rate * USUAL_RATE}
        else:
            numbers = {"n_epochs": n_epochs, "learning_rate_multiplier": rate}
        request = {
            "model": self.base_model,
            "training_file": training_file,
            "validation_file": validation_file,
            "suffix": suffix,
            "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        }
        request = {name: value for name, value in request.items() if value is not None}
        return request | self.job_options


PROVIDERS: dict[str, Provider] = {
    name: Provider(name, **facts)
    for name, facts in tomllib.loads(TABLE.read_text(encoding="utf-8")).items()
}
OTHER = Provider("other", "a provider of your own")


def find_provider(key: str | None, base_url: str | None) -> Provider:
    """The provider behind a key and an address; OTHER for an address that the table lacks."""
    if key is None or key.startswith(SANDBOX_KEY_START):
        return PROVIDERS["sandbox"]
    host = urlsplit(base_url or PROVIDERS["openai"].base_url).hostname or ""
    for provider in PROVIDERS.values():
        if any(fnmatchcase(host, pattern) for pattern in provider.hosts):
            return provider
    return OTHER
